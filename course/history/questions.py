"""The four questions of every operation around an agent, answered from the record as far as it holds an answer."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any

import pandas as pd
from temporalio.api.common.v1 import RetryPolicy
from temporalio.api.enums.v1 import RetryState, TimeoutType

from course.history.arguments import equal
from course.history.deciders import MODEL_CALLS, ModelCall
from course.history.doubts import told
from course.history.executions import Activity
from course.history.reading import History, Unreadable, value_of
from course.history.turns import Message

ORIGINS = ("model", "message", "code", "unknown")
ASKED = {
    "decided_by": "who decides that it runs?",
    "arguments": "who decides with which arguments?",
    "reply": "may the reply wait for it?",
    "if_never": "what if it never succeeds?",
}
"""The four questions, by the column of `questions` that answers each."""
_LONG = 8
"""From this length on, a text inside a longer one is no chance."""
_LARGE = 10
"""From here on, two equal numbers are no chance."""


def questions(history: History) -> pd.DataFrame:
    """The four questions, one row for each type of activity and each who decided on it, by first appearance.

    `history` is what `activity_table` takes, of any workflow from anywhere.

    | column | holds |
    | --- | --- |
    | `activity`, `times` | its type, and how often it was scheduled |
    | `decided_by` | who decided that it runs, as in `activity_table` |
    | `arguments` | where each argument came from, in order: below |
    | `reply` | whether the turn's reply waited for it: below |
    | `if_never` | how long it is tried: `tried without limit`, `tried for 3 d`, `tried 3 times at most` |
    | `bounds` | all its timeouts and retries, from the event that scheduled it |
    | `ended` | what ended it: `completed`, or what made Temporal give it up |

    Where one row's activities differ, each answer stands with how often: `no: open at the reply (2); in no turn (1)`.

    **`arguments`.** `model`: the model's call holds this value. `message`: the customer's message of this turn is this
    value, or the value holds all of it. `model` is also a value that the model said before in this turn, or a text that holds it. `code`: neither; code
    put it together, from what, the record does not say. An object made of several parts has several: `message+model+code`.
    Equal values are an observation and no proof, except for `agent`, whose argument was compared with its call.
    A payload that cannot be read, or one of an activity whose decider is unknown, is `unknown` unless it is the message.

    **`reply`.** `no: open at the reply` and `no: began after the reply` are proof that nobody waited. `perhaps: closed
    before the reply` is only an observation: the reply may have waited for it, or not. `no reply on record`: a turn that
    came as a signal or has not been answered; `in no turn`.

    **`if_never`, `bounds`, `ended`.** A local activity's bounds are not on record: `unknown`. An error that is not retried,
    and an end of the workflow's, come before any bound.

    Raises ValueError for what is not a history.
    """
    activities, turns, _ = told(history)
    # A message that a run has handed to the next is accepted twice, and answered once.
    messages = {one.turn: one for one in sorted(turns.messages, key=lambda one: one.answered is not None)}
    said = _Said(activities)
    groups: dict[tuple[str, str], list[Activity]] = {}
    for activity in activities:
        groups.setdefault((activity.name, activity.decided_by), []).append(activity)
    rows = [
        {
            "activity": name,
            "times": len(group),
            "decided_by": decider,
            "arguments": _counted(group, lambda it: _origins(it, messages.get(it.turn), said)),
            "reply": _counted(group, lambda it: _reply(it, messages.get(it.turn))),
            "if_never": _counted(group, _if_never),
            "bounds": _counted(group, _bounds),
            "ended": _counted(group, _ended),
        }
        for (name, decider), group in groups.items()
    ]
    columns = ["activity", "times", "decided_by", "arguments", "reply", "if_never", "bounds", "ended"]
    return pd.DataFrame(rows, columns=columns)


def in_words(answers: pd.DataFrame) -> pd.DataFrame:
    """The table of `questions`, to be read: a column for each question, by its words.

    The last answer is how long it is tried, and what ended it where that was not its success. `bounds` is left out.
    """
    table = answers[["activity", "times"]].copy()
    for name in ("decided_by", "arguments", "reply"):
        table[ASKED[name]] = answers[name]
    table[ASKED["if_never"]] = [
        row.if_never + f"; here {row.ended}" * (row.ended != "completed") for row in answers.itertuples()
    ]
    return table


def _counted(group: list[Activity], answer: Callable[[Activity], str]) -> str:
    found = Counter(map(answer, group))
    if len(found) == 1:
        return next(iter(found))
    return "; ".join(f"{said} ({count})" for said, count in found.most_common())


# Who decided with which arguments


class _Said:
    """What the models of a history had said, turn by turn."""

    def __init__(self, activities: list[Activity]) -> None:
        self._answers: dict[int | None, list[tuple[int, list[Any], list[Any]]]] = {}
        for activity in activities:
            if activity.name in MODEL_CALLS and activity.status == "completed":
                model_call = ModelCall(activity)
                calls = [value for call in model_call.calls() for value in _leaves(_opened(call.arguments))]
                said = [activity.closed_position, calls, [*_texts(model_call.answer()), *_asked(model_call)]]
                self._answers.setdefault(activity.turn, []).append(tuple(said))

    def before(self, activity: Activity) -> tuple[list[Any], list[Any]]:
        """In the activity's turn: the values in calls, and the texts and values of answers."""
        earlier = [one for one in self._answers.get(activity.turn, ()) if one[0] < activity.position]
        return [v for _, calls, _ in earlier for v in calls], [v for *_, texts in earlier for v in texts]


