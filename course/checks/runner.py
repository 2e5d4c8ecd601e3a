"""Runs a check in a process of its own, with a time limit.

An endless loop or `sys.exit()` in a reader's code cannot be contained in the kernel. A process that starts
from nothing would import for seconds; so one helper (multiprocessing's forkserver) has imported everything
beforehand and forks a fresh process for every check.
"""

import asyncio
import atexit
import contextlib
import multiprocessing
import os
import threading
from collections.abc import Coroutine
from dataclasses import replace
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from course.checks import exercises, work
from course.checks.verdict import Verdict, filled
from course.checks.waiting import on_this_machine

_processes = multiprocessing.get_context("forkserver")
_hints_shown: dict[str, int] = {}


def warm_up() -> None:
    """Starts the helper in the background, if it is not there yet."""
    _processes.set_forkserver_preload(["course.lab.preloaded"])
    forkserver.ensure_running()


def warm_up_soon() -> None:
    """The same half a minute later: a reader has a lesson to read first, and the kernel its own imports to do."""
    timer = threading.Timer(30, warm_up)
    timer.daemon = True
    timer.start()


def check(exercise: str | int, *, limit: float | None = None) -> Coroutine[Any, Any, Verdict]:
    """Checks your solution of an exercise, and says what it saw.

    Args:
        exercise: Its id, such as "01" (or 1) or "08b".
        limit: Seconds after which your code is stopped, more on a machine that is busy. Unless you say otherwise, what
            the exercise allows: 30, and for some more.
    """
    from course.lab.awaiting import NotAwaited  # late: it brings the lab with it

    name: Any = exercises.named(exercise)
    call = f'check("{name}")' if isinstance(name, str) else f"check({name!r})"
    return NotAwaited(_check(name, limit), call)


async def _check(exercise: str, limit: float | None) -> Verdict:
    if sentence := exercises.unknown(exercise):
        return Verdict("unknown", sentence)
    if not work.is_started(exercise):
        return Verdict(
            "not started",
            f"Exercise {exercise} is not started: change the cell that begins with %%exercise {exercise}, run it, "
            "and check again.",
        )
    verdict = await _in_a_process(
        exercise, work.module_file(exercise), exercises.limit_of(exercise) if limit is None else limit
    )
    work.count_try(exercise, verdict.passed)
    return replace(verdict, hint=_help(exercise)) if verdict.outcome == "not yet" else verdict


def hint(exercise: str | int) -> None:
    """Shows the next hint for an exercise."""
    name: Any = exercises.named(exercise)
    if sentence := exercises.unknown(name):
        print(sentence)
        return
    hints = exercises.load(name).hints
    shown = _hints_shown[name] = min(_hints_shown.get(name, 0) + 1, len(hints))
    after = (
        f'`hint("{name}")` shows the next.' if shown < len(hints) else f"That was the last: {_solution(name)}"
    )
    print(filled(f"Hint {shown} of {len(hints)}: {hints[shown - 1]} {after}"))


def _help(exercise: str) -> str:
    """Where help is. Which hint would help is the reader's to say: they may have done what the first one says."""
    shown = _hints_shown.get(exercise, 0)
    if shown < len(exercises.load(exercise).hints):
        return f'`hint("{exercise}")` shows {"the next" if shown else "a"} hint.'
    return f"You have seen all hints: {_solution(exercise)}"


def _solution(exercise: str) -> str:
    """A reader's copy has the solutions in a folder that JupyterLab neither lists nor opens; a cell can load them."""
    file = f"lesson_{exercise}.py"
    if Path(".solutions", file).exists():
        return f"this shows a solution, in a cell of its own:\n%load .solutions/{file}"
    return f"a solution is in notebooks/solutions/{file}."


async def _in_a_process(exercise: str, file: Path, limit: float) -> Verdict:
    warm_up()
    from course.checks import child  # late: it brings the lab with it

    patience = on_this_machine(limit)
    receiver, sender = _processes.Pipe(duplex=False)
    arguments = (exercise, str(file), patience, sender, dict(os.environ))
    # A daemon may have no processes of its own. Without one, Python's end would wait for it: it is killed before.
    daemon = not exercises.starts_processes(exercise)
    process = _processes.Process(target=child.main, args=arguments, daemon=daemon)
    try:
        await asyncio.to_thread(process.start)  # waits until the helper has imported everything
        atexit.register(process.kill)
        sender.close()
        return await asyncio.wait_for(asyncio.to_thread(_received, receiver), patience)
    except TimeoutError:
        return Verdict(
            "error",
            f"Your code did not end in {limit:g} s and was stopped. Is there an endless loop, a call that "
            "blocks, or something that waits for what never comes?",
        )
    finally:
        atexit.unregister(process.kill)
        await asyncio.shield(asyncio.to_thread(_end, process))


def _received(receiver: Connection) -> Verdict:
    try:
        return receiver.recv()
    except EOFError:
        return Verdict(
            "error",
            "Your code ended the process that it ran in, without an error: os._exit(), or a crash in a library.",
        )
    finally:
        receiver.close()


def _end(process: BaseProcess) -> None:
    """Ends a check's process, and then the server of the lab that it may have left."""
    from course.lab.server import end_what_dead_labs_left, labs_folder

    with contextlib.suppress(ValueError, AssertionError):  # it was never started
        process.join(1)
        process.kill()
        process.join()
    end_what_dead_labs_left(labs_folder())
