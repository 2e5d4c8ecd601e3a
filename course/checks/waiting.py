"""How long a check waits for a reader's code."""

import os


def on_this_machine(seconds: float) -> float:
    """So many seconds of a quiet machine. Where each core has ten programs to run, they take ten times as long."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
