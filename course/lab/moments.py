"""The moments at which a worker process can be killed: around each activity, and around each workflow task."""

import os
import re
import signal
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from temporalio import activity, workflow
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    HandleUpdateInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInstance,
    WorkflowInstanceDetails,
    WorkflowInterceptorClassInput,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from course.lab.errors import LabError

MOMENT = re.compile(r"(before|after) (.+?)(?: #([1-9]\d*))?")


@dataclass(frozen=True)
class Moment:
    """`before` or `after` the n-th thing of a kind that this process does."""

    point: str
    occurrence: int

    @classmethod
    def read(cls, text: str, activities: Sequence[Callable[..., Any]]) -> "Moment":
        """Raises `LabError` for a moment at which no worker of these activities can be killed."""
        names = [activity.__name__ for activity in activities] + ["invoke_model_activity"]
        points = [f"{when} {name}" for name in [*names, "workflow task"] for when in ("before", "after")]
        words = MOMENT.fullmatch(text) if isinstance(text, str) else None
        point = f"{words[1]} {words[2]}" if words else ""
        if not words or point not in [*points, "before reply"]:
            raise LabError(
                f"There is no moment {text!r} to kill a worker at: say 'before reply', or 'before NAME' or "
                f"'after NAME' of a 'workflow task' or of one of its activities ({', '.join(names)}). "
                "A number names which one, counted from 1: 'after NAME #2'."
            )
        return cls(point, int(words[3] or 1))


def die() -> None:
    """Ends this process as the out-of-memory killer would."""
    os.kill(os.getpid(), signal.SIGKILL)


class KillAt(Interceptor):
    """Kills at one moment: its own process, if nothing else is said.

    `before NAME`: the activity NAME is about to run. `after NAME`: its effect is there, and its completion not
    yet reported. `before reply`: in a workflow task; the turn is done and its reply not yet on record.
    `before workflow task`: it has come, and no line of the workflow has run. `after workflow task`: they have
    run, and what they decided is not yet on record.
    """

    def __init__(self, moment: Moment, kill: Callable[[], None] = die) -> None:
        self._moment, self._kill = moment, kill
        self._passed: set[Hashable] = set()

    def passes(self, point: str, what: Hashable) -> None:
        """Called at every point. Another attempt at the same `what` is not counted again."""
        if point == self._moment.point and what not in self._passed:
            self._passed.add(what)
            if len(self._passed) == self._moment.occurrence:
                self._kill()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _DieInActivity(next, self)

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        kill_at = self

        class DieBeforeReply(WorkflowInboundInterceptor):
            async def handle_update_handler(self, input: HandleUpdateInput) -> Any:
                result = await super().handle_update_handler(input)
                if not workflow.unsafe.is_replaying():
                    kill_at.passes("before reply", (workflow.info().run_id, input.id))
                return result

        return DieBeforeReply


class _DieInActivity(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, kill_at: KillAt) -> None:
        super().__init__(next)
        self._kill_at = kill_at

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        name, info = input.fn.__name__, activity.info()
        one = (info.workflow_run_id, info.activity_id)
        self._kill_at.passes(f"before {name}", one)
        result = await super().execute_activity(input)
        self._kill_at.passes(f"after {name}", one)
        return result


@dataclass(frozen=True)
class DyingRunner(SandboxedWorkflowRunner):
    """The workflows' sandbox, as always. `kill_at` is told of every workflow task that is not a replay."""

    kill_at: KillAt | None = None

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        instance, kill_at = super().create_instance(det), self.kill_at
        assert kill_at
        activate = instance.activate

        def activate_or_die(act: Any) -> Any:
            happens = not act.is_replaying and any(not job.HasField("query_workflow") for job in act.jobs)
            one = (act.run_id, act.history_length)
            if happens:
                kill_at.passes("before workflow task", one)
            completion = activate(act)
            if happens:
                kill_at.passes("after workflow task", one)
            return completion

        instance.activate = activate_or_die  # type: ignore[method-assign]
        return instance
