"""Kills workers for exercise 08, and writes down what was on record then and what came of it.

`python -m tests.tools.deaths` writes `course/checks/lesson_08.json`. Every death in it is a real one.
"""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from course import Lab
from course.desk import ConversationWorkflow
from course.history import event_table
from course.models import ModelEndpoint, OfflineModel

FILE = Path(__file__).parents[2] / "course" / "checks" / "lesson_08.json"
CONVERSATIONS = [
    ["Thanks!"],
    ["Where is order 1044?"],
    ["Hello!", "Do you have a Calathea?"],
    ["Where is order 1043?", "Is order 1045 late?"],
    ["Hello!", "Where is order 1042?", "Thanks!"],
]


def moments_of(messages: list[str]) -> list[str]:
    """The moments that come in the last turn of a conversation."""
    if len(messages) == 3:
        # The notice runs beside the batch. One of them is on record as done when the worker dies with its next task.
        beside = ("send_notification", "process_batch")
        return [f"{when} {name}, before workflow task #4" for name in beside for when in ("before", "after")]
    reads = {"order": "look_up_order", "have": "check_stock"}
    used = [name for word, name in reads.items() if word in messages[-1]]
    names = ["invoke_model_activity", *used, "save_to_database", "send_notification"]
    return [f"{when} {name}" for name in names for when in ("before", "after")] + ["before reply"]


async def die(lab: Lab, provider: ModelEndpoint, messages: list[str], moment: str) -> dict[str, Any]:
    """Kills a worker at a moment of the last turn. `record`: what the history then held, workflow tasks apart."""
    chat = await lab.converse(ConversationWorkflow, "ada")
    for message in messages[:-1]:
        await chat.send(message)
        await chat.activities()  # the notice, too, is on record before the next message comes
    answered, repeats = provider.requests, lab.world.mailbox.repeats
    process = await lab.worker_process(kill=moment.split(", "))
    reply = chat.begin(messages[-1])
    await process.died()
    events = event_table(await chat.history())
    told = ~events.event.str.startswith("WorkflowTask") & (events.event != "ActivityTaskStarted")
    record = [list(pair) for pair in events[told][["event", "detail"]].itertuples(index=False)]
    learned = len(lab.table("batches"))
    await reply
    await chat.close()
    done = await chat.activities(times=True)
    turn = done[done.turn == len(messages)]
    model_calls = (turn.activity == "invoke_model_activity").sum()
    again = turn[turn.attempts > 1].activity.tolist()
    saved_again = sum("already saved" in str(result) for result in turn.result)
    # A batch says nothing of a repeat: its row was there already.
    learned_again = "process_batch" in again and len(lab.table("batches")) == learned
    refused = lab.world.mailbox.repeats - repeats + saved_again + learned_again
    return {
        "messages": messages,
        "moment": moment,
        "record": record,
        "again": again[0] if again else None,
        "paid_in_vain": int(provider.requests - answered - model_calls),
        "repeats_refused": int(refused),
    }


async def deaths_of(conversations: list[list[str]]) -> list[dict[str, Any]]:
    provider = ModelEndpoint(OfflineModel()).start()
    os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"] = provider.url, "not-a-real-key"
    async with await Lab.start(model="offline-model", ui=False) as lab:
        return [
            await die(lab, provider, messages, moment)
            for messages in conversations
            for moment in moments_of(messages)
        ]


if __name__ == "__main__":
    rows = [json.dumps(death) for death in asyncio.run(deaths_of(CONVERSATIONS))]
    FILE.write_text("[\n" + ",\n".join(rows) + "\n]\n")
