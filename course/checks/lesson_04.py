"""Exercise 04: place the operations, and predict what the record will show."""

import asyncio
import random
from dataclasses import asdict, dataclass
from typing import Any

from agents import Model

from course.checks.talking import MODEL_CALL, Scenes, Talk, dice_of, lab_for, misbehaves, own, predicted
from course.checks.verdict import NotYet
from course.desk import ConversationWorkflow
from course.lessons.lesson_02 import RefundByFunctionWorkflow
from course.lessons.lesson_04 import BothHandsWorkflow, DutyAsStepWorkflow, DutyAsToolWorkflow
from course.models import OfflineModel, ToolCall

# What a place means for any operation.
MEANS = {
    "tool": """as a tool it runs when the model calls it, with the arguments that the model chooses. It can be left
        out, repeated and mistaken.""",
    "function tool": """a function tool fixes order, keys and error text in code, and the model still decides whether
        it runs at all.""",
    "pure tool": """a pure function tool calculates from its arguments. It reads and changes nothing outside, leaves
        no row, and cannot be retried.""",
    "proposal": """a proposal is the agent's output, which code checks and carries out. What the model does not
        propose does not happen.""",
    "step": "a step runs for every message, whatever is said.",
    "child workflow": """a child workflow has an id, signals and a life of its own, for days or weeks. This operation
        is one short act.""",
    "hook": "a hook runs around every tool call, and nowhere else. A message without one passes it by.",
    "schedule": "a schedule runs by the clock. No message starts it, and nobody's reply can use it.",
    "logger": """a log line is telemetry: it is not retried, and nobody misses a lost one. This operation must happen,
        or must be kept.""",
}


BELONGS = {
    "say whether a plant is in stock": "tool",
    "pay back what an order cost": "proposal",
    "keep a record of every message": "step",
    "keep a record of every tool call": "hook",
    "reserve a courier, then print the label, for a plant sent back": "function tool",
    "delete what is older than a year": "schedule",
    "count tokens for a dashboard": "logger",
}

WHY_NOT = {
    "say whether a plant is in stock": {
        "function tool": """this is one read, in one activity: there is no order, no key and no error text for
            code to fix. The smaller means is enough.""",
        "proposal": """the model needs the result before it can answer, and a proposal is carried out after it
            has answered.""",
    },
    "pay back what an order cost": {
        "step": """a step runs for every message, and most messages ask for no money. The model has to say that
            the customer wants it, and code has the last word.""",
    },
    "keep a record of every message": {
        "hook": "hooks run around tool calls, and a message that needs no tool leaves no record.",
        "proposal": "a message is recorded because it came, and not because the model proposes it.",
        "logger": """a log line is not retried when the disk is full, and expires. A record that must be kept is
            an activity.""",
    },
    "keep a record of every tool call": {
        "tool": "the model would have to call that tool for each tool that it calls, when it remembers to.",
        "step": """a step after the agent's run sees the final reply. It would have to reconstruct the calls, and
            a run that fails in the middle hands it none.""",
    },
    "reserve a courier, then print the label, for a plant sent back": {
        "tool": """as two activities, the model decides on their order, and may print a label for a courier that
            nobody reserved.""",
        "step": """most messages send no plant back. The model understands which do, so it decides whether; code
            fixes what follows.""",
        "proposal": """the customer wants to hear when the courier comes, so the model needs the result in this
            run; and a reserved slot can be given back.""",
    },
    "delete what is older than a year": {
        "step": """then nothing is deleted while nobody writes, and a customer waits for the cleanup when somebody
            does.""",
    },
    "count tokens for a dashboard": {
        "step": """an activity for every count makes histories grow and can hold up a reply, for a figure that
            nobody misses.""",
        "hook": "a hook sees the calls, but counting is telemetry: a meter does it, outside the history.",
    },
}
"""What an operation has to say to a tempting choice, beyond what the place means for any."""

