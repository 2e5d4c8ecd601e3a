"""For a notebook: which test of a folder notices that a desk breaks a promise."""

import asyncio
import multiprocessing
import os
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from course.checks.waiting import on_this_machine

if TYPE_CHECKING:
    import pandas as pd

LIMIT_SECONDS = 60.0
"""For one desk, on a quiet machine."""

_processes = multiprocessing.get_context("forkserver")


async def noticed(folder: str | Path, *desks: str, tests: str = "test_*.py") -> "pd.DataFrame":
    """Runs the tests of a folder with pytest, against each of these desks, until the first of them is red.

    The folder's own desk is left alone: each desk is put beside a copy of the tests.

    Args:
        folder: Of `conftest.py`, the tests, and `recorded.json` if they read it.
        desks: "the right desk", or the name of one that breaks a promise (`course/checks/under_test/mutants.py`).
        tests: Which of its files pytest runs. The others are there, too.

    Returns:
        A row for each desk: its name, and the first test that was red, or "none".

    Raises KeyError for a name that no desk has, and RuntimeError if a run does not end.
    """
    from course.checks import runner  # late: it is what imports this
    from course.checks.under_test import trials

    for name in desks:
        trials.trial(name)
    files = [*Path(folder).glob("*.py"), *Path(folder).glob(trials.RECORDED)]
    suite = {file.name: file.read_text(encoding="utf-8") for file in files}
    runner.warm_up()
    receiver, sender = _processes.Pipe(duplex=False)
    limit = on_this_machine(LIMIT_SECONDS)
    process = _processes.Process(
        target=_tried, args=(suite, desks, tests, limit, sender, dict(os.environ)), daemon=True
    )
    await asyncio.to_thread(process.start)
    sender.close()
    try:
        found = await asyncio.to_thread(receiver.recv)
    except EOFError:
        raise RuntimeError("pytest ended without a word.") from None
    finally:
        process.kill()  # what it has forked ends with it
        await asyncio.to_thread(process.join)
        receiver.close()
    return _table(found)


def _table(found: list[tuple[str, str]]) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(found, columns=["desk", "first red test"])


def _tried(
    suite: dict[str, str],
    desks: tuple[str, ...],
    tests: str,
    limit: float,
    sender: Connection,
    environment: dict[str, str],
) -> None:
    """In a process of its own, which forks one for each desk."""
    from course.checks.under_test import trials

    os.environ.clear()
    os.environ.update(environment)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    found = []
    for trial, outcome in trials.run(suite, list(map(trials.trial, desks)), limit, tests=tests):
        red = outcome.red or (
            "none" if outcome.ended else f"{outcome.running or 'pytest'}, which did not end"
        )
        found.append((trial.name, red))
    sender.send(found)
    sender.close()
    os._exit(0)
