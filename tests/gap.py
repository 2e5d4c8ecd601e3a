"""The moment between the decision for a new run and its beginning, held open for a test."""

import threading


class Gap:
    def __init__(self) -> None:
        self.reached, self._over = threading.Event(), threading.Event()
        self._over.set()

    def open(self) -> None:
        """The next time that a run is about to end, it lingers there."""
        self.reached.clear()
        self._over.clear()

    def close(self) -> None:
        self._over.set()

    def linger(self) -> None:
        """Called by the workflow. (A workflow task that takes two seconds is taken for a deadlock.)"""
        self.reached.set()
        self._over.wait(1)


GAP = Gap()
