"""Duties that nobody waits for (lessons 05, 09, 10 and 13)."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from agents import Agent
from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.workflow import ActivityConfig

from course.workflows.plain import PlainConversation


class Duties:
    """What a workflow does beside its main line. It waits for `is_idle` before it ends."""

    def __init__(self) -> None:
        self.duties: set[asyncio.Task[None]] = set()

    def is_idle(self) -> bool:
        """Whether no handler and no duty is at work: what is, would be cut off."""
        return workflow.all_handlers_finished() and not self.duties

    async def duty(
        self, activity: Any, args: Sequence[Any], policy: ActivityConfig
    ) -> None:
        """Runs an activity. If it fails for good, that is logged and costs nothing else."""
        try:
            await workflow.execute_activity(activity, args=args, **policy)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from error  # so ends the task that was cancelled
            workflow.logger.warning("Given up: %s", error)

    def later(self, duty: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Starts a duty, and does not wait for it."""
        task = asyncio.create_task(duty)
        self.duties.add(task)
        task.add_done_callback(self.duties.discard)
        return task


class DutifulConversation(Duties, PlainConversation):
    """Does not end before its duties have."""

    def __init__(self, agent: Agent[Any]) -> None:
        Duties.__init__(self)
        PlainConversation.__init__(self, agent)

    async def until_closed(self) -> int:
        await super().until_closed()
        await workflow.wait_condition(self.is_idle)
        return self.turns  # a handler may have opened one meanwhile
