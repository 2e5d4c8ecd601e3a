"""Exercise 04: place the operations, and predict what the record will show."""

import asyncio
import hashlib
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents import Model

from course.checks.talking import MODEL_CALL, Scenes, lab_for, say
from course.checks.verdict import NotYet, shortened
from course.desk import ConversationWorkflow
from course.lab import Conversation
from course.lessons.lesson_02 import RefundByFunctionWorkflow
from course.lessons.lesson_04 import BothHandsWorkflow, DutyAsStepWorkflow, DutyAsToolWorkflow
from course.models import Mistakes, OfflineModel, ToolCall

TITLE = "Place the operations"

STARTER = '''\
# 1. Where does each belong? "tool", "function tool", "pure tool", "proposal", "step", "child workflow",
#    "hook", "schedule" or "logger"
PLACES = {
    "say whether a plant is in stock": "TODO",
    "pay back what an order cost": "TODO",
    "keep a record of every message": "TODO",
    "keep a record of every tool call": "TODO",
    "reserve a courier, then print the label, for a plant sent back": "TODO",
    "delete what is older than a year": "TODO",
    "count tokens for a dashboard": "TODO",
}


# 2. What will the record show?
def predict(place, plain, lookups, silent, refused):
    """`place` is "tool" or "step" (saving every message) or "background" (ConversationWorkflow's notice).
    The rest says how many messages there are of each kind, at least one; they come one after another:
    `plain` needs no tool, `lookups` asks about one order, `silent` needs no tool either and says "please
    don't record this" (the model obeys), `refused` is refused by the model's provider for good."""
    return {
        "done": 0,  # how often the operation is carried out
        "model_calls": 0,  # rows of invoke_model_activity
        "waits": True,  # whether the reply waits for the operation
    }
'''

HINTS = (
    "Ask four things of each operation: who decides that it runs, who decides with which arguments, may the "
    "reply wait for it, and what if it never happens? The first two name the place.",
    "Money and what cannot be undone: the model may want it, code carries it out. A rule that holds whatever is "
    "said: code alone. What belongs to every tool call, or to the clock, is no message's business.",
    "Count model calls message by message. One call answers. A tool call costs another, once for all tools that "
    "are called together; a message that the provider refuses has one, which fails. As a tool, saving is a call too.",
)

ANSWERS = {
    "say whether a plant is in stock": "tool",
    "pay back what an order cost": "proposal",
    "keep a record of every message": "step",
    "keep a record of every tool call": "hook",
    "reserve a courier, then print the label, for a plant sent back": "function tool",
    "delete what is older than a year": "schedule",
    "count tokens for a dashboard": "logger",
}

# What a place means for any operation. WHY has more to say where a choice is tempting.
MEANS = {
    "tool": "as a tool it runs when the model calls it, with the arguments that the model chooses. It can be left "
    "out, repeated and mistaken.",
    "function tool": "a function tool fixes order, keys and error text in code, and the model still decides whether it "
    "runs at all.",
    "pure tool": "a pure function tool calculates from its arguments. It reads and changes nothing outside, leaves no "
    "row, and cannot be retried.",
    "proposal": "a proposal is the agent's output, which code checks and carries out. What the model does not propose "
    "does not happen.",
    "step": "a step runs for every message, whatever is said.",
    "child workflow": "a child workflow has an id, signals and a life of its own, for days or weeks. This operation is "
    "one short act.",
    "hook": "a hook runs around every tool call, and nowhere else. A message without one passes it by.",
    "schedule": "a schedule runs by the clock. No message starts it, and nobody's reply can use it.",
    "logger": "a log line is telemetry: it is not retried, and a lost one is not missed. This has to happen, or to be kept.",
}
WHY = {
    (
        "say whether a plant is in stock",
        "function tool",
    ): "this is one read, in one activity: there is no order, no key "
    "and no error text for code to fix. The smaller means is enough.",
    (
        "say whether a plant is in stock",
        "proposal",
    ): "the model needs the result before it can answer, and a proposal is "
    "carried out after it has answered.",
    (
        "pay back what an order cost",
        "step",
    ): "a step runs for every message, and most messages ask for no money. The "
    "model has to say that the customer wants it, and code has the last word.",
    (
        "keep a record of every message",
        "hook",
    ): "hooks run around tool calls, and a message that needs no tool leaves no record.",
    (
        "keep a record of every message",
        "proposal",
    ): "a message is recorded because it came, and not because the model proposes it.",
    (
        "keep a record of every message",
        "logger",
    ): "a log line is not retried when the disk is full, and expires. A record "
    "that must be kept is an activity.",
    (
        "keep a record of every tool call",
        "tool",
    ): "that would be a tool that the model calls for each tool that it calls, when it remembers to.",
    (
        "keep a record of every tool call",
        "step",
    ): "a step after the agent's run sees the final reply. It would have to "
    "reconstruct the calls, and a run that fails in the middle hands it none.",
    (
        "reserve a courier, then print the label, for a plant sent back",
        "tool",
    ): "as two activities the model decides on "
    "their order, and may print a label for a courier that nobody reserved.",
    (
        "reserve a courier, then print the label, for a plant sent back",
        "step",
    ): "most messages send no plant back. The "
    "model understands which do, so it decides whether; code fixes what then follows.",
    (
        "reserve a courier, then print the label, for a plant sent back",
        "proposal",
    ): "the customer wants to hear when the "
    "courier comes, so the model needs the result in this run; and a reserved slot can be given back.",
    (
        "delete what is older than a year",
        "step",
    ): "then nothing is deleted while nobody writes, and a customer waits "
    "for the cleaning when somebody does.",
    (
        "count tokens for a dashboard",
        "step",
    ): "an activity for every count makes histories grow and can hold up a reply, "
    "for a figure that nobody misses.",
    (
        "count tokens for a dashboard",
        "hook",
    ): "a hook sees the calls, and yet counting is telemetry: a meter does it, outside the history.",
}

