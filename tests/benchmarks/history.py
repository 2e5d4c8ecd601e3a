"""A long history: one recorded turn, repeated, with its own ids and a growing conversation in every model call."""

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from course.history import activity_table, event_table, timeline
from course.history.__main__ import main

RECORDED = Path(__file__).parents[1] / "histories" / "recorded" / "continues_as_new.json"
WINDOW = 24
"""Items of the conversation that a model call carries: without a bound, 50,000 events exceed any server's limit."""
LINKS = ("scheduled_event_id", "started_event_id", "accepted_event_id", "workflow_task_completed_event_id")


def long_history(length: int) -> WorkflowHistory:
    """A history of `length` events, in which the agent, the workflow and the plugin have decided."""
    run = WorkflowHistory.from_json("", json.loads(RECORDED.read_text())["runs"][0]).events
    accepted = [
        place
        for place, event in enumerate(run)
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
    ]
    head, turn = run[: accepted[0]], run[accepted[0] : accepted[1]]
    events = list(head)
    conversation: list[Any] = []
    for number in range(1 + length // len(turn)):
        shift = len(events) - len(head)
        events += [_copy(event, number, shift, conversation) for event in turn]
    return WorkflowHistory("long", events[:length])


def _copy(event: HistoryEvent, turn: int, shift: int, conversation: list[Any]) -> HistoryEvent:
    copy = HistoryEvent()
    copy.CopyFrom(event)
    copy.event_id += shift
    for marker in copy.event_group_markers:
        marker.inbound_update.inbound_update_id = f"update-{turn}"
    kind = copy.WhichOneof("attributes")
    attributes = getattr(copy, kind)
    for link in LINKS:
        if link in attributes.DESCRIPTOR.fields_by_name and getattr(attributes, link):
            setattr(attributes, link, getattr(attributes, link) + shift)
    if kind == "workflow_execution_update_accepted_event_attributes":
        attributes.protocol_instance_id = attributes.accepted_request.meta.update_id = f"update-{turn}"
    elif kind == "activity_task_scheduled_event_attributes":
        if attributes.activity_type.name == "invoke_model_activity":
            _grow(attributes.input.payloads[0], turn, conversation)
    elif kind == "activity_task_completed_event_attributes":
        payload = attributes.result.payloads[0]
        payload.data = payload.data.replace(b'"call_id":"call_1"', b'"call_id":"call_%d"' % turn)
    return copy


def _grow(payload: Any, turn: int, conversation: list[Any]) -> None:
    """Puts the conversation so far before a model call's own items."""
    given = json.loads(payload.data)
    items = given["input"]
    for item in items:
        if item.get("call_id"):
            item["call_id"] = f"call_{turn}"
    given["input"] = conversation[-WINDOW:] + items
    if any(item.get("type") == "function_call_output" for item in items):  # the turn's last model call
        conversation += items
    payload.data = json.dumps(given, separators=(",", ":")).encode()


def measure(what: str, file: str) -> None:
    """In a process of its own, since its peak counts: seconds of CPU and MB that `what` took to read a history."""
    files = sorted(map(str, Path(file).iterdir())) if Path(file).is_dir() else [file]
    text = "" if Path(file).is_dir() else Path(file).read_text()
    work: dict[str, Callable[[], Any]] = {
        "program": lambda: main(["--csv", file]),
        "summary": lambda: main(["--summary", *files]),
        "pandas": lambda: pd.json_normalize(json.loads(text)["events"]),
        "sdk": lambda: WorkflowHistory.from_json("", text),
        "table": lambda: activity_table(text),
        "events": lambda: event_table(text),
        "timeline": lambda: timeline(text)._repr_mimebundle_(),
    }
    timeline(long_history(100))._repr_mimebundle_()  # what is loaded at the first use does not count
    before, began = peak(), time.process_time()
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        work[what]()
    print(time.process_time() - began, peak() - before)


def peak() -> float:
    """Of this process's memory, in MB. (What getrusage says of it is that of the process that started this one.)"""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


if __name__ == "__main__":
    measure(*sys.argv[1:])
