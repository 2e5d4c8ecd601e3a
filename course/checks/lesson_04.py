"""Exercise 04: place the operations, and predict what the record will show."""

import asyncio
import numbers
import random
import re
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agents import Model

from course.checks.talking import MODEL_CALL, Scenes, Talk, dice_of, lab_for, misbehaves, own, predicted
from course.checks.verdict import NotYet, require, shortened
from course.desk import ConversationWorkflow
from course.lessons.lesson_02 import RefundByFunctionWorkflow
from course.lessons.lesson_04 import BothHandsWorkflow, DutyAsStepWorkflow, DutyAsToolWorkflow
from course.models import OfflineModel, ToolCall

WORDS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))

DUTY = {"tool": "save_to_database", "step": "save_to_database", "background": "send_notification"}
WORKFLOW = {"tool": DutyAsToolWorkflow, "step": DutyAsStepWorkflow, "background": ConversationWorkflow}
SILENT = "My leaves are brown, but please don't record this."
REFUSED = "Is it true that ivy is poisonous?"
PREDICTED = ("done", "model_calls", "waits")
MESSAGES = {"plain": "Thanks!", "lookups": "Where is order 1044?", "silent": SILENT, "refused": REFUSED}


@dataclass(frozen=True)
class Run:
    """A conversation that shows what a wrong place leads to, and the rows of its record that show it."""

    workflow: type
    model: Model
    messages: Sequence[str]
    rows: str


HALF = {"order_id": "1044", "amount_cents": 1300}
TWICE = [ToolCall("issue_refund", {"refund_id": f"R-{number}", **HALF}) for number in (1, 2)]
RUNS = {
    "say whether a plant is in stock": Run(
        BothHandsWorkflow,
        OfflineModel(),
        ("Thanks!", "How are you?"),
        'activity == "look_up_order" and decided_by == "workflow"',
    ),
    "pay back what an order cost": Run(
        RefundByFunctionWorkflow,
        OfflineModel(script=[TWICE, "I have paid it back."]),
        ("Please refund half of order 1044.",),
        'activity == "issue_refund" and status == "completed"',
    ),
    "keep a record of every message": Run(
        DutyAsToolWorkflow,
        misbehaves("obey"),
        ("Thanks!", SILENT, "Thanks!"),
        'activity == "save_to_database"',
    ),
}


@dataclass(frozen=True)
class Variant:
    """A conversation to predict: where the operation is, and how many messages there are of each kind."""

    place: str
    plain: int
    lookups: int
    silent: int
    refused: int

    def messages(self) -> list[str]:
        return [text for kind, text in MESSAGES.items() for _ in range(getattr(self, kind))]

    def __str__(self) -> str:
        where = "the notice in the background" if self.place == "background" else f"saving as a {self.place}"
        return f"with {where}, " + ", ".join(f"{kind}={getattr(self, kind)}" for kind in MESSAGES)


async def check(module: Any) -> str:
    await _places(module)
    variants = _variants(dice_of(module))
    model = Scenes(scenes={REFUSED: misbehaves("refuse")}, otherwise=misbehaves("obey"))
    async with lab_for(module, list(WORKFLOW.values()), model) as lab:
        predictions = [predicted(module, *asdict(variant).values(), keys=PREDICTED) for variant in variants]
        chats = [await lab.converse(WORKFLOW[variant.place], "ada") for variant in variants]
        runs = [_run(variant, chat) for variant, chat in zip(variants, chats, strict=True)]
        seen = await asyncio.gather(*runs)
    for variant, prediction, there in zip(variants, predictions, seen, strict=True):
        _compare(variant, prediction, there)
    return f"""{len(WORDS["operations"])} operations, each in its place, and {len(variants)} conversations that you had
        not seen went as you predicted: how often the operation was carried out, how many model calls there
        were, and who waited."""


# 1. The places


