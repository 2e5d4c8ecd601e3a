"""Answers to exercise 11, and what its check says to each."""

import pytest

from course.checks import lesson_11
from course.checks.verdict import NotYet
from tests.checks.answers import *

TOOLS = '("look_up_order",)'
IN = 'Move("resolve", "escalated", "model", when="the customer asks for a person")'
CLOCK = 'Move("escalated", "resolve", "clock", after=timedelta(days=2))'


def besides(*moves: str) -> Change:
    return after(IN, *(f"Move({move})," for move in moves))


def state(text: str) -> Change:
    """One state more, or a lesson's state changed."""
    return after("| {", f"    {text},")


STARTER = "The move needs a line among the moves"

WRONG = {
    "every tool": ("and the money was paid", (TOOLS, '("look_up_order", "refund")')),
    "from triage too": ("came to a ticket in triage", besides('"triage", "escalated", "model"')),
    "the model leaves": ("the model proposed resolve", besides('"escalated", "resolve", "model"')),
    "no tool": ("the state's agent does not have this tool", (TOOLS, "()")),
    "a message leaves": ("the customer has no move", besides('"escalated", "triage", "customer"')),
    "too patient": ("and it is still there", ("days=2", "days=3")),
    "impatient": ("that is too early", ("days=2", "days=1")),
    "the clock closes": ("and it went to closed", (CLOCK, CLOCK.replace("resolve", "closed"))),
    "from confirm too": ("proposed escalated in confirm", besides('"confirm", "escalated", "model"')),
    "staff cannot close": (
        "to closed, and were refused: From escalated, the staff",
        instead('Move("escalated", "closed", "staff")'),
    ),
    "staff cannot give back": (
        "to resolve, and were refused: From escalated",
        instead('Move("escalated", "resolve", "staff")'),
    ),
    "staff escalate": ("Staff moved a ticket from resolve", besides('"resolve", "escalated", "staff"')),
    "by the customer": ("and the customer moved it to escalated", (IN, IN.replace('"model"', '"customer"'))),
    "the model closes": (
        "escalated → closed by the model. With it, the model could move a ticket to closed while a colleague",
        besides('"escalated", "closed", "model", when="done"'),
    ),
    "the model asks back": (
        "escalated → clarify by the model. With it, the model could move a ticket to clarify",
        besides('"escalated", "clarify", "model", when="done"'),
    ),
    "from clarify too": (
        "clarify → escalated by the model. With it, the model could escalate a ticket that is in clarify",
        besides('"clarify", "escalated", "model", when="asked"'),
    ),
    "from reopened too": (
        "could escalate a ticket that is in reopened, and it may do that only from resolve",
        besides('"reopened", "escalated", "model", when="asked"'),
    ),
    "staff escalate from triage": (
        "triage → escalated by staff. With it, staff could escalate a ticket",
        besides('"triage", "escalated", "staff"'),
    ),
    "the clock escalates": (
        "resolve → escalated by the clock. With it, the clock could escalate a ticket",
        besides('"resolve", "escalated", "clock", after=timedelta(days=1)'),
    ),
    "staff give back to triage": (
        "escalated → triage by staff. With it, staff could move an escalated ticket to triage",
        besides('"escalated", "triage", "staff"'),
    ),
    "staff ask whether that is all": (
        "escalated → confirm by staff. With it, staff could move an escalated ticket to confirm",
        besides('"escalated", "confirm", "staff"'),
    ),
    "the clock of confirm is gone": (
        "A move is missing: confirm → closed by the clock. Without it, a ticket would stay in confirm",
        ("*MOVES", '*[m for m in MOVES if (m.from_state, m.by) != ("confirm", "clock")]'),
    ),
    "a clock of the lesson's is impatient": (
        "clarify → closed by the clock: `after` is 2 days",
        ("*MOVES", "*[replace(m, after=m.after and min(m.after, timedelta(days=2))) for m in MOVES]"),
    ),
    "no refund in resolve": (
        "in resolve, the agent could not call refund any more",
        state('"resolve": replace(STATES["resolve"], tools=("look_up_order", "check_stock"))'),
    ),
    "reopened answers": (
        "In reopened, the agent only sorts (`answers=False`)",
        state('"reopened": replace(STATES["reopened"], answers=True)'),
    ),
    "a state of one's own": (
        "resolve → waiting by staff. With it, a ticket could take a path that the lesson does not have",
        state('"waiting": State("Wait.")'),
        besides('"resolve", "waiting", "staff"', '"waiting", "closed", "staff"'),
    ),
    "one customer for all": (
        "ben wrote “I am ada. Which plants are in order 1046?”, and in escalated the agent looked it up",
        ("super().__init__(customer, MACHINE)", 'super().__init__("ada", MACHINE)'),
    ),
    "another end": (
        "`ends_after` is 7 days, 0:00:00, and the lesson's is 14 days",
        before("states=STATES", "ends_after=timedelta(days=7),"),
    ),
    "no word on when": (
        "resolve → escalated by the model: `when` is empty",
        (IN, IN.replace(', when="the customer asks for a person"', "")),
    ),
    "no instructions": (
        "In escalated, the agent has no instructions",
        ("A colleague looks into the case. Tell the customer so, and what you know.", " "),
    ),
    "a tool more": (
        "in escalated, the agent could call check_stock. It should have look_up_order, and nothing else",
        (TOOLS, '("look_up_order", "check_stock")'),
    ),
}

RAISES = {
    "no way in": ("No moves lead from 'triage' to 'escalated'", instead(IN)),
    "no comma": ("one name in a tuple needs a comma: ('look_up_order',).", (TOOLS, '("look_up_order")')),
    "it only sorts": (
        "Shall its agent answer the customer? Then leave `answers` True.",
        (TOOLS, f"{TOOLS}, answers=False"),
    ),
    "no such tool": ("The state 'escalated': 'lookup_order' is not a tool.", (TOOLS, '("lookup_order",)')),
    "an activity": ("'issue_refund' is not a tool.", (TOOLS, '("look_up_order", "issue_refund")')),
    "duties": (
        "'save_to_database' is not a tool.",
        (TOOLS, '("look_up_order", "save_to_database", "send_notification")'),
    ),
    "after two": ("such as timedelta(days=2), and not 2.", ("timedelta(days=2)", "2")),
    "states in a tuple": (
        "`states` is a dict, from a name to a State.",
        ("states=STATES\n    | {", "states=(*STATES, *{"),
        ("        )\n    },\n    moves", "        )\n    }),\n    moves"),
    ),
}

RIGHT = {
    "a machine that is written otherwise": (
        instead("*MOVES"),
        after(CLOCK, "*reversed(MOVES),"),
        ("days=2", "hours=48"),
        ("the customer asks for a person", "somebody is to look into it"),
        ("A colleague looks into the case. Tell the customer so, and what you know.", "Be kind."),
    )
}

SAMPLE = {"every tool", "too patient", "staff cannot close", "no word on when", "after two", *RIGHT}


def test_a_desk_without_a_machine_is_told_where_it_goes() -> None:
    with pytest.raises(NotYet, match="hand yours to TicketDesk"):
        lesson_11._compared_as_data(lambda customer: object())
