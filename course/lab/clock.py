"""The virtual clock: one a workflow, held until it is told to move.

Everything of Temporal's experimental time-skipping API that the course uses is in this file.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import TimeSkipper, TimeSkippingConfig

from course.lab.compat import hold_clock

# Held: left enabled, an idle conversation would jump at once to its next timer. The limit on skips is the
# server's way to stop a workflow that waits in a loop; its default (200) ends three hours of retries.
HELD = TimeSkippingConfig(enabled=False, max_session_skip_count=100_000, disable_propagation=True)

A_MOMENT = timedelta(milliseconds=250)
"""A shorter move is let pass: the clock runs anyway."""

LAST_STRETCH = timedelta(seconds=7)
"""Work of a timer that is due within it may still be in flight at a move's end."""

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

    async def move(self, handle: WorkflowHandle[Any, Any], by: timedelta) -> bool:
        """Moves a workflow's clock and its children's; runs every timer and retry on the way.

        Returns when they are there or have ended; False if the workflow had ended before. Cancelled, it withdraws the
        move. A workflow's clock stands while a child of it is open: the children go first, and where one stays open (it
        waits for a person, say) its parent's clock stays where it is.
        """
        target = await self.now(handle) + by
        own = asyncio.create_task(self._move(handle, target))
        moves: dict[str, asyncio.Task[bool]] = {}
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
            for task in moves.values():
                if task.done():
                    task.result()
            return own.result() if own.done() else True
        finally:
            for task in [own, *moves.values()]:
                task.cancel()
            await asyncio.gather(own, *moves.values(), return_exceptions=True)

    async def _move(self, handle: WorkflowHandle[Any, Any], target: datetime) -> bool:
        """Moves a workflow's own clock. Returns False if it had ended before.

        If a skip's end passes while work is in flight, server 1.32 may go on to the timer that comes next, days ahead
        (`GateByFastForward`; mended later by temporalio/temporal#11373). So a skip begins when nothing is in flight and ends
        a moment before a timer that is due near the target: this one comes at real pace.
        """
        clock = asyncio.get_running_loop().time
        for look in itertools.count():
            began = clock()
            description = await self._skipper.client.get_workflow_handle(handle.id).describe()
            if description.status != WorkflowExecutionStatus.RUNNING:
                return look > 0
            if (now := _time_in(description)) >= target:
                return True
            if _work_in_flight(description):
                await asyncio.sleep(0.01)
                continue
            run = self._skipper.client.get_workflow_handle(handle.id, run_id=description.run_id)
            events = (await run.fetch_history()).events
            if len(events) > description.history_length:  # it has gone on between the two looks
                continue
            due = min(_timers(events), default=target + LAST_STRETCH)
            # A skip begins later than it was asked for, and so ends later.
            slack = max(A_MOMENT / 2, 4 * timedelta(seconds=clock() - began))
            early = target - LAST_STRETCH if due < target - LAST_STRETCH else due - slack
            # Each skip runs the retries that wait, at once: where there are any, it is one skip.
            if early >= target or description.raw_description.pending_activities:
                await self._skip(handle, target - now)
            elif early - now > A_MOMENT:
                await self._skip(handle, early - now)
            else:
                await asyncio.sleep(max((min(due, target) - now).total_seconds(), 0.01))

    async def _skip(self, handle: WorkflowHandle[Any, Any], by: timedelta) -> None:
        """Cancelled, it leaves the clock where it is. It does nothing to a workflow that has just ended."""
        if by < A_MOMENT:
            return await asyncio.sleep(by.total_seconds())
        try:
            await self._skipper.fast_forward(handle, by)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
        except BaseException:
            # One that has arrived stands; to hold it again would run the next retry at once. A workflow that has ended
            # has no clock to hold.
            with contextlib.suppress(RPCError):
                await hold_clock(self._skipper, handle, HELD)
            raise

    async def _open_children(self, handle: WorkflowHandle[Any, Any]) -> list[WorkflowHandle[Any, Any]]:
        client = self._skipper.client
        description = await client.get_workflow_handle(handle.id).describe()
        pending = description.raw_description.pending_children
        # One without a run has been asked for and has not begun: there is no clock yet, and no workflow.
        return [client.get_workflow_handle(child.workflow_id) for child in pending if child.run_id]

    async def _any_runs(self, handles: list[WorkflowHandle[Any, Any]]) -> bool:
        return any([(await h.describe()).status == WorkflowExecutionStatus.RUNNING for h in handles])


def _time_in(description: WorkflowExecutionDescription) -> datetime:
    """A workflow's own time. One that never had a clock of its own has everybody's."""
    extended = description.raw_description.workflow_extended_info
    if extended.HasField("time_skipping_info"):
        return extended.time_skipping_info.current_time.ToDatetime(UTC)
    return datetime.now(UTC)


def _timers(events: Iterable[HistoryEvent]) -> list[datetime]:
    """When those that are set will fire."""
    timers: dict[int, datetime] = {}
    for event in events:
        if event.HasField("timer_started_event_attributes"):
            timeout = event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
            timers[event.event_id] = event.event_time.ToDatetime(UTC) + timeout
        elif event.HasField("timer_fired_event_attributes"):
            timers.pop(event.timer_fired_event_attributes.started_event_id)
        elif event.HasField("timer_canceled_event_attributes"):
            timers.pop(event.timer_canceled_event_attributes.started_event_id)
    return list(timers.values())


def _work_in_flight(description: WorkflowExecutionDescription) -> bool:
    raw = description.raw_description
    return raw.HasField("pending_workflow_task") or any(map(in_flight, raw.pending_activities))


def in_flight(activity: Any) -> bool:
    """Running, or about to: not one that waits for its next attempt."""
    backs_off = activity.attempt > 1 and activity.HasField("last_failure")
    return not (activity.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED and backs_off)
