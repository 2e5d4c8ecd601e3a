"""Histories out of files and standard input, and which of them belong together."""

import asyncio
import gzip
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import BinaryIO, TypeAlias

from google.protobuf.message import DecodeError
from temporalio.api.history.v1 import History as HistoryMessage
from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionStartedEventAttributes
from temporalio.client import WorkflowHistory
from temporalio.converter import PayloadCodec

from course.history.decoding import decode
from course.history.reading import CannotRead, runs_of

Source: TypeAlias = str | PathLike[str] | bytes | BinaryIO


@dataclass
class Chain:
    """One workflow: its runs, the first first, each of which continued the one before."""

    id: str
    type: str
    runs: list[WorkflowHistory]
    run_ids: frozenset[str] = frozenset()


def read(*sources: Source, codec: PayloadCodec | None = None) -> list[WorkflowHistory]:
    """The runs of one workflow, out of files: what every table and figure of `course.history` takes.

        from course.history import activity_table, read
        activity_table(read("ada.json"), times=True)

    Args:
        sources: Each a path, an open binary file (`sys.stdin.buffer`), or the bytes themselves, with one run or a
            list of runs, in any order: JSON as `temporal workflow show --output json`, the Web UI's download
            and `to_json()` write it, a protobuf `temporal.api.history.v1.History`, or either of them, gzipped.
        codec: Decodes the payloads first. Any `temporalio.converter.PayloadCodec`: the one of your workers, or
            `RemoteCodec("http://localhost:8081")`, a codec server.

    Raises `CannotRead`, a ValueError, in a sentence: there is no such file, it is empty, broken off or no history, it holds
    several workflows (read one file at a time), the codec server does not answer.

    What is at a server, `fetch` gets: `await fetch("ada")`. Both give what these take, and the program
    `python -m course.history` is made of nothing else:

    - `activity_table`: who decided what; `event_table`, `transcript_table`, `growth_table`
    - `questions`: the four questions of each type of activity
    - `Summary`: many workflows, counted
    - `timeline`: the figure; `page`: one HTML file with all of it
    """
    chains = list(read_chains(sources, codec=codec))
    if len(chains) > 1:
        raise CannotRead(
            f"There are {len(chains)} workflows in this: {', '.join(chain.id for chain in chains[:5])}. Read one at a time."
        )
    return chains[0].runs


def read_chains(sources: Iterable[Source], *, codec: PayloadCodec | None = None) -> Iterator[Chain]:
    """What `read` reads, of any number of workflows. Runs that continue one another are one chain.

    One source is read at a time. What is whole is handed on at once; what may go on in another one, at the end.
    """
    found = 0
    waiting: dict[object, Chain] = {}
    for source in sources:
        here: dict[object, Chain] = {}
        for name, run in _runs(source, codec):
            found += 1
            started = started_of(run.events)
            first = started.first_execution_run_id
            key = (started.workflow_id, first) if first else found
            chain = Chain(run.workflow_id or name, started.workflow_type.name or "unknown", [])
            here.setdefault(key, waiting.pop(key, chain)).runs.append(run)
        for key, chain in here.items():
            chain.runs.sort(key=lambda run: run.events[0].event_time.ToNanoseconds())
            if _is_whole(chain):
                yield chain
            else:
                waiting[key] = chain
    if not found:
        raise CannotRead("There is no history to read.")
    yield from waiting.values()


def _is_whole(chain: Chain) -> bool:
    begins = started_of(chain.runs[0].events)
    return bool(begins.workflow_type.name) and not (
        begins.continued_execution_run_id or continued_by(chain.runs[-1].events)
    )


def _runs(source: Source, codec: PayloadCodec | None) -> list[tuple[str, WorkflowHistory]]:
    """What a source holds, each run with the source's name."""
    if isinstance(source, bytes):
        name, data = "the bytes", source
    elif isinstance(source, str | PathLike):
        name = str(source)
        try:
            data = Path(source).read_bytes()
        except (OSError, ValueError) as error:
            said = getattr(error, "strerror", None) or str(error)
            raise CannotRead(f"{name} cannot be read: {said}.") from None
    else:
        name, data = getattr(source, "name", "the input"), source.read()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error):
            raise CannotRead(
                f"{name} is broken off or damaged: it begins as gzip and cannot be unpacked."
            ) from None
    if not data.strip():
        raise CannotRead(f"{name} is empty.")
    found = [_as_protobuf(data)] if data[:1] == b"\n" else []
    if found == [None] or not found:
        found = _as_json(name, data)
    runs = [(name, WorkflowHistory(started_of(events).workflow_id, events)) for events in found if events]
    if not runs:
        raise CannotRead(f"{name} holds a history without events.")
    if codec is not None:
        events = [event for _, run in runs for event in run.events]
        with ThreadPoolExecutor(1) as thread:  # a notebook's own loop is at work in this one
            thread.submit(asyncio.run, decode(events, codec)).result()
    return runs


def _as_protobuf(data: bytes) -> list[HistoryEvent] | None:
    """The events of a protobuf History; None where it is something else, such as JSON after an empty line."""
    try:
        events = list(HistoryMessage.FromString(data).events)
    except DecodeError:
        return None
    return sorted(events, key=lambda event: event.event_id) if _are_events(events) else None


def _as_json(name: str, data: bytes) -> list[list[HistoryEvent]]:
    if data[:1] == b"\n" and data.lstrip()[:1] not in (b"{", b"["):
        raise CannotRead(
            f"{name} is broken off or damaged: it begins as a protobuf history and cannot be read."
        )
    try:
        found = [list(run) for run in runs_of(data)]
    except ValueError as error:
        raise CannotRead(f"{name}: {error}") from None
    except RecursionError:
        raise CannotRead(f"{name} is JSON that is nested too deeply for a history.") from None
    if not all(_are_events(events) for events in found):
        raise CannotRead(f"{name} is JSON, but no workflow history: its events have no ids.")
    return found


def _are_events(events: Iterable[HistoryEvent]) -> bool:
    return all(event.event_id > 0 and event.WhichOneof("attributes") for event in events)


def started_of(events: Iterable[HistoryEvent]) -> WorkflowExecutionStartedEventAttributes:
    """The attributes of the event that a run begins with; empty ones where it is missing."""
    return next(iter(events), HistoryEvent()).workflow_execution_started_event_attributes


def continued_by(events: list[HistoryEvent]) -> str:
    """The id of the run that went on after this one, or nothing."""
    kind = events[-1].WhichOneof("attributes") if events else None
    return getattr(getattr(events[-1], kind), "new_execution_run_id", "") if kind else ""