async def _places(module: Any) -> None:
    places, means = own(module, "PLACES", "dict"), WORDS["means"]
    for operation, words in WORDS["operations"].items():
        said = places.get(operation, "TODO")
        place = _named(said)
        if place not in means:
            known = ", ".join(f'"{one}"' for one in means)
            none = "" if said == "TODO" else f": {shortened(repr(said), 60)} is none"
            raise NotYet(f"“{operation}” has no place yet{none}. The places are {known}.")
        if place != words["belongs"]:
            tempting = {one: why for places, why in words.items() for one in places.split(", ")}
            why = tempting.get(place, means[place])
            if "{seen}" in why:
                why = why.format(seen=await _seen(module, RUNS[operation]))
            raise NotYet(f"“{operation}” as {place!r}: {why}")


def _named(place: Any) -> str:
    """A place as the table has it: the guide's own words for one will do, and its case does not matter."""
    words = " ".join(re.findall("[a-z]+", str(place).lower())) if isinstance(place, str) else ""
    return WORDS["guide"].get(words, words)


async def _seen(module: Any, run: Run) -> int:
    """How many rows of its record a run is about."""
    async with lab_for(module, [run.workflow], run.model) as lab:
        chat = await lab.converse(run.workflow, "ada")
        for message in run.messages:
            await chat.says(message)
        return len((await chat.activities()).query(run.rows))


# 2. The predictions


def _variants(choice: random.Random) -> list[Variant]:
    """One conversation for each place.

    Every kind of message is in it, or a prediction that forgets one would pass by luck. There are not as many
    plain ones as look-ups, nor silent as refused ones, nor both together: too much for one cannot make up for
    too little for the other, and no number is the same in all of them.
    """

    def some(place: str) -> Variant:
        tools, others = choice.sample([(1, 2), (1, 3), (2, 3)], 2)
        return Variant(place, *choice.sample(tools, 2), *choice.sample(others, 2))

    return [some("step"), some("tool"), some("background")]


async def _run(variant: Variant, chat: Talk) -> dict[str, Any]:
    """Plays a variant, and reads off its record what there was to predict."""
    for message in variant.messages():
        await chat.says(message)
    record = await chat.activities(times=True)
    duty = record[(record.activity == DUTY[variant.place]) & (record.status == "completed")]
    replied = await chat.replied()
    return {
        "done": len(duty),
        "model_calls": int((record.activity == MODEL_CALL).sum()),
        "waits": all(row.closed <= replied[row.turn] for row in duty.itertuples()),
    }


def _compare(variant: Variant, said: dict[str, Any], seen: dict[str, Any]) -> None:
    """Says the first prediction that the run contradicts, and why."""
    if _count(said["done"]) != seen["done"]:
        who = "Code decides, for every message that was accepted, whatever the model made of it."
        if variant.place == "tool":
            who = "The model decides: it is obedient, and it decides nothing in a run that its provider refused."
        raise NotYet(f"""In the run {variant}, you predict that the operation is carried out
            {said["done"]!r} times, and the record has {seen["done"]} rows of {DUTY[variant.place]}.
            {who}""")
    if _count(said["model_calls"]) != seen["model_calls"]:
        raise NotYet(f"""In the run {variant}, you predict {said["model_calls"]!r} model calls, and the record
            has {seen["model_calls"]}. Every message has one that answers; what else asks the model again?""")
    require(said["waits"] in (True, False), f"waits is True or False, and you predict {said['waits']!r}.")
    if bool(said["waits"]) != seen["waits"]:
        when = "before" if seen["waits"] else "after"
        raise NotYet(f"""In the run {variant}, you predict waits={said["waits"]!r}, and on record the
            operation was done {when} the reply went out.""")


def _count(number: Any) -> int | None:
    """A whole number as Python's own, which is equal to nothing but itself."""
    return int(number) if isinstance(number, numbers.Real) and number % 1 == 0 else None
