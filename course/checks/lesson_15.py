"""Exercise 15: a suite of the reader's, run against a right desk, another one, and desks that each break a promise."""

import os
from pathlib import Path

from course.checks.under_test import mutants, trials
from course.checks.under_test.trials import Outcome
from course.checks.verdict import NotYet, require
from course.checks.waiting import on_this_machine

IS_A_PROGRAM = True
"""It is run by pytest, beside each desk, and not imported."""

LIMIT_SECONDS = 120.0
"""Of the whole check, on a quiet machine. A solution takes some thirty."""

EACH = 40.0
"""Seconds for one desk: more than the 30 after which the harness makes a test red that waits."""


async def check(suite: Path) -> str:
    code = suite.read_text(encoding="utf-8")
    compile(code, suite, "exec")  # the reader's own words, before anything starts
    harness = (mutants.FOLDER / "conftest.py").read_text()
    files = {"test_desk.py": code, "conftest.py": harness}
    # Tests of this check try some of them.
    names = (os.environ.get("COURSE_MUTANTS") or ",".join(mutants.MUTANTS)).split(",")
    desks = [trials.RIGHT, trials.OTHERWISE, *map(trials.trial, names)]
    survived, tests = [], 0
    for trial, outcome in trials.run(files, desks, on_this_machine(EACH), first=2):
        if trial is trials.RIGHT:
            _is_green(outcome)
            tests = outcome.passed
        elif trial is trials.OTHERWISE:
            _is_green_again(outcome)
        elif not outcome.ended:
            raise NotYet(
                f"With a desk that breaks a promise ({trial.name}), your suite did not come to its end: {_why(outcome)}"
            )
        elif not outcome.red:
            survived.append(trial.name)
    if survived:
        noticed = f"{len(names) - len(survived)} of {len(names)} desks that break a promise"
        raise NotYet(f"""Your suite is green on two right desks, and notices {noticed}. It is green, too, with a desk with
            which {mutants.MUTANTS[survived[0]].harm}.""")
    return f"""{tests} tests, green on the right desk and on another one that keeps the same promises, and red with each of
        {len(names)} desks that break one."""


_SCRIPT = "Has the model's script an answer for every model call?"


def _why(outcome: Outcome) -> str:
    """Why a suite did not end."""
    test = outcome.running or "pytest itself"
    if outcome.died:
        return f"{test} ended its process: os._exit(), or a crash in a library."
    return f"""{test} waits for what never comes. {_SCRIPT} A test that waits for ever is never red: give it a limit, `async
        with asyncio.timeout(…)`."""


def _is_green(outcome: Outcome) -> None:
    require(outcome.ended, f"Your suite did not come to its end on the right desk: {_why(outcome)}")
    require(
        not outcome.red,
        f"On the right desk, {outcome.red} is red, and no promise is broken. It says: “{outcome.says}”"
        + (f" {_SCRIPT}" if "timeout" in outcome.says.lower() else ""),
    )
    require(
        outcome.passed,
        """pytest found no test that passes on the right desk. The name of a test begins with `test_`, that of a class with
        `Test`; a test that is skipped, or expected to fail, holds no promise.""",
    )


def _is_green_again(outcome: Outcome) -> None:
    other = "another one, whose code, keys and wording differ, and which keeps every promise"
    require(
        outcome.ended, f"On the right desk your suite is green. It does not end on {other}: {_why(outcome)}"
    )
    require(
        not outcome.red,
        f"""Your suite is green on the right desk, and {outcome.red} is red on {other}. It says: “{outcome.says}” Test what was
        promised, and not how the code is written.""",
    )
