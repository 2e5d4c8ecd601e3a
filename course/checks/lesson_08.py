"""Exercise 08: say what is done again, for a history with a mark in it. The deaths behind it are recorded, and real."""

import hashlib
import json
import random
from pathlib import Path
from typing import Any

from course.checks.talking import MODEL_CALL, quoted
from course.checks.verdict import NotYet, shortened

TITLE = "What is done again?"

STARTER = '''\
def predict(record, mark):
    """What is done again, when a worker has died.

    `record` is what the history held when it was dead: pairs of an event and what it is about, in order,
    such as ("ActivityTaskScheduled", "save_to_database"), ("ActivityTaskCompleted", "save_to_database").
    The same activity may be there more than once. `mark` is where the worker died:
        "before": an activity was in its hands, and had not begun
        "after": an activity was in its hands and had done its work; the server had not been told
        "workflow task": it ran the workflow's own code
    """
    return {
        "again": "TODO",  # the name of the activity that gets a second attempt, or None
        "paid_in_vain": 0,  # answers of the model that the provider counts and nobody uses
        "repeats_refused": 0,  # rows and mails that come a second time and are known by their key
    }
'''

HINTS = (
    "The record has two events of an activity that is done: scheduled and completed. What has only the first of them "
    "was in the worker's hands. Count by name, or walk through the record and strike out what is completed.",
    "Does it make a difference to the server whether the worker died before or after the activity's effect? And to the "
    "world?",
    "A call to the model has no key: done twice, it is paid twice. A row and a mail have one: the second is refused. "
    "A look-up is a read, which nobody counts and nobody refuses.",
)

DEATHS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("lesson_08.json").read_text())
"""Recorded by `python -m tests.tools.deaths`."""

KEYED = ("save_to_database", "send_notification")
READS = ("look_up_order", "check_stock")


def mark_of(death: dict[str, Any]) -> str:
    when = death["moment"].split()[0]
    return "workflow task" if death["moment"] == "before reply" else when


async def check(module: Any) -> str:
    predict = getattr(module, "predict", None)
    if not callable(predict):
        raise NotYet("There is no function `predict` in your cell. Keep the name: the check looks for it.")
    # Other code is asked about other deaths: what one answer gave away is of no use for the next.
    asked = questions(random.Random(hashlib.sha256(Path(module.__file__).read_bytes()).digest()))
    for death in asked:
        predicted = predict([tuple(pair) for pair in death["record"]], mark_of(death))
        if (
            not isinstance(predicted, dict)
            or not {"again", "paid_in_vain", "repeats_refused"} <= predicted.keys()
        ):
            raise NotYet(
                f"predict(…) returns {shortened(repr(predicted), 60)}; it returns a dict of again, paid_in_vain and "
                "repeats_refused."
            )
        _compare(death, predicted)
    return (
        f"{len(asked)} deaths that you had not seen, and you said of each what was done again, what was paid for in "
        "vain, and what a key refused."
    )


def questions(choice: random.Random) -> list[dict[str, Any]]:
    """One death of each kind, so that no rule is left out by luck."""
    kinds = [
        [d for d in DEATHS if d["moment"] == f"after {MODEL_CALL}"],
        [d for d in DEATHS if d["moment"] == f"before {MODEL_CALL}"],
        [d for d in DEATHS if d["moment"].startswith("after ") and d["repeats_refused"]],
        [d for d in DEATHS if d["moment"] in [f"before {name}" for name in KEYED]],
        *(
            [d for d in DEATHS if d["moment"] in [f"{when} {name}" for name in READS]]
            for when in ("before", "after")
        ),
        [d for d in DEATHS if d["moment"] == "before reply"],
        [
            d for d in DEATHS if "workflow task" in d["moment"]
        ],  # the one in hand is not the last that was asked for
    ]
    asked = [choice.choice(kind) for kind in kinds]
    choice.shuffle(asked)
    return asked


def _compare(death: dict[str, Any], predicted: dict[str, Any]) -> None:
    """Says the first prediction that this death did not bear out, and what was at work."""
    record, mark = death["record"], mark_of(death)
    event, name = record[-1]
    where = (
        f"A record of {len(record)} lines, after the message {quoted(death['messages'][-1])}; its last line is {event} "
        f"{name}, and the mark is {mark!r}."
    )
    again, said = death["again"], predicted["again"]
    if said != again:
        raise NotYet(f"{where} You predict again={said!r}. {_why_again(record, again, said)}")
    for key, why in (("paid_in_vain", _why_paid), ("repeats_refused", _why_refused)):
        if predicted[key] != death[key]:
            raise NotYet(
                f"{where} You predict {key}={predicted[key]!r}, and it was {death[key]}. {why(death)}"
            )


def _why_again(record: list[list[str]], again: str | None, said: Any) -> str:
    if again is None:
        return (
            "No activity was in the worker's hands: each one that was asked for stands there as completed. The workflow's "
            "code ran again, and no activity did."
        )
    if said is None:
        return f"{again} was asked for, and nothing says that it was completed. It got a second attempt."
    if ["ActivityTaskCompleted", said] in record and ["ActivityTaskScheduled", said] in record:
        return f"All that is on record of {said} is completed, and what is completed is not done again."
    return "Nothing on record was asked for under that name. Look for what was scheduled and not completed."


def _why_paid(death: dict[str, Any]) -> str:
    if death["paid_in_vain"]:
        return (
            "The model had answered, and the answer died with the worker. The second attempt asked again, and a call to a "
            "model has no key by which its provider could know a repeat."
        )
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
