"""What may be handed in as a history, and what a payload in it says."""

import json
import os
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from google.protobuf.json_format import ParseError
from google.protobuf.message import Message
from pydantic_core import from_json  # twice as fast as json.loads
from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from course.history.parsing import read_events

History: TypeAlias = WorkflowHistory | str | bytes | Mapping[str, Any] | Sequence["History"]

_HAND_IN = (
    "Hand in a temporalio.client.WorkflowHistory, its JSON text (from to_json(), `temporal workflow show "
    "--output json` or the Web UI's download), that JSON parsed, or a list of these, one a run."
)
# From the quick reader: an older tool's JSON, more than one run, or no history. The SDK's reader decides.
_NOT_SO = (ValueError, KeyError, TypeError, AttributeError)


class CannotRead(ValueError):
    """There is no history to be had from where one was looked for. The message is a sentence."""


class Run(Sequence[HistoryEvent]):
    """The events of one run, in the order of their ids.

    Most events of a long history say nothing to a table, and to look at each costs more than all that is done with
    most: that is done once, here.
    """

    def __init__(self, events: Sequence[HistoryEvent]) -> None:
        ids, kinds = [], []
        for event in events:
            ids.append(event.event_id)
            kinds.append(event.event_type)
        if ids != sorted(ids):
            events = sorted(events, key=lambda event: event.event_id)
            kinds = [event.event_type for event in events]
        self._events, self._kinds = events, kinds

    def __len__(self) -> int:
        return len(self._events)

    def __getitem__(self, place: Any) -> Any:
        return self._events[place]

    def __iter__(self) -> Iterator[HistoryEvent]:
        return iter(self._events)

    def of_kinds(self, wanted: Container[int]) -> Iterator[tuple[int, int, HistoryEvent]]:
        """The events of these types, each with its place and its type."""
        for place, kind in enumerate(self._kinds):
            if kind in wanted:
                yield place, kind, self._events[place]


def runs_of(history: History) -> list[Run]:
    """The runs of one workflow, each a sequence of events in the order of their ids, the first run first.

    The order in which they are handed in says nothing: `temporal workflow show --reverse` begins with the
    newest event.

    Raises ValueError, in a sentence, for what is not a history.
    """
    if isinstance(history, (str, bytes)):
        is_text = isinstance(history, str)
        text = history if is_text else history.decode(json.detect_encoding(history), "replace")
        try:
            return [Run(read_events(text))]
        except _NOT_SO:
            pass
        try:
            history = json.loads(text)
        except ValueError as error:
            raise ValueError(f"This text is not JSON ({error}). {_HAND_IN}") from None
    if isinstance(history, Sequence) and not isinstance(history, (str, bytes)):
        if not history:
            raise ValueError(f"The list of histories is empty. {_HAND_IN}")
        runs = [run for part in history for run in runs_of(part)]
        return sorted(runs, key=lambda run: nanoseconds(run[0].event_time) if run else 0)
    if isinstance(history, WorkflowHistory):
        return [Run(history.events)]
    if isinstance(history, Mapping):
        return [Run(_events(history))]
    read = " Read the file first: path.read_text()." if isinstance(history, os.PathLike) else ""
    raise ValueError(f"This is no workflow history, but of type {type(history).__name__}.{read} {_HAND_IN}")


def _events(history: Mapping[str, Any]) -> Sequence[HistoryEvent]:
    try:
        return read_events(history)
    except _NOT_SO:
        pass
    try:
        return WorkflowHistory.from_json("", dict(history)).events
    except (ValueError, TypeError, AttributeError, ParseError) as error:
        raise ValueError(f"This JSON is not a workflow history ({error}). {_HAND_IN}") from None


def nanoseconds(time: Any) -> int:
    return time.seconds * 1_000_000_000 + time.nanos


def numbered(runs: list[Run]) -> Iterator[tuple[int, int, Run]]:
    """Each run with its number, from 1, and the position of its first event: positions count those of all runs."""
    first = 1
    for number, run in enumerate(runs, start=1):
        yield number, first, run
        first += len(run)


@dataclass(frozen=True)
class Unreadable:
    """Stands for a payload that cannot be decoded here: encrypted, compressed, binary, a strange encoding."""

    encoding: str
    size: int

    def __str__(self) -> str:
        return f"<{self.encoding or 'no encoding'}, {self.size} bytes>"


def value_of(payload: Payload) -> Any:
    """What a payload holds, as JSON has it: dict, list, str, number, bool or None; or Unreadable."""
    encoding = payload.metadata.get("encoding", b"")
    if encoding == b"binary/null":
        return None
    if encoding == b"json/plain" or encoding == b"json/protobuf":
        try:
            return from_json(payload.data, cache_strings="keys")
        except ValueError:  # it says that it is JSON, and is not
            pass
    return Unreadable(encoding.decode(errors="replace"), len(payload.data))


def text_of(value: Any) -> str:
    """A value as a table shows it: text as it is, everything else as JSON."""
    if isinstance(value, (str, Unreadable)):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def messages_in(message: Message, wanted: type, *besides: type) -> Iterator[Any]:
    """Every message of a type inside another one, the inner ones last. `besides`: types that are not looked into."""
    for field, value in message.ListFields():
        if field.message_type is None or isinstance(value, besides):
            continue
        if field.message_type.GetOptions().map_entry:
            parts = [part for part in value.values() if isinstance(part, Message)]
        else:
            parts = list(value) if field.is_repeated else [value]
        for part in parts:
            if isinstance(part, wanted):
                yield part
            if not isinstance(part, Payload):
                yield from messages_in(part, wanted, *besides)
