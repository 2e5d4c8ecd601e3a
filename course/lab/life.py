"""What a lab has started, and how it ends: the last first, with the lab, or with Python."""

import asyncio
import inspect
import os
import sys
from contextlib import AsyncExitStack, ExitStack
from typing import Any

from course.lab import compat
from course.lab.running import stop_workers_with_python


class Life:
    """Two stacks of what has been started.

    Attributes:
        stack: What ends with the lab, while its event loop runs.
        must_end: What ends with Python, too, and after all of that: a server process, a folder, a lock.
    """

    def __init__(self) -> None:
        self.stack, self.must_end = AsyncExitStack(), ExitStack()
        self._loop = asyncio.get_running_loop()
        self._process = os.getpid()
        self.stack.push_async_callback(asyncio.to_thread, self.must_end.close)
        self.must_end.callback(_ALIVE.discard, self)
        _ALIVE.add(self)

    def end_with_python(self) -> None:
        """When nobody has stopped the lab. A fork of its process must not end it."""
        if self._process != os.getpid():
            return
        stop_workers_with_python()
        if not self._loop.is_closed() and (under_way := asyncio.all_tasks(self._loop)):
            for task in under_way:
                task.cancel()
            self._loop.run_until_complete(asyncio.wait(under_way, timeout=1))
        self.must_end.close()


def silence_what_is_let_go() -> None:
    """Keeps Python from printing a traceback for each coroutine of a workflow under way that a stopped worker lets go.

    Nothing is wrong with them: their history goes on elsewhere. But they are closed outside of the context in which
    they ran, of which the SDKs' own `finally` blocks complain, where nobody could catch it.
    """
    before = sys.unraisablehook
    if getattr(before, "__module__", None) == __name__:
        return

    def hook(unraisable: Any) -> None:
        told = f"{unraisable.exc_value}"
        let_go = "was created in a different Context" in told or told == "coroutine ignored GeneratorExit"
        if not (let_go and inspect.iscoroutine(unraisable.object)):
            before(unraisable)

    sys.unraisablehook = hook


_ALIVE: set[Life] = set()


def _end_all() -> None:
    for life in list(_ALIVE):
        life.end_with_python()


compat.before_threads_end(_end_all)
