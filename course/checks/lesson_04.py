"""Exercise 04: place the operations, and predict what omission, repetition and wrong arguments a place allows."""

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

from course.checks.talking import Scenes, Talk, dice_of, lab_for, misbehaves, own, predicted
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
REPEATED = "How much light does a Ficus need?"
PREDICTED = ("missing", "again", "untrue", "waits")
MESSAGES = {
    "plain": "Thanks!",
    "lookups": "Where is order 1044?",
    "silent": SILENT,
    "refused": REFUSED,
    "repeated": REPEATED,
}


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
    repeated: int

    def messages(self) -> list[str]:
        return [text for kind, text in MESSAGES.items() for _ in range(getattr(self, kind))]

    def __str__(self) -> str:
        where = "the notice in the background" if self.place == "background" else f"saving as a {self.place}"
        return f"with {where}, " + ", ".join(f"{kind}={getattr(self, kind)}" for kind in MESSAGES)


async def check(module: Any) -> str:
    await _places(module)
    variants = _variants(dice_of(module))
    scenes = {REFUSED: misbehaves("refuse"), REPEATED: misbehaves("repeat")}
    model = Scenes(scenes=scenes, otherwise=misbehaves("obey"))
    async with lab_for(module, list(WORKFLOW.values()), model) as lab:
        predictions = [predicted(module, *asdict(variant).values(), keys=PREDICTED) for variant in variants]
        chats = [await lab.converse(WORKFLOW[variant.place], "ada") for variant in variants]
        runs = [_run(variant, chat) for variant, chat in zip(variants, chats, strict=True)]
        seen = await asyncio.gather(*runs)
    for variant, prediction, there in zip(variants, predictions, seen, strict=True):
        _compare(variant, prediction, there)
    return f"""{len(WORDS["operations"])} operations, each in its place, and {len(variants)} conversations that you had
        not seen went as you predicted: what was left out, what was asked for again, what was untrue, and who
        waited."""


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
    """A conversation for each place, and a second one for the tool.

    Every kind of message is in each, or a prediction that forgets one would pass by luck. Within one, no two of
    what there is to predict are the same number; between the two of the tool, none stays the same.
    """
    three = choice.sample((1, 2, 3), 3)
    few, many = choice.sample((1, 2), 2), choice.sample((1, 3), 2)

    def conversation(place: str, turned: int, others: list[int]) -> Variant:
        plain, lookups, repeated = three[turned:] + three[:turned]
        return Variant(place, plain, lookups, *others, repeated)

    pairs = choice.sample((few, many), 2)
    tools = [conversation("tool", turned, others) for turned, others in enumerate(pairs)]
    return [conversation("step", 2, few), *tools, conversation("background", 0, many)]


async def _run(variant: Variant, chat: Talk) -> dict[str, Any]:
    """Plays a variant, and reads off its record what there was to predict."""
    messages = variant.messages()
    said = [await chat.says(message) for message in messages]
    duty = await chat.rows(DUTY[variant.place])
    duty = duty[duty.status == "completed"]
    replied, once = await chat.replied(), duty.drop_duplicates("turn")
    true = sum(_is_true(row.input, messages[row.turn - 1], said[row.turn - 1]) for row in once.itertuples())
    return {
        "missing": len(messages) - len(once),
        "again": len(duty) - len(once),
        "untrue": len(once) - true,
        "waits": all(row.closed <= replied[row.turn] for row in duty.itertuples()),
    }


def _is_true(arguments: list[Any], message: str, reply: str) -> bool:
    """Whether a save holds the reply that was given, and a notice the message that came."""
    what = arguments[1]
    return what["answer"] == reply if isinstance(what, dict) else message in what


def _compare(variant: Variant, said: dict[str, Any], seen: dict[str, Any]) -> None:
    """Says the first prediction that the run contradicts, and why."""
    hand = "tool" if variant.place == "tool" else "step"
    for key in PREDICTED[:3]:
        if _count(said[key]) != seen[key]:
            raise NotYet(f"""In the conversation {variant}, you predict {key}={said[key]!r}, and on record it
                is {seen[key]}. {WHY[hand][key]}""")
    require(said["waits"] in (True, False), f"waits is True or False, and you predict {said['waits']!r}.")
    if bool(said["waits"]) != seen["waits"]:
        when = "before" if seen["waits"] else "after"
        raise NotYet(f"""In the conversation {variant}, you predict waits={said["waits"]!r}, and on record the
            operation was done {when} the reply went out.""")


WHY = {
    "tool": {
        "missing": "As a tool, the model decides whether it runs: this model obeys the customer, and it decides nothing in an agent run that its provider refuses.",
        "again": "As a tool, the model decides how often it runs. Which kind of message is asked for twice?",
        "untrue": "As a tool, the model writes the arguments, and it writes them before the reply exists. For which kind of message does it not know its answer yet?",
    },
    "step": {
        "missing": "Code decides, for every message that was accepted, whatever the model made of it.",
        "again": "Code asks for it once in each turn. A model that repeats its tool calls changes nothing.",
        "untrue": "Code puts the arguments together, after the agent run. Even an apology is in a variable by then.",
    },
}


def _count(number: Any) -> int | None:
    """A whole number as Python's own, which is equal to nothing but itself."""
    return int(number) if isinstance(number, numbers.Real) and number % 1 == 0 else None
