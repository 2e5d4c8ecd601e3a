"""Event history as tables."""

from collections.abc import Callable
from typing import Any

import pandas as pd
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent

from course.history.deciders import decide
from course.history.executions import LOCAL_ACTIVITY, Activity, activities_of, local_data, message_behind
from course.history.reading import History, Run, nanoseconds, numbered, runs_of, text_of, value_of
from course.history.turns import Turns, update_key


def activity_table(history: History, times: bool = False) -> pd.DataFrame:
    """One row for each scheduled or local activity, in the order of scheduling.

    `history` is a `temporalio.client.WorkflowHistory`, its JSON text, that JSON parsed, or a list of these,
    one for each run of a workflow that continued as new. Any workflow's, from anywhere.

    | column | holds |
    | --- | --- |
    | `turn` | Int64: the number of the message that it belongs to, through all runs; missing outside any turn (`turns.py`) |
    | `activity` | the activity's type |
    | `decided_by` | `plugin`, `agent`, `tool`, `workflow` or `unknown` (the rule, and what the record cannot prove: `deciders.py`) |
    | `attempts` | Int64: the number of its last attempt; missing before the record has one |
    | `status` | `completed`, `failed` (for good), `timed out`, `canceled`, `running`, `pending` (not started, or waiting for a retry: retries leave no event until one ends it), `abandoned` (its run ended before it did) |

    These do not differ from run to run. With `times=True` there are also, in virtual time,

    | `scheduled`, `started`, `closed` | Timestamps, UTC: when it was scheduled, when its last attempt started, when it ended. A local activity leaves one event, and has no `started` |
    | `waited`, `ran` | Timedeltas, to the second: scheduled to started (with all attempts before the last), started to closed |
    | `run` | the number of the run, from 1 |
    | `input`, `result` | the arguments, as a list, and what it returned, decoded; a payload that cannot be decoded stands as `<encoding, size>`; missing where there are none |
    | `failure` | why it failed; or, if it was retried or is being retried, what the last failed attempt said |

    Raises ValueError for what is not a history.
    """
    activities, _ = decided(runs_of(history))
    columns: dict[str, Any] = {
        "turn": pd.array([activity.turn for activity in activities], dtype="Int64"),
        "activity": _text([activity.name for activity in activities]),
        "decided_by": _text([activity.decided_by for activity in activities]),
        "attempts": pd.array([activity.attempts for activity in activities], dtype="Int64"),
        "status": _text([activity.status for activity in activities]),
    }
    if times:
        scheduled = _times([activity.event for activity in activities])
        started = _times([activity.started for activity in activities])
        closed = _times([activity.closed for activity in activities])
        columns |= {
            "scheduled": scheduled,
            "started": started,
            "closed": closed,
            "waited": (started - scheduled).dt.round("s"),
            "ran": (closed - started).dt.round("s"),
            "run": [activity.run for activity in activities],
            "input": _objects([activity.arguments for activity in activities]),
            "result": _objects([activity.result for activity in activities]),
            "failure": _text([activity.failure for activity in activities]),
        }
    return pd.DataFrame(columns)


def event_table(history: History) -> pd.DataFrame:
    """One row for each event: `event_id`, `time`, `event`, `turn`, `detail`.

    `event_id` counts from 1 in every run, `time` is virtual, `event` is the event's type as the Web UI writes
    it, `turn` as in `activity_table` (missing for events of no turn, such as workflow tasks), and `detail` a
    few words: which activity, update, signal, timer, child workflow; what a failure says; how far the clock
    jumped. Takes and raises what `activity_table` does.
    """
    runs = runs_of(history)
    turns = Turns(runs, activities_of(runs))
    rows: list[tuple[int | None, str]] = []
    for number, first, run in numbered(runs):
        told: dict[int, tuple[int | None, str]] = {}  # turn and subject, for later events that refer to these
        for position, event in enumerate(run, start=first):
            told[event.event_id] = _turn_and_subject(number, position, event, turns, told)
            rows.append((told[event.event_id][0], _detail(event, told[event.event_id][1])))
    events = [event for run in runs for event in run]
    return pd.DataFrame(
        {
            "event_id": [event.event_id for event in events],
            "time": _times(events),
            "event": _text([_event_name(event.event_type) for event in events]),
            "turn": pd.array([turn for turn, _ in rows], dtype="Int64"),
            "detail": _text([detail for _, detail in rows]),
        }
    )


