"""Answers to exercise 04, and what its check says to each."""

import random

from course.checks import lesson_04
from tests.checks.answers import *

STARTER = "has no place yet"


def predicts(code: str) -> Change:
    """Another `predict`, in place of the solution's."""
    return lambda solution: solution + code


BY_KIND = """
COSTS = {"tool": ((1, 2), (1, 2), (0, 1), (0, 1)), "step": ((1, 1), (1, 2), (1, 1), (1, 1))}


def predict(place, *counts):
    done, calls = zip(*COSTS.get(place, COSTS["step"]))
    return {
        "done": float(sum(a * b for a, b in zip(counts, done))),
        "model_calls": sum(a * b for a, b in zip(counts, calls)),
        "waits": int(place != "background"),
        "why": "one call answers",
    }
"""
SUMS_OF_THREE = """
def predict(place, plain, lookups, silent, refused):
    if place == "tool":
        return {"done": silent + refused, "model_calls": 9, "waits": True}
    return {"done": 6, "model_calls": 9 - plain, "waits": place == "step"}
"""
EQUAL_TO_ALL = """
class Any(int):
    def __eq__(self, other):
        return True


def predict(place, plain, lookups, silent, refused):
    return {"done": Any(0), "model_calls": Any(0), "waits": place != "background"}
"""

WRONG = {
    "record as a tool": ("3 messages, 2 rows", ('every message": "step"', 'every message": "tool"')),
    "stock as a step": ("2 reads were made", ('in stock": "tool"', 'in stock": "step"')),
    "refund as a tool": ("2 refunds were paid", ('cost": "proposal"', 'cost": "function tool"')),
    "calls as a step": ("reconstruct the calls", ('tool call": "hook"', 'tool call": "step"')),
    "tokens as a tool": ("when the model calls it", ('dashboard": "logger"', 'dashboard": "tool"')),
    "an unknown place": (
        "has no place yet: 'activity' is none",
        ('dashboard": "logger"', 'dashboard": "activity"'),
    ),
    "predicts rows for all": (
        "The model decides: it is obedient",
        ('"done": plain + lookups,', '"done": messages,'),
    ),
    "predicts no extra calls": (
        "what else asks the model again?",
        ('"model_calls": messages + lookups,', '"model_calls": messages,'),
    ),
    "forgets the call that is refused": (
        "model calls, and the record has",
        ("+ silent + refused,\n", "+ silent,\n"),
    ),
    "saves what is refused": (
        "it decides nothing in a run that its provider refused",
        ('"done": plain + lookups,', '"done": plain + lookups + refused,'),
    ),
    "predicts that all wait": (
        "the operation was done after the reply went out",
        ('"waits": place == "step"', '"waits": True'),
    ),
    "a list as a place": (
        "has no place yet: ['hook'] is none",
        ('tool call": "hook"', 'tool call": ["hook"]'),
    ),
    "predicts sums of three": (
        "you predict that the operation is carried out 6 times",
        predicts(SUMS_OF_THREE),
    ),
    "predicts what is equal to all": (
        "you predict that the operation is carried out 0 times, and the record has",
        predicts(EQUAL_TO_ALL),
    ),
    "predicts a word": (
        "waits is True or False, and you predict 'yes'",
        ('"waits": place == "step"', '"waits": "yes" if place == "step" else "no"'),
    ),
    "predicts nothing": ("returns None", ('    return {"done": messages, ', '    _ = {"done": messages, ')),
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

SAMPLE = {
    "record as a tool",
    "an unknown place",
    "predicts sums of three",
    "predicts what is equal to all",
    *RIGHT,
}


def test_every_kind_of_message_is_in_every_conversation_that_is_to_be_predicted() -> None:
    for seed in range(100):
        for variant in lesson_04._variants(random.Random(seed)):
            assert min(variant.plain, variant.lookups, variant.silent, variant.refused) >= 1
            assert variant.plain != variant.lookups
            assert variant.silent != variant.refused
            assert variant.plain + variant.lookups != variant.silent + variant.refused
            assert len(variant.messages()) <= 10
