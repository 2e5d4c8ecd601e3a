"""Answers to exercise 04, and what its check says to each."""

import random

from course.checks import lesson_04
from tests.checks.answers import *

STARTER = "has no place yet"


def predicts(code: str) -> Change:
    """Another `predict`, in place of the solution's."""
    return lambda solution: solution + code


BY_KIND = """
COSTS = {"missing": (0, 0, 1, 1, 0), "again": (0, 0, 0, 0, 1), "untrue": (0, 1, 0, 0, 0)}


def predict(place, *counts):
    sums = {key: sum(a * b for a, b in zip(counts, each)) for key, each in COSTS.items()}
    return {
        **{key: float(number) if place == "tool" else 0 for key, number in sums.items()},
        "waits": int(place != "background"),
        "why": "a tool is the model's",
    }
"""
CONSTANTS = """
def predict(place, plain, lookups, silent, refused, repeated):
    if place == "tool":
        return {"missing": 3, "again": 1, "untrue": 2, "waits": True}
    return {"missing": 0, "again": 0, "untrue": 0, "waits": place == "step"}
"""
EQUAL_TO_ALL = """
class Any(int):
    def __eq__(self, other):
        return True


def predict(place, plain, lookups, silent, refused, repeated):
    return {"missing": Any(9), "again": Any(9), "untrue": Any(9), "waits": place != "background"}
"""

WRONG = {
    "record as a tool": ("3 messages, 2 rows", ('every message": "step"', 'every message": "tool"')),
    "stock as a step": ("2 reads were made", ('in stock": "tool"', 'in stock": "step"')),
    "refund as a tool": ("2 refunds were paid", ('cost": "proposal"', 'cost": "function tool"')),
    "calls as a step": ("reconstruct the calls", ('tool call": "hook"', 'tool call": "step"')),
    "calls on a schedule": ("runs by the clock", ('tool call": "hook"', 'tool call": "schedule"')),
    "an unknown place": (
        "has no place yet: 'activity' is none",
        ('tool call": "hook"', 'tool call": "activity"'),
    ),
    "predicts that a tool is never left out": (
        "it decides nothing in an agent run that its provider refuses",
        ('"missing": silent + refused,', '"missing": 0,'),
    ),
    "predicts that only the obedient leave it out": (
        "this model obeys the customer",
        ('"missing": silent + refused,', '"missing": silent,'),
    ),
    "predicts that a key keeps it from being asked for": (
        "Which kind of message is asked for twice?",
        ('"again": repeated,', '"again": 0,'),
    ),
    "predicts that what is saved is true": (
        "For which kind of message does it not know its answer yet?",
        ('"untrue": lookups,', '"untrue": 0,'),
    ),
    "predicts that an apology is not saved": (
        "Code decides, for every message that was accepted",
        ('"missing": 0,', '"missing": refused,'),
    ),
    "predicts that a step is repeated": (
        "Code asks for it once in each turn",
        ('"again": 0,', '"again": repeated,'),
    ),
    "predicts that a step saves what is untrue": (
        "Even an apology is in a variable by then",
        ('"untrue": 0,', '"untrue": refused,'),
    ),
    "predicts that all wait": (
        "the operation was done after the reply went out",
        ('"waits": place == "step"', '"waits": True'),
    ),
    "a list as a place": (
        "has no place yet: ['hook'] is none",
        ('tool call": "hook"', 'tool call": ["hook"]'),
    ),
    "predicts constants": ("with saving as a tool, … and on record it is", predicts(CONSTANTS)),
    "predicts what is equal to all": ("you predict missing=9, and on record it is 0", predicts(EQUAL_TO_ALL)),
    "predicts a word": (
        "waits is True or False, and you predict 'yes'",
        ('"waits": place == "step"', '"waits": "yes" if place == "step" else "no"'),
    ),
    "predicts nothing": ("returns None", ('    return {"missing": 0, ', '    _ = {"missing": 0, ')),
}

RAISES = {
    "predicts by raising": (
        "Your code raised: KeyError: 'x' (line 27)",
        before('if place == "tool":', '{}["x"]'),
    )
}

GUIDE = {
    '"function tool"': '"async function tool that runs activities"',
    'every message": "step"': 'every message": "Workflow step"',
    '"proposal"': '"Proposal"',
    'in stock": "tool"': 'in stock": "activity_as_tool"',
    '"hook"': '"run hook"',
}
RIGHT = {
    "the guide's own words": tuple(GUIDE.items()),
    "costs by kind, other numbers": (predicts(BY_KIND),),
}

SAMPLE = {"record as a tool", "predicts constants", "costs by kind, other numbers"}


def test_every_kind_of_message_is_in_every_conversation_that_is_to_be_predicted() -> None:
    for seed in range(100):
        variants = lesson_04._variants(random.Random(seed))
        for variant in variants:
            assert min(variant.plain, variant.lookups, variant.silent, variant.refused, variant.repeated) >= 1
            assert len({variant.plain, variant.lookups, variant.repeated}) == 3
            assert variant.silent != variant.refused
            assert len(variant.messages()) <= 10
        one, other = (variant for variant in variants if variant.place == "tool")
        assert one.silent + one.refused != other.silent + other.refused
        assert one.lookups != other.lookups
        assert one.repeated != other.repeated