def transcript_table(history: History) -> pd.DataFrame:
    """What was said: one row a message, `turn`, `role` (`customer` or `agent`), `text`.

    For workflows that have no query for it. The customer's text is the first argument of the update or
    signal that opened the turn; the agent's is the update's result. What is not text stands as JSON. A turn
    that failed, is not answered yet, or came as a signal has no row of the agent's: the record does not say
    what was answered. Nor does it say who sent a signal: one that opened a turn stands as the customer's. Takes and raises what `activity_table` does.
    """
    rows: list[tuple[int, str, str]] = []
    runs = runs_of(history)
    for message in Turns(runs, activities_of(runs)).messages:
        if message.turn is None:
            continue
        if message.arguments:
            rows.append((message.turn, "customer", text_of(value_of(message.arguments[0]))))
        if message.outcome is not None and message.outcome.HasField("success"):
            results = [value_of(payload) for payload in message.outcome.success.payloads[:1]]
            rows += [(message.turn, "agent", text_of(result)) for result in results if result is not None]
    rows.sort(key=lambda row: row[0])
    return pd.DataFrame(
        {
            "turn": pd.array([turn for turn, _, _ in rows], dtype="Int64"),
            "role": _text([role for _, role, _ in rows]),
            "text": _text([text for _, _, text in rows]),
        }
    )


def decided(runs: list[Run]) -> tuple[list[Activity], Turns]:
    """The activities with their turns and deciders, and the turns."""
    activities = activities_of(runs)
    turns = Turns(runs, activities)
    for activity in activities:
        activity.turn = turns.turn_of(activity.position, activity.message)
    decide(activities)
    return activities, turns


def clock_jump(event: HistoryEvent) -> pd.Timedelta:
    """How far the virtual clock goes at a WorkflowExecutionTimeSkippingTransitioned event."""
    target = event.workflow_execution_time_skipping_transitioned_event_attributes.target_time
    return pd.Timedelta(nanoseconds(target) - nanoseconds(event.event_time))


def _marker(attributes: Any) -> str:
    if attributes.marker_name != LOCAL_ACTIVITY:
        return attributes.marker_name
    data = local_data(attributes)
    return LOCAL_ACTIVITY if data is None else str(data.get("activity_type", ""))


_SUBJECTS: dict[str | None, Callable[[Any], str]] = {
    "activity_task_scheduled_event_attributes": lambda it: it.activity_type.name,
    "marker_recorded_event_attributes": _marker,
    "timer_started_event_attributes": lambda it: str(it.start_to_fire_timeout.ToTimedelta()),
    "start_child_workflow_execution_initiated_event_attributes": lambda it: it.workflow_type.name,
    "nexus_operation_scheduled_event_attributes": lambda it: f"{it.service}.{it.operation}",
}
"""What a command is about, from the attributes of its event."""


def _turn_and_subject(
    run: int, position: int, event: HistoryEvent, turns: Turns, told: dict[int, tuple[int | None, str]]
) -> tuple[int | None, str]:
    """The turn that an event belongs to, and what it is about: an activity's type, a handler's name."""
    kind = event.WhichOneof("attributes")
    attributes = getattr(event, kind) if kind else None
    if kind == "workflow_execution_signaled_event_attributes":
        return turns.turn_of_message(("signal", run, event.event_id)), attributes.signal_name
    if kind == "workflow_execution_update_accepted_event_attributes":
        return turns.turn_of_message(update_key(attributes)), attributes.accepted_request.input.name
    message = message_behind(run, event)
    if subject := _SUBJECTS.get(kind):
        return turns.turn_of(position, message), subject(attributes)
    for reference in ("scheduled_event_id", "accepted_event_id", "initiated_event_id", "started_event_id"):
        earlier = getattr(attributes, reference, 0)
        if earlier and not kind.startswith("workflow_task"):
            return told.get(earlier, (None, ""))
    return turns.turn_of(position, message) if message else None, ""


def _detail(event: HistoryEvent, subject: str) -> str:
    """The subject, and what happened to it."""
    kind = event.WhichOneof("attributes")
    attributes = getattr(event, kind) if kind else None
    match kind:
        case "workflow_execution_started_event_attributes":
            return attributes.workflow_type.name
        case "activity_task_started_event_attributes":
            return f"{subject}, attempt {attributes.attempt}"
        case "workflow_execution_time_skipping_transitioned_event_attributes":
            return f"the clock jumps by {clock_jump(event).round('s')}"
        case "workflow_task_failed_event_attributes":
            cause = WorkflowTaskFailedCause.Name(attributes.cause).removeprefix("WORKFLOW_TASK_FAILED_CAUSE_")
            return f"{cause.replace('_', ' ').lower()}: {attributes.failure.message}"
    if kind and "failure" in attributes.DESCRIPTOR.fields_by_name and attributes.HasField("failure"):
        return ": ".join(filter(None, (subject, attributes.failure.message)))
    return subject


def _event_name(kind: int) -> str:
    if kind not in EventType.values():
        return f"event type {kind}"  # of a newer server
    words = EventType.Name(kind).removeprefix("EVENT_TYPE_").split("_")
    return "".join(word.capitalize() for word in words)


def _times(events: list[HistoryEvent | None]) -> pd.Series:
    times = [None if event is None else nanoseconds(event.event_time) for event in events]
    return pd.Series(pd.to_datetime(pd.array(times, dtype="Int64"), unit="ns", utc=True))


def _text(values: list[str | None]) -> pd.Series:
    return pd.Series(values, dtype="str")


def _objects(values: list[Any]) -> pd.Series:
    return pd.Series(values, dtype=object)