def _origins(activity: Activity, message: Message | None, said: _Said) -> str:
    """Of each argument, in order."""
    if activity.is_local:
        return "unknown"
    arguments = activity.arguments
    if not arguments:
        return "none"
    if activity.decided_by == "plugin":
        return "code"
    given = [leaf for payload in message.arguments for leaf in _leaves(value_of(payload))] if message else []
    calls, answers = said.before(activity)
    parameters = _parameters(activity, arguments)
    origins = []
    for number, value in enumerate(arguments):
        if activity.asked_by and number in parameters:
            calls = list(_leaves(parameters[number]))
        elif activity.asked_by and parameters:
            calls = []  # the schema tells: this one is not the model's
        found = {_origin(leaf, calls, given, answers, activity.decided_by) for leaf in _leaves(value)}
        origins.append("+".join(sorted(found, key=ORIGINS.index)) or "code")
    return ", ".join(origins)


def _parameters(activity: Activity, arguments: list[Any]) -> dict[int, Any]:
    """What the model gave for each argument, by its place; empty where the record has no schema, or no call."""
    if activity.asked_by is None:
        return {}
    asker, call_id = activity.asked_by
    call = next(call for call in ModelCall(asker).calls() if call.id == call_id)
    asked, schema = _opened(call.arguments), call.tool.get("params_json_schema")
    if not isinstance(asked, dict) or not isinstance(schema, dict):
        return {}
    names = list(schema.get("properties", {}))
    first = len(arguments) - len(names)  # 1 where code has put an object in front
    if first not in (0, 1):
        return {}
    return {first + place: asked[name] for place, name in enumerate(names) if name in asked}


def _origin(leaf: Any, calls: list[Any], given: list[Any], answers: list[Any], decider: str) -> str:
    if isinstance(leaf, Unreadable):
        return "unknown"
    if decider in ("agent", "tool") and any(equal(one, leaf) for one in calls):
        return "model"
    if _holds(leaf, given):
        return "message"
    if decider == "unknown":
        return "unknown"
    return "model" if _holds(leaf, [*answers, *calls]) else "code"


def _holds(value: Any, parts: Iterable[Any]) -> bool:
    """Whether a value is one of these, or a text holds a whole one of them. What could be chance is not looked at."""
    if isinstance(value, str):
        return any(
            isinstance(part, str)
            and part.strip()
            and (part == value or (len(part) >= _LONG and part in value))
            for part in parts
        )
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) < _LARGE:
        return False
    return any(part == value for part in parts if isinstance(part, int | float))


def _texts(answer: dict[str, Any] | None) -> Iterator[Any]:
    """The texts of a model's answer, and what is inside where a text is JSON."""
    for item in (answer or {}).get("output") or ():
        for part in (item.get("content") if isinstance(item, dict) else None) or ():
            text = part.get("text") if isinstance(part, dict) else None
            if isinstance(text, str):
                yield text
                if isinstance(inside := _opened(text), dict | list):
                    yield from _leaves(inside)


def _asked(model_call: ModelCall) -> Iterator[Any]:
    """What a model's calls say as texts: the tool's name, and the arguments as they came."""
    for call in model_call.calls():
        yield from (call.name, call.arguments)


