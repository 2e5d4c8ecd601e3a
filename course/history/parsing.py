"""Events from JSON, several times as fast as protobuf's own reader, and in a fraction of the memory.

That one goes through every field that a message could have, for every message, and needs the whole JSON
parsed: the tables of a long history would spend nineteen twentieths of their time there. This one works out
once how each type of message is read, leaves the rest to the message's constructor, and takes one event of a
text at a time. Fields that it does not know are left out; a form that it does not know raises, and `reading.py` turns
to the SDK's reader.
"""

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.history.v1 import History, HistoryEvent

Read = Callable[[Any], Any]
_WHOLE = {getattr(FieldDescriptor, f"TYPE_{kind}") for kind in ("INT64", "UINT64", "INT32", "UINT32")}
_AS_IT_IS = {getattr(FieldDescriptor, f"TYPE_{kind}") for kind in ("STRING", "BOOL", "ENUM")}


_BEGINS = re.compile(r'\s*\{\s*"events"\s*:\s*\[\s*')
_GOES_ON = re.compile(r"\s*(,\s*|\]\s*\}\s*\Z)")


def read_events(history: str | Mapping[str, Any]) -> Sequence[HistoryEvent]:
    """The events of one run, from its JSON text or from that JSON parsed.

    Raises ValueError, KeyError, TypeError or AttributeError for what `to_json()`, the command line and the
    Web UI do not write.
    """
    given = _one_by_one(history) if isinstance(history, str) else history["events"]
    read = _message(HistoryEvent.DESCRIPTOR)
    events = History().events  # one piece of memory for all of them
    for event in given:
        events.append(read(event))
    return events


def _one_by_one(text: str) -> Iterator[Any]:
    scan = json.JSONDecoder().raw_decode
    found = _BEGINS.match(text)
    while found:
        event, at = scan(text, found.end())
        yield event
        found = _GOES_ON.match(text, at)
        if found and "]" in found[0]:
            return
    raise ValueError("This text is not a list of events.")


@cache
def _message(descriptor: Descriptor) -> Read:
    """How a message of this type is read."""
    if descriptor is Timestamp.DESCRIPTOR:
        return _timestamp
    if descriptor is Duration.DESCRIPTOR:
        return _duration
    if descriptor.file.package == "google.protobuf" and descriptor.name != "Empty":
        return _unexpected
    create = GetMessageClass(descriptor)
    fields: dict[str, tuple[str, Read | None]] = {}

    def read(value: Mapping[str, Any]) -> Any:
        if not fields:  # filled at the first use: a failure's cause is a failure
            fields.update(
                (name, (field.name, _field(field)))
                for field in descriptor.fields
                for name in (field.json_name, field.name)
            )
        found = {}
        for key, part in value.items():
            if part is not None and key in fields:
                name, convert = fields[key]
                found[name] = part if convert is None else convert(part)
        return create(**found)

    return read


def _field(field: FieldDescriptor) -> Read | None:
    """How the value of a field is read; None where it is taken as it is."""
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        key, value = (_one(part) for part in kind.fields)
        if key is not None:
            return _unexpected  # no event has a map whose keys are not text
        return lambda given: {name: part if value is None else value(part) for name, part in given.items()}
    one = _one(field)
    if field.is_repeated and one is not None:
        return lambda given: [one(part) for part in given]
    return one


def _one(field: FieldDescriptor) -> Read | None:
    if field.message_type is not None:
        return _message(field.message_type)
    if field.type in _AS_IT_IS:
        return None
    if field.type in _WHOLE:
        return int  # 64 bits come as text
    if field.type == FieldDescriptor.TYPE_BYTES:
        return lambda text: urlsafe_b64decode(text + "===")
    return float


def _unexpected(value: Any) -> Any:
    raise ValueError(value)


def _timestamp(text: str) -> Timestamp:
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = datetime.fromisoformat(whole + "+00:00").timestamp()  # any other offset is refused here
    return Timestamp(seconds=int(seconds), nanos=int(fraction.ljust(9, "0")) if fraction else 0)


@lru_cache(1000)
def _duration(text: str) -> Duration:
    duration = Duration()
    duration.FromJsonString(text)
    return duration