DUTY = {"tool": "save_to_database", "step": "save_to_database", "background": "send_notification"}
WORKFLOW = {"tool": DutyAsToolWorkflow, "step": DutyAsStepWorkflow, "background": ConversationWorkflow}
SILENT = "My leaves are brown, but please don't record this."
REFUSED = "Is it true that ivy is poisonous?"
PREDICTED = ("done", "model_calls", "waits")
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
    return f"""{len(BELONGS)} operations, each in its place, and {len(variants)} conversations that you had
        not seen went as you predicted: how often the operation was carried out, how many model calls there
        were, and who waited."""


# 1. The places


async def _places(module: Any) -> None:
    places = own(module, "PLACES", "dict")
    for operation, belongs in BELONGS.items():
        place = places.get(operation)
        if place not in MEANS:
            known = ", ".join(f'"{one}"' for one in MEANS)
            raise NotYet(f"“{operation}” has no place yet. The places are {known}.")
        if place != belongs:
            raise NotYet(f"“{operation}” as {place!r}: {await _consequence(module, operation, place)}")


async def _consequence(module: Any, operation: str, place: str) -> str:
    """What a wrong choice leads to, from a real run where the course has a workflow that makes it."""
    if operation == "keep a record of every message" and place in ("tool", "function tool"):
        messages = ["Thanks!", SILENT, "Thanks!"]
        record = await _played(module, DutyAsToolWorkflow, misbehaves("obey"), messages)
        saved = (record.activity == "save_to_database").sum()
        return f"""in a run with saving as the agent's tool, a customer wrote “please don't record this”, and the
            model obeyed: 3 messages, {saved} rows. Nobody who can be talked out of it should decide this."""
    if operation == "say whether a plant is in stock" and place == "step":
        record = await _played(module, BothHandsWorkflow, OfflineModel(), ["Thanks!", "How are you?"])
        reads = ((record.activity == "look_up_order") & (record.decided_by == "workflow")).sum()
        return f"""in a run with such a read as a step, two messages asked for nothing, and {reads} reads were
            made, each with an argument that no customer had named. The model knows whether it needs one, and
            of what."""
    if operation == "pay back what an order cost" and place in ("tool", "function tool"):
        half = {"order_id": "1044", "amount_cents": 1300}
        twice = [ToolCall("issue_refund", {"refund_id": f"R-{number}", **half}) for number in (1, 2)]
        model = OfflineModel(script=[twice, "I have paid it back."])
        record = await _played(module, RefundByFunctionWorkflow, model, ["Please refund half of order 1044."])
        paid = ((record.activity == "issue_refund") & (record.status == "completed")).sum()
        return f"""in a run with the refund as a tool, a customer asked for half of an order once, the model
            called it twice under two numbers, and {paid} refunds were paid. Money is not the model's to
            move."""
    return WHY_NOT[operation].get(place, MEANS[place])


async def _played(module: Any, workflow: type, model: Model, messages: list[str]) -> Any:
    async with lab_for(module, [workflow], model) as lab:
        chat = await lab.converse(workflow, "ada")
        for message in messages:
            await chat.says(message)
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


async def _run(variant: Variant, chat: Talk) -> dict[str, Any]:
    """Plays a variant, and reads off its record what there was to predict."""
    for message in variant.messages():
        await chat.says(message)
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


def _compare(variant: Variant, said: dict[str, Any], seen: dict[str, Any]) -> None:
    """Says the first prediction that the run contradicts, and why."""
    if said["done"] != seen["done"]:
        raise NotYet(f"""In the run {variant}, you predict that the operation is carried out
            {said["done"]!r} times, and the record has {seen["done"]} rows of {DUTY[variant.place]}.
            {_who_decides(variant)}""")
    if said["model_calls"] != seen["model_calls"]:
        raise NotYet(f"""In the run {variant}, you predict {said["model_calls"]!r} model calls, and the record
            has {seen["model_calls"]}. Every message has one that answers; what else asks the model again?""")
    if bool(said["waits"]) != seen["waits"]:
        when = "before" if seen["waits"] else "after"
        raise NotYet(f"""In the run {variant}, you predict waits={said["waits"]!r}, and on record the
            operation was done {when} the reply went out.""")


def _who_decides(variant: Variant) -> str:
    if variant.place != "tool":
        return "Code decides, for every message that was accepted, whatever the model made of it."
    return "The model decides: it is obedient, and it decides nothing in a run that its provider refused."
