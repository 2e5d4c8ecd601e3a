"""What runs in a check's own process: the reader's module, and the lesson's check of it."""

import asyncio
import contextlib
import importlib
import io
import os
import signal
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType

from course.checks import exercises
from course.checks.complaints import does_not_take, is_own, own_words
from course.checks.verdict import NotYet, Verdict, one_line, shortened
from course.lab import compat


def main(lesson: str, file: str, limit: float, sender: Connection, environment: dict[str, str]) -> None:
    """Sends one `Verdict` and ends the process. The environment is the kernel's; the helper's is of its own start."""
    os.environ.clear()
    os.environ.update(environment)
    signal.alarm(int(limit) + 5)  # if the kernel dies, nobody else ends an endless loop
    sys.dont_write_bytecode = True
    compat.share_the_fork_server()
    with _captured() as printed:
        verdict = _judged(lesson, Path(file))
    lines = printed.getvalue().strip().splitlines()
    if lines:
        more = f" … ({len(lines)} lines)" if len(lines) > 1 else ""
        verdict = Verdict(
            verdict.outcome, verdict.text, f"Your code printed: {shortened(lines[0], 80)}{more}"
        )
    sender.send(verdict)
    sender.close()
    os._exit(0)  # threads of the reader's that never end are not waited for


def _judged(lesson: str, file: Path) -> Verdict:
    check = exercises.check_of(lesson)
    module: ModuleType | None = None
    try:
        # A program is run by its check, in a process of its own.
        module = None if exercises.is_a_program(lesson) else _imported(file)
        # Not asyncio.run: it would first wait for what the reader's code has left undone.
        seen = asyncio.new_event_loop().run_until_complete(check(module or file))
        return Verdict("passed", one_line(seen))
    except NotYet as difference:
        return Verdict(difference.outcome, str(difference))
    except SystemExit:
        return Verdict("error", "Your code calls sys.exit(), which ends the whole worker. Return, or raise.")
    except BaseException as error:
        own_file = f"{file.parent.name}/{file.name}"
        if is_own(error, own_file) or does_not_take(error, module):
            return Verdict("error", own_words(error, own_file))
        fault = shortened(f"{type(error).__name__}: {error}")
        return Verdict("error", f"The check itself failed, which is not your fault: {fault}")


def _imported(file: Path) -> ModuleType:
    """Imports the reader's module by its name: the sandbox imports it again for every workflow."""
    sys.path.insert(0, str(file.parent))
    return importlib.import_module(file.stem)


@contextlib.contextmanager
def _captured() -> Iterator[io.StringIO]:
    """Keeps what is printed, from Python; what libraries write past Python goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        yield printed
