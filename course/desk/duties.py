"""Duties: what a workflow does beside its main line, and nobody waits for. Lesson 03 introduces them."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.workflow import ActivityConfig

with workflow.unsafe.imports_passed_through():
    from course.desk.answering import why


class Duties:
    """What a workflow does beside its main line. It waits for `is_idle` before it ends."""

    def __init__(self) -> None:
        self.duties: set[asyncio.Task[None]] = set()
        self._bug: BaseException | None = None

    def is_idle(self) -> bool:
        """Whether no handler and no duty is at work: what is, would be cut off."""
        return not self.at_work() and workflow.all_handlers_finished()

    def at_work(self) -> set[asyncio.Task[None]]:
        self.raise_bug()
        return self.duties

    def raise_bug(self) -> None:
        """Raises when a duty has ended with an error that it did not expect. Called wherever `run` waits.

        asyncio keeps such an error to itself, and the duty would be missing without a trace. Raised where
        the workflow waits, it fails the workflow's task, as a bug in the main line does: nothing of this
        task is on record, and fixed code does the duty.
        """
        if self._bug:
            raise RuntimeError(f"A duty has a bug: {self._bug!r}") from self._bug

    async def duty(
        self, activity: Any, args: Sequence[Any], policy: ActivityConfig
    ) -> tuple[Any, str | None]:
        """Runs an activity. Returns its result, and why it failed for good, if it did: that costs nothing else."""
        try:
            return await workflow.execute_activity(activity, args=args, **policy), None
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from error  # so ends the task that was cancelled
            workflow.logger.warning("Given up: %s", error)
            return None, why(error)

    def later(self, duty: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Starts a duty, and does not wait for it."""
        task = asyncio.create_task(duty)
        self.duties.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, duty: asyncio.Task[None]) -> None:
        self.duties.discard(duty)
        error = None if duty.cancelled() else duty.exception()
        if error and not is_cancelled_exception(error):
            self._bug = error
