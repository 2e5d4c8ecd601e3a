"""Agents of a framework that `deciders.py` does not know: whether a history has one, and from where on.

The model calls of such an agent are activities like any other. What gives one away is its form, not its name:
a *foreign model call* is an activity whose result names, with arguments, a tool that the activity's own input
declares with a JSON schema, or the type of an activity that is scheduled later. In an answer that came in pieces, the arguments may be in another piece than the name.

Results are looked at as bytes first, and parsed only where these do not rule a call out.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json
from temporalio.api.common.v1 import Payload

from course.history.executions import Activity
from course.history.reading import Unreadable, value_of

_IDENTIFIER = re.compile(r"[A-Za-z_][\w.:/-]{0,127}")
_SCHEMA = re.compile(rb'"(?:object|OBJECT)')
_CAN_BE_SEARCHED = re.compile(rb"json/(plain|protobuf)|binary/(null|plain|protobuf)").fullmatch


@dataclass
class ForeignAgent:
    """What a history shows of such an agent. Positions count the events of all runs."""

    answered: float = float("inf")  # the end of its first model call: from here on a model may have chosen
    in_doubt: float = float("inf")  # the end of the first activity that may have been one and cannot be read
    types: set[str] = field(default_factory=set)  # of its model calls, and of what listed its tools before


def foreign_agent_in(activities: list[Activity]) -> ForeignAgent:
    """Go through the results of `activities`, none of which belongs to a framework that is known."""
    ended = [(activity, payload) for activity in activities if (payload := activity.payload) is not None]
    ended.sort(key=lambda one: one[0].closed_position or 0)
    last = {activity.name: activity.position for activity in activities}
    names = re.compile("|".join(map(re.escape, last)).encode())
    found = ForeignAgent()
    for number, (activity, payload) in enumerate(ended):
        verdict = _is_model_call(activity, payload, last, names)
        if verdict is None:
            found.in_doubt = min(found.in_doubt, activity.closed_position)
        elif verdict:
            tools = _declared(activity.arguments)
            listings = [one for one, listed in ended[:number] if _SCHEMA.search(listed.data)]
            found.types = {activity.name, *(one.name for one in listings if _declared(one.result) & tools)}
            found.answered = activity.closed_position
            break
    return found


def _is_model_call(
    activity: Activity, payload: Payload, last: dict[str, int], names: re.Pattern[bytes]
) -> bool | None:
    """True, False, or None where the payloads that cannot be read decide it."""
    if _is_sealed(payload):
        return None
    data = payload.data
    if b"{" not in data:
        return False
    inputs = activity.inputs
    declares = any(_SCHEMA.search(given.data) for given in inputs)
    sealed = any(map(_is_sealed, inputs))
    if not (declares or sealed or names.search(data)):
        return False
    result = value_of(payload)
    if isinstance(result, Unreadable):
        return None
    tools = _declared(activity.arguments) if declares else set()
    in_pieces = isinstance(result, list) and len(result) > 1
    for node in _objects(result):
        words = {value for value in node.values() if isinstance(value, str)}
        has_arguments = any(isinstance(_opened(value), dict) for value in node.values())
        if words & tools and (in_pieces or has_arguments or None in node.values() or "" in words):
            return True
        if has_arguments and any(last.get(word, 0) > activity.closed_position for word in words):
            return True
        if has_arguments and sealed and any(map(_IDENTIFIER.fullmatch, words)):
            return None
    return False


def _is_sealed(payload: Payload) -> bool:
    """Encrypted, compressed, kept elsewhere: it may hold anything."""
    return not _CAN_BE_SEARCHED(payload.metadata.get("encoding", b""))


def _declared(value: Any, nearby: frozenset[str] = frozenset()) -> set[str]:
    """What a value calls by name and describes with a JSON schema, beside the name or below it."""
    value = _opened(value)
    if isinstance(value, dict):
        if str(value.get("type")).lower() == "object":
            return set(nearby)
        words = (word for word in value.values() if isinstance(word, str))
        nearby = frozenset(filter(_IDENTIFIER.fullmatch, words)) or nearby
        value = list(value.values())
    if isinstance(value, list):
        return set().union(*(_declared(part, nearby) for part in value))
    return set()


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a value, at any depth."""
    left = [value]
    while left:
        part = _opened(left.pop())
        if isinstance(part, dict):
            yield part
            left.extend(part.values())
        elif isinstance(part, list):
            left.extend(part)


def _opened(value: Any) -> Any:
    """What JSON text holds; any other value as it is."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        with suppress(ValueError):
            return from_json(value)
    return value
