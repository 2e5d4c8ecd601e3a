"""Replay, watched: a workflow's code is run again on its history, and every step that it takes is noted."""

from collections import defaultdict
from typing import Any

import pandas as pd
from temporalio.client import WorkflowHistory
from temporalio.worker import (
    ExecuteWorkflowInput,
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    StartActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from course.history import event_table
from course.lab.replaying import replayer


async def watch_replay(workflow: type, history: WorkflowHistory) -> pd.DataFrame:
    """Replays a history with its workflow's code, as a worker does that takes over. No activity runs.

    Args:
        workflow: The workflow's class.
        history: What is on record of one run.

    Returns:
        One row for each step of the code, in the order in which it took them: `code`, what it did, and the event
        that it met on record, `event_id` and `event`. A step beyond the end of the record met none.

    Raises:
        temporalio.workflow.NondeterminismError: The code does something else than the record says.
    """
    watch = _Watch()
    await replayer(workflow, watch).replay_workflow(history)
    events = event_table(history)
    met = _met(history)
    ids = [met[step].pop(0) if met[step] else None for _, step in watch.steps]
    return pd.DataFrame(
        {
            "code": [said for said, _ in watch.steps],
            "event_id": pd.array(ids, dtype="Int64"),
            "event": [events.event[id - 1] if id else None for id in ids],
        }
    )


class _Watch(Interceptor):
    """Notes each step of the workflow's code: a sentence, and what kind of step it was, of what."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, tuple[str, Any]]] = []

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        watch, asked = self, 0

        def note(sentence: str, kind: str, of: Any = None) -> None:
            watch.steps.append((sentence, (kind, of)))

        class Outbound(WorkflowOutboundInterceptor):
            def start_activity(self, input: StartActivityInput) -> Any:
                nonlocal asked
                number, asked = asked, asked + 1
                note(f"asks for {input.activity}", "asks", number)
                handle = super().start_activity(input)
                handle.add_done_callback(lambda _: note(f"has the result of {input.activity}", "has", number))
                return handle

        class Inbound(WorkflowInboundInterceptor):
            def init(self, outbound: WorkflowOutboundInterceptor) -> None:
                super().init(Outbound(outbound))

            async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
                note("run begins", "run")
                return await super().execute_workflow(input)

            async def handle_signal(self, input: HandleSignalInput) -> None:
                note(f"{input.signal} begins", "signal")
                await super().handle_signal(input)

            async def handle_update_handler(self, input: HandleUpdateInput) -> Any:
                note(f"{input.update} begins", "accepts", input.id)
                result = await super().handle_update_handler(input)
                note(f"{input.update} returns", "replies", input.id)
                return result

        return Inbound


def _met(history: WorkflowHistory) -> defaultdict[tuple[str, Any], list[int]]:
    """Which events of a history a step of the code meets, the first one first."""
    met: defaultdict[tuple[str, Any], list[int]] = defaultdict(list, {("run", None): [1]})
    asked: dict[int, int] = {}
    accepted: dict[int, str] = {}
    for event in history.events:
        kind = event.WhichOneof("attributes")
        said = getattr(event, kind)
        match kind.removesuffix("_event_attributes"):
            case "activity_task_scheduled":
                step = "asks", asked.setdefault(event.event_id, len(asked))
            case "workflow_execution_signaled":
                step = "signal", None
            case "workflow_execution_update_accepted":
                step = "accepts", accepted.setdefault(event.event_id, said.accepted_request.meta.update_id)
            case "workflow_execution_update_completed":
                step = "replies", accepted[said.accepted_event_id]
            case (
                "activity_task_completed"
                | "activity_task_failed"
                | "activity_task_timed_out"
                | "activity_task_canceled"
            ):
                step = "has", asked[said.scheduled_event_id]
            case _:
                continue
        met[step].append(event.event_id)
    return met
