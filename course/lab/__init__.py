"""What a notebook holds in its hand: server, worker, conversation."""

import sys

if sys.platform == "win32":
    raise ImportError(
        "This course runs under WSL on Windows: there is no Temporal server for Windows on PyPI. "
        "Install it with `wsl --install`, clone the course there, and run `make lab`."
    )

from course.lab.chat import Conversation
from course.lab.errors import LabError, MessageRefused
from course.lab.lab import Lab
from course.lab.replaying import replay
from course.lab.schedules import run_for, runs_of_schedule
from course.lab.show import show_source
from course.lab.stuck import what_comes_first
from course.lab.watching import watch_replay

__all__ = [
    "Conversation",
    "Lab",
    "LabError",
    "MessageRefused",
    "replay",
    "run_for",
    "runs_of_schedule",
    "show_source",
    "watch_replay",
    "what_comes_first",
]
