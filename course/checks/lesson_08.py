"""Exercise 08: say what is done again, for a history with a mark in it. Its deaths are real, and were recorded."""

import json
import random
import re
from pathlib import Path
from typing import Any

from course.checks.talking import MODEL_CALL, dice_of, predicted
from course.checks.verdict import NotYet, quoted

DEATHS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("lesson_08.json").read_text())
"""Recorded by `python -m tests.tools.deaths`."""

READS, KEYED = "(look_up_order|check_stock)", "(save_to_database|send_notification)"
KINDS = (
    f"after {MODEL_CALL}",
    f"before {MODEL_CALL}",
    f"before {KEYED}",
    f"before {READS}",
    f"after {READS}",
    "before reply",
    f"after {KEYED}",
    # Two side by side: the one in hand is not the last that was asked for, or a batch, which has a key, too.
    "(before|after) send_notification, .*",
    "after process_batch, .*",
    "before process_batch, .*",
)
"""Of moments at which a worker died: patterns."""


def mark_of(death: dict[str, Any]) -> str:
    when = death["moment"].split()[0]
    return "workflow task" if death["moment"] == "before reply" else when


async def check(module: Any) -> str:
    asked = questions(dice_of(module))
    for death in asked:
        pairs = [tuple(pair) for pair in death["record"]]
        keys = ("again", "paid_in_vain", "repeats_refused")
        _compare(death, predicted(module, pairs, mark_of(death), keys=keys))
    return f"""{len(asked)} deaths that you had not seen, and you said of each what was done again, what was
        paid for in vain, and what a key refused."""


def questions(choice: random.Random) -> list[dict[str, Any]]:
    """One death of each kind, so that no rule is left out by luck."""
    kinds = [[death for death in DEATHS if re.fullmatch(kind, death["moment"])] for kind in KINDS]
    asked = [choice.choice(kind) for kind in kinds]
    choice.shuffle(asked)
    return asked


def _compare(death: dict[str, Any], prediction: dict[str, Any]) -> None:
    """Says the first prediction that this death contradicts, and why."""
    record, mark = death["record"], mark_of(death)
    event, name = record[-1]
    where = f"""A record of {len(record)} lines (below), after the message {quoted(death["messages"][-1])}; its last line is
        {event} {name}, and the mark is {mark!r}."""
    lines = [f"    {event:34}{about}" for event, about in record]
    again, said = death["again"], prediction["again"]
    if said != again:
        raise NotYet(f"{where} You predict again={said!r}. {_why_again(record, again, said)}", lines)
    for key, why in (("paid_in_vain", _why_paid), ("repeats_refused", _why_refused)):
        if prediction[key] != death[key]:
            raise NotYet(
                f"""{where} You predict {key}={prediction[key]!r}, and it was {death[key]}.
                {why(death)}""",
                lines,
            )


def _why_again(record: list[list[str]], again: str | None, said: Any) -> str:
    if again is None:
        return """No activity was in the worker's hands: each one that was asked for is there as
            completed. The workflow's code ran again, and no activity did."""
    if said is None:
        return f"{again} was asked for, and nothing says that it was completed. It got a second attempt."
    if ["ActivityTaskCompleted", said] in record and ["ActivityTaskScheduled", said] in record:
        return f"All that is on record of {said} is completed, and what is completed is not done again."
    return "Nothing on record was asked for under that name. Look for what was scheduled and not completed."


def _why_paid(death: dict[str, Any]) -> str:
    if death["paid_in_vain"]:
        return """The model had answered, and the answer died with the worker. The second attempt asked again,
            and a call to a model has no key by which its provider could recognise a repeat."""
    if death["again"] == MODEL_CALL:
        return "The worker died before it had asked the model, so the provider counts one answer."
    return "The model calls of this turn are completed: their answers are on record, and nobody asks again."


def _why_refused(death: dict[str, Any]) -> str:
    if death["repeats_refused"]:
        return f"The effect of {death['again']} was there. The second attempt came with the same key, and was refused."
    if mark_of(death) == "workflow task":
        return "No activity was done a second time, so there was nothing to refuse."
    if mark_of(death) == "before":
        return "The first attempt had no effect yet, so the second one's was the first."
    return f"{death['again']} writes nothing and sends nothing, so there is nothing that a key could refuse."