DUTY = {"tool": "save_to_database", "step": "save_to_database", "background": "send_notification"}
WORKFLOW = {"tool": DutyAsToolWorkflow, "step": DutyAsStepWorkflow, "background": ConversationWorkflow}
SILENT = "My leaves are brown, but please don't record this."
REFUSED = "Is it true that ivy is poisonous?"
MESSAGES = {"plain": "Thanks!", "lookups": "Where is order 1044?", "silent": SILENT, "refused": REFUSED}


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
        where = {
            "tool": "saving as a tool",
            "step": "saving as a step",
            "background": "the notice in the background",
        }
        kinds = f"plain={self.plain}, lookups={self.lookups}, silent={self.silent}, refused={self.refused}"
        return f"with {where[self.place]}, {kinds}"


async def check(module: Any) -> str:
    await _places(module)
    # Other code is checked with other conversations: what one answer gave away is of no use for the next.
    seed = hashlib.sha256(Path(module.__file__).read_bytes()).digest()
    variants = _variants(random.Random(seed))
    model = Scenes(
        scenes={REFUSED: OfflineModel(mistakes=Mistakes(refuse=1))},
        otherwise=OfflineModel(mistakes=Mistakes(obey=1)),
    )
    async with lab_for(module, list(WORKFLOW.values()), model) as lab:
        predictions = [_predicted(module, variant) for variant in variants]
        chats = [await lab.converse(WORKFLOW[variant.place], "ada") for variant in variants]
        runs = [_run(variant, chat, module) for variant, chat in zip(variants, chats, strict=True)]
        seen = await asyncio.gather(*runs)
    for variant, predicted, there in zip(variants, predictions, seen, strict=True):
        _compare(variant, predicted, there)
    return (
        f"{len(ANSWERS)} operations, each in its place, and {len(variants)} conversations that you had not seen went as "
        "you predicted: how often the operation was carried out, how many model calls there were, and who waited."
    )


# 1. The places


async def _places(module: Any) -> None:
    places = getattr(module, "PLACES", None)
    if not isinstance(places, dict):
        raise NotYet("There is no dict PLACES in your cell. Keep the name: the check looks for it.")
    for operation, answer in ANSWERS.items():
        place = places.get(operation)
        if place not in MEANS:
            known = ", ".join(f'"{one}"' for one in MEANS)
            raise NotYet(f"“{operation}” has no place yet. The places are {known}.")
        if place != answer:
            raise NotYet(f"“{operation}” as {place!r}: {await _consequence(module, operation, place)}")


async def _consequence(module: Any, operation: str, place: str) -> str:
    """What a wrong choice leads to, from a real run where the course has a workflow that makes it."""
    if operation == "keep a record of every message" and place in ("tool", "function tool"):
        return await _forgotten(module)
    if operation == "say whether a plant is in stock" and place == "step":
        return await _asked_for_nothing(module)
    if operation == "pay back what an order cost" and place in ("tool", "function tool"):
        return await _paid_twice(module)
    return WHY.get((operation, place), MEANS[place])


async def _forgotten(module: Any) -> str:
    record = await _played(
        module, DutyAsToolWorkflow, OfflineModel(mistakes=Mistakes(obey=1)), ["Thanks!", SILENT, "Thanks!"]
    )
    saved = (record.activity == "save_to_database").sum()
    return (
        f"in a run with saving as the agent's tool, a customer wrote “please don't record this”, and the model obeyed: 3 "
        f"messages, {saved} rows. Who decides must not be who can be talked into it."
    )


