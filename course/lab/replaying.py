"""Replay: a workflow's code is run again on a recorded history. No activity runs, no model is asked."""

import re
from importlib.metadata import version
from typing import Any

import pandas as pd
from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.openai_agents import OpenAIAgentsPlugin
from temporalio.worker import Interceptor, Replayer

from course.history import event_table
from course.history.reading import History, Run, runs_of
from course.lab.compat import workflow_definition
from course.lab.errors import LabError
from course.lab.runtime import runtime


async def replay(history: History, *workflows: type) -> str:
    """Replays recorded histories with today's workflow code, as a worker does after a deployment.

    Args:
        history: A `WorkflowHistory`, its JSON text or parsed JSON, or a list of these.
        workflows: Workflow classes. The one that has the history's workflow type is replayed.

    Returns:
        A sentence that says what was replayed.

    Raises:
        LabError: The code asks for something else than the history holds (the sentence names the event), the
            code raises, or this is nothing that can be replayed.
    """
    try:
        runs = runs_of(history)
    except ValueError as error:
        raise LabError(f"This cannot be replayed. {error}") from None
    known = {_named(one): one for one in workflows}
    played = [await _replay(run, known) for run in runs]
    return f"{', '.join(dict.fromkeys(played))}: {len(runs)} {'run replays' if len(runs) == 1 else 'runs replay'} clean."


def _named(code: Any) -> str | None:
    if definition := workflow_definition(code):
        return definition.name
    raise LabError(
        f"{code!r} is not a workflow, so nothing was replayed: hand in a class with @workflow.defn."
    )


def replayer(code: type, *interceptors: Interceptor) -> Replayer:
    """With the plugin, as the worker has it: without it, an agent's run would leave the workflow."""
    plugins = [OpenAIAgentsPlugin()]
    # Without a build id, the first one of a process would make a hash of all its code, for a third of a second.
    return Replayer(
        workflows=[code], plugins=plugins, interceptors=interceptors, build_id="course", runtime=runtime()
    )


async def _replay(run: Run, known: dict[str | None, type]) -> str:
    """Replays one run; returns the name of the class that it was replayed with."""
    whole = [event.event_id for event in run] == list(range(1, len(run) + 1))
    if not run or not whole or not run[0].HasField("workflow_execution_started_event_attributes"):
        raise LabError(
            "This history is not whole: a replay needs every event from the first on. Fetch it again, with all its "
            "pages, or take the run out of the set if its events have expired."
        )
    if unknown := next((e for e in run if e.event_type == EventType.EVENT_TYPE_UNSPECIFIED), None):
        raise LabError(
            f"Event {unknown.event_id} of this history is of no kind that this library (temporalio {version('temporalio')}) "
            "knows, so nothing was replayed: a newer server may have recorded it. Replay it with a newer library, or "
            "fetch it again."
        )
    started = run[0].workflow_execution_started_event_attributes
    name = started.workflow_type.name
    if name not in known:
        raise LabError(
            f"This is a history of {name}, and there is code for {', '.join(map(str, known)) or 'nothing'}. "
            "Hand in the class that has this name (its own, or the one in @workflow.defn(name=…)); a workflow that is "
            "gone from the code can be taken out of the set when its last run has ended."
        )
    code = known[name]
    try:
        # Under its own id: code may branch on it (a patch id that holds the workflow's, say).
        await replayer(code).replay_workflow(WorkflowHistory(started.workflow_id or "replayed", run))
    except workflow.NondeterminismError as error:
        raise LabError(
            f"{code.__name__} does not fit this history: {_difference(str(error), run)} Deployed, it would freeze this "
            "conversation. Keep the old way for old runs (workflow.patched: lesson 09), or leave them to workers with the code "
            "that began them (worker versioning)."
        ) from error
    except RuntimeError as error:
        raise LabError(
            f"{code.__name__} raises where this history goes on: {_message(str(error)).rstrip('.')}. Fix the code and replay again."
        ) from error
    return code.__name__


EVENT = r"HistoryEvent(?:\(id: | \{ event_id: )(?P<id>\d+)"  # a child is told of in the second way
DIFFERENCES = {
    r"Activity type of scheduled event '(?P<old>.+?)' does not match activity type of activity command '(?P<new>.+?)'": (
        "where the history has the activity {old}, the code asks for {new}."
    ),
    rf": (?P<new>[\w ]+) machine does not handle this event: {EVENT}": (
        "the code asks for one more step ({new}) where the history goes on with {event}."
    ),
    rf"No command scheduled for event {EVENT}": (
        "the code does not ask any more for what the history has, {event}."
    ),
    r"patch marker encountered for change (?P<old>.+?), but there is no corresponding change command": (
        "it took the patch {old!r}, and the code does not ask for that patch any more."
    ),
}
"""What Temporal says, and what it means. A command is what the code asks for; an event is what is on record."""


def _difference(error: str, run: Run) -> str:
    for pattern, words in DIFFERENCES.items():
        if found := re.search(pattern, error):
            named = found.groupdict()
            event = _event(int(named["id"]), run) if "id" in named else ""
            return words.format(event=event, **named)
    return _message(error)


def _event(id: int, run: Run) -> str:
    """An event by what a person can find it by. Its number may differ between two runs of the same story."""
    events = event_table(WorkflowHistory("replayed", run))
    event = events[events.event_id == id].iloc[0]
    turn = "" if pd.isna(event.turn) else f" of turn {event.turn}"
    return f"{event.event}{f' ({event.detail})' if event.detail else ''}{turn}"


def _message(error: str) -> str:
    found = re.search(r'message: "(.*?)(?<!\\)"', error)
    return (found[1] if found else error)[:300]
