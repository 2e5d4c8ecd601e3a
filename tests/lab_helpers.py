"""What the lab's tests share: waiting for conditions, and reading recorded history without the course's help."""

import asyncio
import inspect
import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio.api.history.v1 import ActivityTaskScheduledEventAttributes
from temporalio.client import WorkflowHistory

from course import Lab
from course.lab import Conversation
from course.lab.chat import Reply


async def until(condition: Callable[[], Any], what: str, seconds: float = 20) -> Any:
    """Waits until a condition (a function, sync or async) holds; returns its value."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        assert asyncio.get_running_loop().time() < end, f"{what}: not within {seconds:g} s"
        await asyncio.sleep(0.01)


async def until_failed(chat: Conversation, activity: str) -> dict[str, Any]:
    """Waits until an attempt of an activity has failed; returns its row of `pending()`."""

    async def failed() -> dict[str, Any] | None:
        waiting = await chat.pending()
        rows = waiting[waiting["activity"].eq(activity) & waiting["last failure"].notna()]
        return None if rows.empty else rows.to_dict("records")[0]

    return await until(failed, f"a failed attempt of {activity}")


async def settled(chat: Conversation, reply: Reply) -> str:
    """Waits for a reply; the clock is moved when a model call is to be tried again."""
    await chat.activities()
    if not reply.done() and not (await chat.pending()).empty:
        await chat.fast_forward(timedelta(minutes=30))
    text = await reply
    assert text.strip()
    return text


async def renewed(chat: Conversation, runs: int) -> list[WorkflowHistory]:
    """Waits for the last of so many runs; returns what all of them have on record."""

    async def there() -> list[WorkflowHistory] | None:
        histories = await chat.record.histories()
        return histories if len(histories) >= runs else None

    return await until(there, f"{runs} runs", seconds=90)


async def works(chat: Conversation) -> None:
    """The next normal turn."""
    assert "Ficus: 12 in stock" in await chat.send("Do you have a Ficus?")


def rows(lab: Lab, chat: Conversation, table: str = "turns") -> list[dict[str, Any]]:
    """What a table has of a conversation."""
    return [row for row in lab.table(table).to_dict("records") if row["task_id"].split("/")[0] == chat.id]


def mails(lab: Lab, customer: str) -> list[str]:
    """What the team was told of a customer's messages."""
    return [text for text in lab.inbox()["text"] if text.startswith(f"{customer} wrote")]


def attributes(history: WorkflowHistory, kind: str) -> list[Any]:
    """What one run has on record about all events of a kind, such as `activity_task_started`."""
    name = f"{kind}_event_attributes"
    return [getattr(event, name) for event in history.events if event.HasField(name)]


def requests(history: WorkflowHistory) -> list[ActivityTaskScheduledEventAttributes]:
    """The activities of one run, as the workflow asked for them."""
    return attributes(history, "activity_task_scheduled")


def scheduled(history: WorkflowHistory) -> list[str]:
    """The types of the activities of one run, in the order in which they were scheduled."""
    return [request.activity_type.name for request in requests(history)]


def attempts(history: WorkflowHistory) -> list[tuple[str, int]]:
    """Activity type and last attempt of every activity that was closed, in the order of their scheduling."""
    names = {
        e.event_id: e.activity_task_scheduled_event_attributes.activity_type.name for e in history.events
    }
    started = sorted(attributes(history, "activity_task_started"), key=lambda one: one.scheduled_event_id)
    return [(names[one.scheduled_event_id], one.attempt) for one in started]


def count(history: WorkflowHistory) -> Counter[str]:
    return Counter(scheduled(history))


def accepted(history: WorkflowHistory) -> list[Any]:
    """The first argument of every update that was accepted in one run: of `send`, the message."""
    found = attributes(history, "workflow_execution_update_accepted")
    return [json.loads(one.accepted_request.input.args.payloads[0].data) for one in found]


def task_failures(history: WorkflowHistory) -> list[str]:
    """What the workflow tasks of one run failed with. (The server may record a failure more than once.)"""
    return [one.failure.message for one in attributes(history, "workflow_task_failed")]
