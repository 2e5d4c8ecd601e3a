"""A conversation with duties that nobody waits for (lessons 05, 09 and 13)."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from agents import Agent
from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.workflow import ActivityConfig

from course.workflows.plain import PlainConversation


class DutifulConversation(PlainConversation):
    """Does not end before its duties have."""

    def __init__(self, agent: Agent[Any]) -> None:
        super().__init__(agent)
        self.duties: set[asyncio.Task[None]] = set()

    async def until_closed(self) -> int:
        turns = await super().until_closed()
        await workflow.wait_condition(lambda: not self.duties)
        return turns

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
