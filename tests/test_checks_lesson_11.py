"""Exercise 11: the starter is not yet, the solution passes (test_checks_lessons.py), each wrong machine gets its own words."""

import os

import pytest

from course.checks import cell, check, exercises, lesson_11, runner
from course.checks.verdict import NotYet
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
    wrong(
        "the model closes",
        "escalated → closed by the model. With it, the model could move a ticket to closed while a colleague",
        besides(IN, '"escalated", "closed", "model", when="done"'),
    ),
    wrong(
        "the model asks back",
        "escalated → clarify by the model. With it, the model could move a ticket to clarify",
        besides(IN, '"escalated", "clarify", "model", when="done"'),
    ),
    wrong(
        "from clarify too",
        "clarify → escalated by the model. With it, the model could escalate a ticket that is in clarify",
        besides(IN, '"clarify", "escalated", "model", when="asked"'),
    ),
    wrong(
        "from reopened too",
        "could escalate a ticket that is in reopened, and it may from resolve alone",
        besides(IN, '"reopened", "escalated", "model", when="asked"'),
    ),
    wrong(
        "staff escalate from triage",
        "triage → escalated by staff. With it, staff could escalate a ticket",
        besides(IN, '"triage", "escalated", "staff"'),
    ),
    wrong(
        "the clock escalates",
        "resolve → escalated by the clock. With it, the clock could escalate a ticket",
        besides(IN, '"resolve", "escalated", "clock", after=timedelta(days=1)'),
    ),
    wrong(
        "staff give back to triage",
        "escalated → triage by staff. With it, staff could move an escalated ticket to triage",
        besides(IN, '"escalated", "triage", "staff"'),
    ),
    wrong(
        "staff ask whether that is all",
        "escalated → confirm by staff. With it, staff could move an escalated ticket to confirm",
        besides(IN, '"escalated", "confirm", "staff"'),
    ),
    wrong(
        "the clock of confirm is gone",
        "A move is missing: confirm → closed by the clock. Without it, a ticket would stay in confirm",
        (
            "        *MOVES,\n",
            '        *[m for m in MOVES if (m.from_state, m.by) != ("confirm", "clock")],\n',
        ),
    ),
    wrong(
        "a clock of the lesson's is impatient",
        "clarify → closed by the clock: `after` is 2 days",
        (
            "        *MOVES,\n",
            "        *[replace(m, after=m.after and min(m.after, timedelta(days=2))) for m in MOVES],\n",
        ),
    ),
    wrong(
        "no refund in resolve",
        "in resolve, the agent could not call refund any more",
        (
            "    | {\n",
            '    | {\n        "resolve": replace(STATES["resolve"], tools=("look_up_order", "check_stock")),\n',
        ),
    ),
    wrong(
        "reopened answers",
        "In reopened, the agent only sorts (`answers=False`)",
        ("    | {\n", '    | {\n        "reopened": replace(STATES["reopened"], answers=True),\n'),
    ),
    wrong(
        "a state of one's own",
        "resolve → waiting by staff. With it, a ticket could go a way that it has not in the lesson",
        ("    | {\n", '    | {\n        "waiting": State("Wait."),\n'),
        besides(IN, '"resolve", "waiting", "staff"', '"waiting", "closed", "staff"'),
    ),
    wrong(
        "another end",
        "`ends_after` is 7 days, 0:00:00, and the lesson's is 14 days",
        ("    TICKET,\n", "    TICKET,\n    ends_after=timedelta(days=7),\n"),
    ),
    wrong(
        "a tool more",
        "in escalated, the agent could call check_stock. It is to have look_up_order, and nothing else",
        (TOOLS, '("look_up_order", "check_stock")'),
    ),
]


async def test_a_starter_that_was_hardly_touched_is_not_yet() -> None:
    cell.exercise("11", exercises.load("11").STARTER + "\n# I have begun\n")
    verdict = await check("11")
    assert verdict.outcome == "not yet"
    assert "The move needs a line among the moves" in flat(verdict)


NO_MACHINE = [
    wrong("no way in", "No moves lead from 'triage' to 'escalated'", (IN, "")),
    wrong("no comma", "one name in a tuple needs a comma: ('look_up_order',).", (TOOLS, '("look_up_order")')),
    wrong("no such tool", "The state 'escalated': 'lookup_order' is no tool.", (TOOLS, '("lookup_order",)')),
    wrong("an activity", "'issue_refund' is no tool.", (TOOLS, '("look_up_order", "issue_refund")')),
    wrong(
        "duties",
        "'save_to_database' is no tool.",
        (TOOLS, '("look_up_order", "save_to_database", "send_notification")'),
    ),
    wrong("after two", "such as timedelta(days=2), and not 2.", ("timedelta(days=2)", "2")),
    wrong(
        "states in a tuple",
        "`states` is a dict, from a name to a State.",
        ("states=STATES\n    | {", "states=(*STATES, *{"),
        ("        )\n    },\n    moves", "        )\n    }),\n    moves"),
    ),
]
"""What the machine itself refuses when it is made."""


@pytest.mark.parametrize("answer", NO_MACHINE, ids=lambda answer: answer.name)
async def test_what_is_no_machine_is_explained_in_its_own_words(answer: Changed) -> None:
    cell.exercise("11", answer.code())
    verdict = await check("11")
    assert verdict.outcome == "error"
    assert answer.words in flat(verdict)


def test_a_desk_without_a_machine_is_told_where_it_goes() -> None:
    with pytest.raises(NotYet, match="hand yours to TicketDesk"):
        lesson_11._compared_as_data(lambda customer: object())


async def test_a_right_machine_that_is_written_otherwise_passes() -> None:
    answer = wrong(
        "otherwise",
        "",
        ("        *MOVES,\n", ""),
        (CLOCK, CLOCK.replace("days=2", "hours=48") + "        *reversed(MOVES),\n"),
        ("the customer asks for a person", "somebody is to look into it"),
        ("A colleague looks into the case. Tell the customer so, and what you know.", "Be kind."),
    )
    cell.exercise("11", answer.code())
    verdict = await check("11")
    assert verdict.passed, str(verdict)


# A sample, so that the suite stays short; with SOAK=1 every one.
TRIED = WRONG if os.environ.get("SOAK") else WRONG[::5]


@pytest.mark.parametrize("answer", TRIED, ids=lambda answer: answer.name)
async def test_a_wrong_machine_gets_its_own_words(answer: Changed) -> None:
    cell.exercise("11", answer.code())
    verdict = await check("11")
    assert verdict.outcome == "not yet", str(verdict)
    assert answer.words in flat(verdict)