def _opened(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None


def _leaves(value: Any) -> Iterator[Any]:
    """Every value in a value that has no parts."""
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            left.extend(part.values())
        elif isinstance(part, list):
            left.extend(part)
        else:
            yield part


# May the reply wait for it


def _reply(activity: Activity, message: Message | None) -> str:
    if activity.turn is None:
        return "in no turn"
    if message is None or message.answered is None:
        return "no reply on record"
    if activity.position > message.answered:
        return "no: began after the reply"
    if activity.closed_position is None or activity.closed_position > message.answered:
        return "no: open at the reply"
    return "perhaps: closed before the reply"


# What if it never succeeds


def _if_never(activity: Activity) -> str:
    if activity.is_local:
        return "unknown"
    asked = activity.event.activity_task_scheduled_event_attributes
    in_all, to_start = (
        asked.schedule_to_close_timeout.ToTimedelta(),
        asked.schedule_to_start_timeout.ToTimedelta(),
    )
    attempts = asked.retry_policy.maximum_attempts
    if attempts == 1:
        said = "tried once"
    else:
        limits = [f"for {_span(in_all)}"] * bool(in_all) + [f"{attempts} times at most"] * bool(attempts)
        said = (
            f"tried {', '.join(limits) or 'without limit'}"
            if asked.HasField("retry_policy") or in_all
            else "unknown"
        )
    if (to_start and not in_all) or to_start < in_all:
        said += f", {_span(to_start)} to its start"
    return said


def _bounds(activity: Activity) -> str:
    if activity.is_local:
        return "unknown"
    asked = activity.event.activity_task_scheduled_event_attributes
    limits = [
        f"{name} {_span(limit.ToTimedelta())}"
        for name, limit in (
            ("an attempt", asked.start_to_close_timeout),
            ("in all", asked.schedule_to_close_timeout),
            ("to its start", asked.schedule_to_start_timeout),
            ("heartbeat", asked.heartbeat_timeout),
        )
        if limit.ToTimedelta()
    ]
    return ", ".join([*limits, _retries(asked.retry_policy if asked.HasField("retry_policy") else None)])


def _retries(policy: RetryPolicy | None) -> str:
    if policy is None:
        return "retries unknown"
    if policy.maximum_attempts == 1:
        return "1 attempt"
    many = f"{policy.maximum_attempts} attempts" if policy.maximum_attempts else "attempts without limit"
    pause = f"after {_span(policy.initial_interval.ToTimedelta())}"
    if policy.backoff_coefficient > 1:
        pause += f" × {policy.backoff_coefficient:g}"
        if longest := policy.maximum_interval.ToTimedelta():
            pause += f" up to {_span(longest)}"
    never = (
        f", not after {', '.join(policy.non_retryable_error_types)}"
        if policy.non_retryable_error_types
        else ""
    )
    return f"{many} {pause}{never}"


_GIVEN_UP = {
    RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE: "its error is not retried",
    RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED: "its attempts were used up",
    RetryState.RETRY_STATE_TIMEOUT: "its time was over",
    RetryState.RETRY_STATE_RETRY_POLICY_NOT_SET: "it has no retries",
    RetryState.RETRY_STATE_CANCEL_REQUESTED: "it was asked to stop",
    RetryState.RETRY_STATE_INTERNAL_SERVER_ERROR: "the server failed",
}
_OF_TIME = {
    TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE: "an attempt",
    TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE: "in all",
    TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START: "to its start",
    TimeoutType.TIMEOUT_TYPE_HEARTBEAT: "heartbeat",
}


def _ended(activity: Activity) -> str:
    if activity.status == "abandoned":
        return "its run ended first"
    if activity.status in ("pending", "running"):
        return "not ended"
    if activity.is_local or activity.closed is None or activity.status not in ("failed", "timed out"):
        return activity.status
    attributes = getattr(activity.closed, activity.closed.WhichOneof("attributes"))
    words = [_GIVEN_UP.get(attributes.retry_state, "")]
    if activity.status == "timed out":
        words.insert(0, _OF_TIME.get(attributes.failure.timeout_failure_info.timeout_type, ""))
    return ": ".join([activity.status, *dict.fromkeys(filter(None, words))])


def _span(time: timedelta) -> str:
    """In the largest unit that says it exactly: "90 s", "2 min", "3 d"."""
    seconds = time.total_seconds()
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"
