"""Exercise 11: the starter is not yet, the solution passes (test_checks_lessons.py), each wrong machine gets its own words."""

import os

import pytest

from course.checks import cell, check, exercises, runner
from tests.test_checks import beside_a_notebook, nothing_is_left_behind
from tests.test_checks_lessons import Changed, flat

__all__ = ["beside_a_notebook", "nothing_is_left_behind"]

runner.warm_up()

TOOLS = '("look_up_order",)'
IN = '        Move("resolve", "escalated", "model", when="the customer asks for a person"),\n'
STAFF_BACK = '        Move("escalated", "resolve", "staff"),\n'
STAFF_CLOSE = '        Move("escalated", "closed", "staff"),\n'
CLOCK = '        Move("escalated", "resolve", "clock", after=timedelta(days=2)),\n'


def wrong(name: str, words: str, *changes: tuple[str, str]) -> Changed:
    return Changed("11", name, words, changes)


def besides(line: str, *more: str) -> tuple[str, str]:
    return line, line + "".join(f"        Move({one}),\n" for one in more)


WRONG = [
    wrong("every tool", "and the money was paid", (TOOLS, '("look_up_order", "refund")')),
    wrong("from triage too", "came to a ticket in triage", besides(IN, '"triage", "escalated", "model"')),
    wrong("the model leaves", "the model proposed resolve", besides(IN, '"escalated", "resolve", "model"')),
    wrong("no tool", "the state's agent does not have this tool", (TOOLS, "()")),
    wrong("a message leaves", "the customer has no move", besides(IN, '"escalated", "triage", "customer"')),
    wrong("too patient", "and it is still there", ("days=2", "days=3")),
    wrong("impatient", "that is too early", ("days=2", "days=1")),
    wrong("no clock", "and it is still there", (CLOCK, "")),
    wrong("the clock closes", "and it went to closed", (CLOCK, CLOCK.replace("resolve", "closed"))),
    wrong(
        "from confirm too", "proposed escalated in confirm", besides(IN, '"confirm", "escalated", "model"')
    ),
    wrong("staff cannot close", "to closed, and were refused: From escalated, the staff", (STAFF_CLOSE, "")),
    wrong("staff cannot give back", "to resolve, and were refused: From escalated", (STAFF_BACK, "")),
    wrong(
        "staff escalate", "Staff moved a ticket from resolve", besides(IN, '"resolve", "escalated", "staff"')
    ),
    wrong(
        "by the customer", "and the customer moved it to escalated", (IN, IN.replace('"model"', '"customer"'))
    ),
]


async def test_a_starter_that_was_hardly_touched_is_not_yet() -> None:
    cell.exercise("11", exercises.load("11").STARTER + "\n# I have begun\n")
    verdict = await check("11")
    assert verdict.outcome == "not yet"
    assert "The move needs a line among the moves" in flat(verdict)


async def test_a_machine_in_which_tickets_get_lost_is_explained_in_its_own_words() -> None:
    cell.exercise("11", wrong("no way in", "", (IN, "")).code())
    verdict = await check("11")
    assert not verdict.passed
    assert "No moves lead from 'triage' to 'escalated'" in flat(verdict)


# A sample, so that the suite stays short; with SOAK=1 every one.
TRIED = WRONG if os.environ.get("SOAK") else WRONG[::5]


@pytest.mark.parametrize("answer", TRIED, ids=lambda answer: answer.name)
async def test_a_wrong_machine_gets_its_own_words(answer: Changed) -> None:
    cell.exercise("11", answer.code())
    verdict = await check("11")
    assert verdict.outcome == "not yet", str(verdict)
    assert answer.words in flat(verdict)
