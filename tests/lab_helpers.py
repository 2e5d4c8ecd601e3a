"""What the lab's tests share: waiting for conditions, and reading recorded history without the course's help."""

import asyncio
import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory


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


def scheduled(history: WorkflowHistory) -> list[str]:
    """The types of the activities of one run, in the order in which they were scheduled."""
    return [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    ]


def attempts(history: WorkflowHistory) -> list[tuple[str, int]]:
    """Activity type and last attempt of every activity that was closed, in the order of their scheduling."""
    names = {
        event.event_id: event.activity_task_scheduled_event_attributes.activity_type.name
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    }
    started = [
        event.activity_task_started_event_attributes
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
    ]
    return [
        (names[s.scheduled_event_id], s.attempt) for s in sorted(started, key=lambda s: s.scheduled_event_id)
    ]


def count(history: WorkflowHistory) -> Counter[str]:
    return Counter(scheduled(history))
