"""Whether a recorded activity was given the arguments that the model asked for.

The two do not look alike. The model sends one JSON object, `{"order": "2"}`. The activity's arguments are
recorded one by one, in the order of the function's parameters, after the types have been put right and the
defaults filled in: `2, false, 0.0`. Code may have put an object in front that the model knows nothing of: the
run's context, or whom the desk serves, `{"name": "ada"}`. That one is not compared.
"""

import json
from contextlib import suppress
from typing import Any

from course.history.reading import Unreadable

_ANY = object()  # an argument that the model left out, with a default that the schema does not hold


def same_arguments(asked: Any, tool: dict[str, Any], recorded: list[Any] | None) -> bool | None:
    """True, False, or None where the record cannot tell.

    `asked` is the JSON text of the call, `tool` the tool as the model was given it (empty if that is not on
    record), `recorded` the activity's arguments.
    """
    if recorded is None or any(isinstance(value, Unreadable) for value in recorded):
        return None
    asked = _json(asked or "{}")
    if not isinstance(asked, dict):
        return False  # such a call fails before it reaches an activity
    if len(recorded) == 1 and isinstance(recorded[0], str) and _json(recorded[0]) == asked != {}:
        return True  # as older versions of the plugin recorded them
    schema = tool.get("params_json_schema")
    if not isinstance(schema, dict):
        # No schema on record: the model's order, and the code's defaults after it.
        expected = list(asked.values())
        return any(
            len(given) >= len(expected) and all(map(equal, expected, given))
            for given in (recorded, _without_object_in_front(recorded))
        )
    parameters = schema.get("properties", {})
    expected = [asked.get(name, part.get("default", _ANY)) for name, part in parameters.items()]
    if len(recorded) == len(expected) + 1:
        recorded = _without_object_in_front(recorded)
    return len(recorded) == len(expected) and all(map(equal, expected, recorded))


def _without_object_in_front(recorded: list[Any]) -> list[Any]:
    return recorded[1:] if recorded and isinstance(recorded[0], dict) else recorded


def same_object(asked: Any, recorded: Any) -> bool:
    """Whether `recorded` is the JSON object that the text `asked` holds: no arguments are an empty one."""
    asked, recorded = _json(asked or "{}"), recorded or {}
    return isinstance(recorded, dict) and asked == recorded


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):  # no JSON, or nested too deeply
        return None


def equal(asked: Any, recorded: Any) -> bool:
    """By value: "2" and 2 and 2.0 are equal. Of an object, what the model did not give is not compared."""
    if asked is _ANY or asked == recorded:
        return True
    if isinstance(asked, dict) and isinstance(recorded, dict):
        return all(name in recorded and equal(value, recorded[name]) for name, value in asked.items())
    if isinstance(asked, list) and isinstance(recorded, list):
        return len(asked) == len(recorded) and all(map(equal, asked, recorded))
    if isinstance(asked, str) and isinstance(recorded, str):
        return False
    number = _number(asked)
    return number is not None and number == _number(recorded)


def _number(value: Any) -> int | float | None:
    if isinstance(value, str):
        for kind in (int, float):
            with suppress(ValueError):
                return kind(value)
        return None
    return value if isinstance(value, (int, float)) else None
