"""The virtual clock: one a workflow, held until it is told to move.

Everything of Temporal's experimental time-skipping API that the course uses is in this file.
"""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper, TimeSkippingConfig

from course.lab.compat import hold_clock

# Held: left enabled, an idle conversation would jump at once to its next timer. The limit on skips is the
# server's way to stop a workflow that waits in a loop; its default (200) ends three hours of retries.
HELD = TimeSkippingConfig(enabled=False, max_session_skip_count=100_000, disable_propagation=True)

A_MOMENT = timedelta(milliseconds=1)
"""A move by a microsecond jumps to the next timer, days ahead. So a shorter move is let pass: the clock runs anyway."""

LONGEST = timedelta(days=36_500)
"""The server counts nanoseconds in 64 bits: after 292 years its clock stands."""


class Clock:
    """Moves the clocks of one server's workflows."""

    def __init__(self, client: Client) -> None:
        self._skipper = TimeSkipper(client, config=HELD)

    @property
    def client(self) -> Client:
        """A client that starts every workflow with its clock held."""
        return self._skipper.client

    async def now(self, handle: WorkflowHandle[Any, Any]) -> datetime:
        return (await self._skipper.get_current_time(handle)).replace(tzinfo=UTC)

    async def move(self, handle: WorkflowHandle[Any, Any], by: timedelta) -> None:
        """Moves a workflow's clock and its children's; runs every timer and retry on the way.

        Returns when they are there or have ended. Cancelled, it withdraws the move. A workflow's clock
        stands while a child of it is open: the children go first, and where one stays open (it waits for
        a person, say) its parent's clock stays where it is.
        """
        if by < A_MOMENT:
            await asyncio.sleep(by.total_seconds())
            return
        target = await self.now(handle) + by
        own = asyncio.create_task(self._skipper.fast_forward(handle, by))
        moves: dict[str, asyncio.Task[None]] = {}
        there = {child.id for child in await self._open_children(handle)}
        try:
            while not own.done():
                children = await self._open_children(handle)
                for child in children:
                    if child.id not in moves:  # a child that starts on the way goes only the rest of the way
                        rest = by if child.id in there else target - await self.now(child)
                        moves[child.id] = asyncio.create_task(self.move(child, max(rest, timedelta(0))))
                under_way = [task for task in moves.values() if not task.done()]
                if children and not under_way and await self._any_runs(children):
                    break
                await asyncio.wait([own, *under_way], timeout=0.05, return_when=asyncio.FIRST_COMPLETED)
            for task in [own, *moves.values()]:
                if task.done():
                    task.result()
        finally:
            arrived = own.done() and not own.cancelled() and own.exception() is None
            for task in [own, *moves.values()]:
                task.cancel()
            await asyncio.gather(own, *moves.values(), return_exceptions=True)
            # A clock that has arrived stands; to hold it again would run the next retry at once. A workflow
            # that has ended has no clock to hold.
            if not arrived:
                with contextlib.suppress(RPCError):
                    await hold_clock(self._skipper, handle, HELD)

    async def _open_children(self, handle: WorkflowHandle[Any, Any]) -> list[WorkflowHandle[Any, Any]]:
        client = self._skipper.client
        description = await client.get_workflow_handle(handle.id).describe()
        pending = description.raw_description.pending_children
        # One without a run has been asked for and has not begun: there is no clock yet, and no workflow.
        return [client.get_workflow_handle(child.workflow_id) for child in pending if child.run_id]

    async def _any_runs(self, handles: list[WorkflowHandle[Any, Any]]) -> bool:
        return any([(await h.describe()).status == WorkflowExecutionStatus.RUNNING for h in handles])
