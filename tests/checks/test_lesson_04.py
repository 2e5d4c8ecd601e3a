"""Answers to exercise 04, and what its check says to each."""

import random

from course.checks import lesson_04
from tests.checks.answers import *

STARTER = "has no place yet"

WRONG = {
    "record as a tool": ("3 messages, 2 rows", ('every message": "step"', 'every message": "tool"')),
    "stock as a step": ("2 reads were made", ('in stock": "tool"', 'in stock": "step"')),
    "refund as a tool": ("2 refunds were paid", ('cost": "proposal"', 'cost": "function tool"')),
    "calls as a step": ("reconstruct the calls", ('tool call": "hook"', 'tool call": "step"')),
    "tokens as a tool": ("when the model calls it", ('dashboard": "logger"', 'dashboard": "tool"')),
    "an unknown place": ("has no place yet", ('dashboard": "logger"', 'dashboard": "activity"')),
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
    "predicts nothing": ("returns None", ('    return {"done": messages, ', '    _ = {"done": messages, ')),
}

RAISES = {
    "predicts by raising": (
        "Your code raised: KeyError: 'x' (line 27)",
        before('if place == "tool":', '{}["x"]'),
    )
}

SAMPLE = {"record as a tool", "an unknown place"}


def test_every_kind_of_message_is_in_every_conversation_that_is_to_be_predicted() -> None:
    for seed in range(100):
        for variant in lesson_04._variants(random.Random(seed)):
            assert min(variant.plain, variant.lookups, variant.silent, variant.refused) >= 1
            assert variant.plain != variant.lookups
            assert variant.silent != variant.refused
            assert len(variant.messages()) <= 6
