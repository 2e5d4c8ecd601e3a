"""The activities of a history, each put together from its two or three events."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from course.history.reading import Run, numbered, value_of

SCHEDULED = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
STARTED = EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
MARKER = EventType.EVENT_TYPE_MARKER_RECORDED
LOCAL_ACTIVITY = "core_local_activity"  # the marker's name, in every Temporal SDK that is built on sdk-core

# How an activity ended: the event, the attribute of the event, the word for it.
_ENDS = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: ("activity_task_completed_event_attributes", "completed"),
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: ("activity_task_failed_event_attributes", "failed"),
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: ("activity_task_timed_out_event_attributes", "timed out"),
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: ("activity_task_canceled_event_attributes", "canceled"),
}
# What ends a run, and with it whatever had not ended: nobody waits for it any more.
RUN_ENDS = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
}
_OURS = {SCHEDULED, STARTED, MARKER, *_ENDS, *RUN_ENDS}


@dataclass(slots=True, eq=False)
class Activity:
    """One scheduled or local activity. Positions count the events of all runs; payloads are read when asked."""

    run: int
    name: str
    event: HistoryEvent  # that scheduled it; for a local activity, the marker that it left
    position: int  # of that event
    message: tuple | None  # on whose behalf, if the event says so
    is_local: bool = False
    attempts: int | None = None
    status: str = "pending"
    started: HistoryEvent | None = None  # its last attempt
    started_position: int | None = None
    closed: HistoryEvent | None = None
    closed_position: int | None = None
    turn: int | None = None
    decided_by: str = "unknown"
    asked_by: tuple["Activity", str] | None = (
        None  # the model call and the id of the call that it is, if an agent's
    )

    @property
    def inputs(self) -> Sequence[Payload]:
        """The arguments as they are recorded; none for a local activity, whose marker does not hold them."""
        return () if self.is_local else self.event.activity_task_scheduled_event_attributes.input.payloads

    @property
    def arguments(self) -> list[Any] | None:
        """The recorded arguments; None for a local activity."""
        return None if self.is_local else [value_of(payload) for payload in self.inputs]

    @property
    def summary(self) -> Any:
        """The text that its scheduler gave it for people to read, or None."""
        if not self.event.HasField("user_metadata") or not self.event.user_metadata.HasField("summary"):
            return None
        return value_of(self.event.user_metadata.summary) or None

    @property
    def payload(self) -> Payload | None:
        """What it returned, as it is recorded; None where it returned nothing or did not complete."""
        if self.status != "completed":
            return None
        if self.is_local:
            payloads = self.event.marker_recorded_event_attributes.details["result"].payloads
        else:
            payloads = self.closed.activity_task_completed_event_attributes.result.payloads
        return payloads[0] if payloads else None

    @property
    def result(self) -> Any:
        """What it returned; None where it returned nothing or did not complete."""
        payload = self.payload
        return None if payload is None else value_of(payload)

    @property
    def failure(self) -> str | None:
        """Why it failed for good; else what its last failed attempt said; else None."""
        if self.is_local:
            attributes = self.event.marker_recorded_event_attributes
            return _message(attributes.failure) if attributes.HasField("failure") else None
        if self.closed is not None and self.status in ("failed", "timed out"):
            return _message(getattr(self.closed, self.closed.WhichOneof("attributes")).failure)
        if self.started is not None:
            started = self.started.activity_task_started_event_attributes
            return _message(started.last_failure) if started.HasField("last_failure") else None
        return None


def _message(failure: Any) -> str:
    """The failure in one line: its own words and those of what caused it."""
    words = [failure.message]
    while failure.HasField("cause"):
        failure = failure.cause
        words.append(failure.message)
    return ": ".join(dict.fromkeys(filter(None, words)))


def activities_of(runs: list[Run]) -> list[Activity]:
    """Every scheduled or local activity, in the order of scheduling."""
    activities: list[Activity] = []
    for number, first, run in numbered(runs):
        by_event_id: dict[int, Activity] = {}
        local: dict[tuple, Activity] = {}
        for place, kind, event in run.of_kinds(_OURS):
            position = first + place
            if kind == SCHEDULED:
                name = event.activity_task_scheduled_event_attributes.activity_type.name
                activity = Activity(number, name, event, position, message_behind(number, event))
                by_event_id[event.event_id] = activity
                activities.append(activity)
            elif kind == STARTED:
                attributes = event.activity_task_started_event_attributes
                if activity := by_event_id.get(attributes.scheduled_event_id):
                    activity.started, activity.attempts = event, attributes.attempt
                    activity.started_position, activity.status = position, "running"
            elif kind in _ENDS:
                field, status = _ENDS[kind]
                if activity := by_event_id.get(getattr(event, field).scheduled_event_id):
                    activity.closed, activity.closed_position, activity.status = event, position, status
            elif kind == MARKER and event.marker_recorded_event_attributes.marker_name == LOCAL_ACTIVITY:
                activities.extend(_local_activity(number, event, position, local))
            elif kind in RUN_ENDS:
                for activity in by_event_id.values():
                    if activity.closed is None:
                        activity.status = "abandoned"
    return activities


def _local_activity(run: int, event: HistoryEvent, position: int, seen: dict) -> Iterator[Activity]:
    """The activity that a marker tells of, unless it goes on with one whose retry was put off."""
    attributes = event.marker_recorded_event_attributes
    data = local_data(attributes) or {}
    key = data.get("activity_type"), json.dumps(data.get("original_schedule_time"))
    activity = seen.pop(key, None)
    if activity is None:
        name, message = str(data.get("activity_type", "")), message_behind(run, event)
        activity = Activity(run, name, event, position, message, is_local=True)
        yield activity
    activity.attempts = data.get("attempt")
    activity.event = activity.closed = event
    activity.closed_position = position
    if data.get("backoff"):  # its next attempt leaves a marker of its own
        seen[key], activity.status, activity.closed = activity, "pending", None
    elif not attributes.HasField("failure"):
        activity.status = "completed"
    else:
        canceled = attributes.failure.WhichOneof("failure_info") == "canceled_failure_info"
        activity.status = "canceled" if canceled else "failed"


def local_data(marker: Any) -> dict[str, Any] | None:
    """What the marker of a local activity says of it; None where that cannot be read."""
    payloads = marker.details["data"].payloads
    data = value_of(payloads[0]) if payloads else {}
    return data if isinstance(data, dict) else None


def message_behind(run: int, event: HistoryEvent) -> tuple | None:
    """What the message is called on whose behalf a command was issued, if its event is marked with one."""
    for marker in event.event_group_markers:
        if update_id := marker.inbound_update.inbound_update_id:
            return ("update", update_id)
        if event_id := marker.inbound_event.inbound_event_id:
            return ("signal", run, event_id)
    return None
