"""The moments at which a worker process can be killed: around each activity, and around each workflow task."""

import asyncio
import os
import re
import signal
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
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

from course.lab.errors import LabError
from course.lab.running import Sandbox

MOMENT = re.compile(r"((?:before|after) (.+?))(?: #([1-9]\d*))?")


@dataclass(frozen=True)
class Moment:
    """`before` or `after` the n-th thing of a kind that this process does."""

    point: str
    occurrence: int

    @classmethod
    def read_all(
        cls, texts: str | Sequence[str] | None, activities: Sequence[Callable[..., Any]]
    ) -> "list[Moment]":
        """Of a moment that is named several times, each means the next of its kind.

        Raises `LabError` for a moment at which no worker of these activities can be killed.
        """
        names = [activity.__name__ for activity in activities] + ["invoke_model_activity"]
        moments: list[Moment] = []
        for text in texts or () if isinstance(texts, list | tuple | None) else [texts]:
            words = MOMENT.fullmatch(text) if isinstance(text, str) else None
            if not words or (words[2] not in [*names, "workflow task"] and words[1] != "before reply"):
                raise LabError(
                    f"There is no moment {text!r} to kill a worker at: say 'before reply', or 'before NAME' "
                    f"or 'after NAME' of a 'workflow task' or of one of its activities ({', '.join(names)}). "
                    "A number names which one, counted from 1: 'after NAME #2'."
                )
            moment = cls(words[1], int(words[3] or 1))
            while moment in moments:
                moment = replace(moment, occurrence=moment.occurrence + 1)
            moments.append(moment)
        return moments


def die() -> None:
    """Ends this process as the out-of-memory killer would."""
    os.kill(os.getpid(), signal.SIGKILL)


class KillAt(Interceptor):
    """Kills at one moment, or when several have come: its own process, if nothing else is said.

    `Lab.worker_process` says what each means. `before workflow task`: it has come, no line of the workflow
    has run. `after workflow task`: they have run, and what they decided is not yet on record.
    """

    def __init__(self, moments: Sequence[Moment], kill: Callable[[], None] = die) -> None:
        self._missing, self._kill = set(moments), kill
        self._passed: defaultdict[str, set[Hashable]] = defaultdict(set)

    def passes(self, point: str, what: Hashable) -> bool:
        """Called at every point. Another attempt at the same `what` is not counted again.

        Returns whether this is a moment to wait at for others.
        """
        passed = self._passed[point]
        if what in passed:
            return False
        passed.add(what)
        moment = Moment(point, len(passed))
        if moment not in self._missing:
            return False
        self._missing.remove(moment)
        if not self._missing:
            self._kill()
        return bool(self._missing)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        kill_at = self

        class DieInActivity(ActivityInboundInterceptor):
            async def execute_activity(self, input: ExecuteActivityInput) -> Any:
                name, info = input.fn.__name__, activity.info()
                one = (info.workflow_run_id, info.activity_id)
                await kill_at._come_to(f"before {name}", one)
                result = await super().execute_activity(input)
                await kill_at._come_to(f"after {name}", one)
                return result

        return DieInActivity(next)

    async def _come_to(self, point: str, what: Hashable) -> None:
        if self.passes(point, what):
            await asyncio.Event().wait()

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


@dataclass(frozen=True)
class DyingRunner(Sandbox):
    """The workflows' sandbox, as always. `kill_at` is told of every workflow task that is not a replay."""

    kill_at: KillAt | None = None

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        instance, kill_at = super().create_instance(det), self.kill_at
        assert kill_at
        activate = instance.activate

        def activate_or_die(act: Any) -> Any:
            if act.is_replaying or all(job.HasField("query_workflow") for job in act.jobs):
                return activate(act)
            one = (act.run_id, act.history_length)
            kill_at.passes("before workflow task", one)
            completion = activate(act)
            kill_at.passes("after workflow task", one)
            return completion

        instance.activate = activate_or_die  # type: ignore[method-assign]
        return instance
