"""The truth about a history, written down by the code while it runs.

Each workflow of the tests keeps a ledger: one line per activity, in the order in which the code scheduled
it, with the hand that did it and the turn that it belonged to. The hand is set where the code that runs
next is known for certain (a tool's own function, the wrapper that hands an activity to the model), never
worked out from a name. `course.history` sees none of this: it must come to the same lines from the record.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

from temporalio import workflow
from temporalio.worker import (
    Interceptor,
    StartActivityInput,
    StartLocalActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

HAND: ContextVar[str] = ContextVar("hand", default="workflow")
TURN: ContextVar[int | None] = ContextVar("turn", default=None)
# What the frameworks schedule from inside themselves, with no code of ours near: a tool that the model asked
# for, and calls of their own.
TOOL_CALL = re.compile(r".*[-._]call[-_]tool(-v2)?")
OWN_CALL = re.compile(r"invoke_model.*|.*__model_request|.*[-._](list-tools|get_tools|get_instructions)")


@asynccontextmanager
async def hand(name: str) -> AsyncIterator[None]:
    """What is scheduled in this block, or in a function that this decorates, was decided by `name`."""
    token = HAND.set(name)
    try:
        yield
    finally:
        HAND.reset(token)


class Ledger:
    """A workflow of the tests: it knows what it did, and says so when asked."""

    def __init__(self) -> None:
        self.lines: list[list[Any]] = []
        self.turns = 0

    def open_turn(self) -> None:
        """Everything that this handler starts from here on belongs to a new turn."""
        self.turns += 1
        TURN.set(self.turns)

    @workflow.query
    def ledger(self) -> list[list[Any]]:
        return self.lines


class LedgerInterceptor(Interceptor):
    """Writes the line, at the moment when the workflow's code schedules the activity."""

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        return _Inbound


class _Inbound(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_Outbound(outbound))


class _Outbound(WorkflowOutboundInterceptor):
    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:
        _write_line(input.activity)
        return super().start_activity(input)

    def start_local_activity(self, input: StartLocalActivityInput) -> workflow.ActivityHandle[Any]:
        _write_line(input.activity)
        return super().start_local_activity(input)


def _write_line(activity: str) -> None:
    decided = (
        "agent" if TOOL_CALL.fullmatch(activity) else "plugin" if OWN_CALL.fullmatch(activity) else HAND.get()
    )
    ledger = workflow.instance()
    if isinstance(ledger, Ledger):
        ledger.lines.append([activity, decided, TURN.get()])