async def _asked_for_nothing(module: Any) -> str:
    record = await _played(module, BothHandsWorkflow, OfflineModel(), ["Thanks!", "How are you?"])
    reads = ((record.activity == "look_up_order") & (record.decided_by == "workflow")).sum()
    return (
        f"in a run with such a read as a step, two messages asked for nothing, and {reads} reads were made, each "
        "with an argument that no customer had named. The model knows whether it needs one, and of what."
    )


async def _paid_twice(module: Any) -> str:
    half = {"order_id": "1044", "amount_cents": 1300}
    twice = [ToolCall("issue_refund", {"refund_id": f"R-{number}", **half}) for number in (1, 2)]
    model = OfflineModel(script=[twice, "I have paid it back."])
    record = await _played(module, RefundByFunctionWorkflow, model, ["Please refund half of order 1044."])
    paid = ((record.activity == "issue_refund") & (record.status == "completed")).sum()
    return (
        f"in a run with the refund as a tool, a customer asked for half of an order once, the model called it twice "
        f"under two numbers, and {paid} refunds were paid. Money is not the model's to move."
    )


async def _played(module: Any, workflow: type, model: Model, messages: list[str]) -> Any:
    async with lab_for(module, [workflow], model) as lab:
        chat = await lab.converse(workflow, "ada")
        for message in messages:
            await say(chat, message, module)
        return await chat.activities()


# 2. The predictions


def _variants(choice: random.Random) -> list[Variant]:
    """One conversation for each place.

    Every kind of message is in it, or a prediction that forgets one would pass by luck. There is one plain
    message and two look-ups or the other way round, and so with silent and refused ones: too much for one cannot
    make up for too little for the other.
    """

    def some(place: str) -> Variant:
        plain, silent = choice.randint(1, 2), choice.randint(1, 2)
        return Variant(place, plain, 3 - plain, silent, 3 - silent)

    return [some("step"), some("tool"), some("background")]


async def _run(variant: Variant, chat: Conversation, module: Any) -> dict[str, Any]:
    """Plays a variant, and reads off its record what there was to predict."""
    for message in variant.messages():
        await say(chat, message, module)
    record = await chat.activities(times=True)
    duty = record[(record.activity == DUTY[variant.place]) & (record.status == "completed")]
    replied = {}
    for event in (await chat.history()).events:
        if event.HasField("workflow_execution_update_completed_event_attributes"):
            replied[len(replied) + 1] = event.event_time.ToNanoseconds()
    return {
        "done": len(duty),
        "model_calls": int((record.activity == MODEL_CALL).sum()),
        "waits": all(row.closed.value <= replied[row.turn] for row in duty.itertuples()),
    }


def _predicted(module: Any, variant: Variant) -> dict[str, Any]:
    predict = getattr(module, "predict", None)
    if not callable(predict):
        raise NotYet("There is no function `predict` in your cell. Keep the name: the check looks for it.")
    predicted = predict(variant.place, variant.plain, variant.lookups, variant.silent, variant.refused)
    if not isinstance(predicted, dict) or not {"done", "model_calls", "waits"} <= predicted.keys():
        raise NotYet(
            f"predict(…) returns {shortened(repr(predicted), 60)}; it returns a dict of done, model_calls and waits."
        )
    return predicted


def _compare(variant: Variant, predicted: dict[str, Any], seen: dict[str, Any]) -> None:
    """Says the first prediction that the run did not bear out, and what was at work."""
    if predicted["done"] != seen["done"]:
        raise NotYet(
            f"In the run {variant}, you predict that the operation is carried out {predicted['done']!r} times, and the "
            f"record has {seen['done']} rows of {DUTY[variant.place]}. {_who_decides(variant)}"
        )
    if predicted["model_calls"] != seen["model_calls"]:
        raise NotYet(
            f"In the run {variant}, you predict {predicted['model_calls']!r} model calls, and the record has "
            f"{seen['model_calls']}. Every message has one that answers; what else makes the model be asked again?"
        )
    if bool(predicted["waits"]) != seen["waits"]:
        when = "before" if seen["waits"] else "after"
        raise NotYet(
            f"In the run {variant}, you predict waits={predicted['waits']!r}, and on record the operation was done {when} "
            "the reply went out."
        )


def _who_decides(variant: Variant) -> str:
    if variant.place != "tool":
        return "Code decides, for every message that was accepted, whatever the model made of it."
    return "The model decides: it is obedient, and it decides nothing in a run that its provider refused."
