"""A conversation: what a notebook sends messages to, and asks what happened."""

import asyncio
import math
import uuid
from collections.abc import Awaitable, Coroutine, Generator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import (
    WorkflowContinuedAsNewError,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHistory,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from course.desk.answering import why
from course.desk.messages import check_message
from course.history import (
    activity_table,
    event_table,
    growth_table,
    path,
    questions,
    timeline,
    transcript_table,
)
from course.history.questions import in_words
from course.lab import compat
from course.lab.awaiting import awaited
from course.lab.clock import LONGEST, in_flight
from course.lab.errors import LabError, MessageRefused
from course.lab.record import TASK_HAS_FAILED, Record, failure_of
from course.lab.replaying import replay
from course.lab.temporal import Temporal
from course.lab.workers import Workers

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Conversation:
    """One workflow that is talked to by updates. Made by `lab.converse` and `lab.conversation`."""

    def __init__(
        self,
        temporal: Temporal,
        workers: Workers,
        id: str,
        *,
        update: str = "send",
        close: str = "close",
        result: type | None = None,
    ) -> None:
        """`update`, `close`: by which handlers it is talked to. `result`: what its workflow returns."""
        self.id = id
        self.handle = temporal.client.get_workflow_handle(id, result_type=result)
        self.record = Record(temporal, workers, id)
        self._temporal, self._workers, self._update, self._close = temporal, workers, update, close
        self._moving = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<Conversation {self.id}>"

    # Talking

    @awaited("chat.send(…)")
    async def send(self, text: str, *, timeout: float = 30) -> str:
        """One turn: sends a message and returns the agent's reply.

        Args:
            text: The message. What cannot be sent (no text, blank, over-long) is refused before it leaves.
            timeout: Real seconds to wait. The message itself is not withdrawn.

        Raises:
            MessageRefused: The message cannot be sent. (It is a `ValueError` and a `LabError`.)
            LabError: The conversation has ended, refused the message, failed, or did not reply in time.
        """
        return await self.begin(text, timeout=timeout)

    def begin(self, text: str, *, timeout: float = 30) -> "Reply":
        """Starts a turn and returns at once. Awaiting what it returns gives the reply."""
        try:
            check_message(text)
        except ValueError as error:
            raise MessageRefused(str(error)) from None
        message_id = str(uuid.uuid4())
        self.record.unanswered.add(message_id)
        return Reply(self._send(text, timeout, message_id))

    async def _send(self, text: str, timeout: float, message_id: str) -> str:
        self._temporal.must_run()
        try:
            async with asyncio.timeout(timeout):
                return await self._deliver(text, message_id)
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            if (task := asyncio.current_task()) and task.cancelling():  # this wait, not the turn
                raise asyncio.CancelledError from None
            happened = f"No reply to {_short(text)} after {timeout:g} s."
            raise await self.record.no_reply(happened, message_id) from None
        except WorkflowUpdateFailedError as error:
            cause, said = error.cause, f"did not answer {_short(text)}: {why(error)}"
            if isinstance(cause, ApplicationError) and cause.type == "AcceptedUpdateCompletedWorkflow":
                said = f"ended before it replied to {_short(text)}: {cause.message}"
            raise LabError(f"{self.id} {said}") from None
        except RPCError as error:
            raise await self.record.unreachable(error) from None
        finally:
            self.record.unanswered.discard(message_id)

    async def _deliver(self, text: str, message_id: str) -> str:
        """Sends a message, again and again while the server is away: under the same id it is one turn.

        A server forgets an update that no worker has accepted, and keeps any other. The sender cannot tell which.
        """
        while True:
            try:
                return await self.handle.execute_update(self._update, text, id=message_id)
            except RPCError as error:  # the client has tried for ten seconds, counted from the sending
                # A call that was older when its server died is not tried again, and breaks off as it is.
                broken_off = error.status == RPCStatusCode.UNKNOWN and "transport error" in error.message
                if error.status != RPCStatusCode.UNAVAILABLE and not broken_off:
                    # A task that fails is tried again, and takes the message as soon as a worker can do it.
                    if TASK_HAS_FAILED not in error.message or await self.record.is_too_big():
                        raise
                    await asyncio.sleep(0.2)
                self._temporal.must_run()

    @awaited("chat.close()")
    async def close(self, *, timeout: float = 30) -> Any:
        """Ends the conversation and returns the workflow's result. Closing twice gives the same result.

        Raises:
            LabError: The workflow failed, or was not done in time. It names what it waits for.
        """
        try:
            async with asyncio.timeout(timeout):
                description = await self.record.describe()
                if description.status == WorkflowExecutionStatus.RUNNING:
                    await self._ask_to_close(description.workflow_type)
                return await self.handle.result(rpc_timeout=timedelta(seconds=timeout + 5))
        except TimeoutError:
            raise await self.record.no_reply(f"{self.id} has not ended after {timeout:g} s.") from None
        except (WorkflowFailureError, WorkflowContinuedAsNewError, WorkflowUpdateFailedError) as error:
            raise LabError(f"{self.id} did not end well: {why(error)}") from None
        except RPCError as error:
            raise await self.record.unreachable(error) from None

    async def _ask_to_close(self, workflow_type: str) -> None:
        close = self._close
        definition = compat.workflow_definition(self._workers.by_type.get(workflow_type))
        if definition and not {close, None} & (known := {*definition.updates, *definition.signals}):
            known = ", ".join(sorted(known)) or "none"
            raise LabError(
                f"{self.id} was not asked to end: {workflow_type} has no signal or update {close!r} (it has: {known}). "
                "Name the one that ends it, lab.converse(…, close='…')."
            )
        try:
            if definition and close in definition.updates:
                await self.handle.execute_update(close)
            else:
                await self.handle.signal(close)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise  # else it has ended meanwhile, as it was asked to

    async def reset(self, *, before: str) -> None:
        """Goes back, as an operator does with `temporal workflow reset`, and lets everything run again from there.

        The conversation goes on in a new run, which has the old one's record up to that point, and the messages
        that came after it. What was done in the world after it stays done.

        Args:
            before: The activity to go back to before, the first one of this name: `invoke_model_activity`, say.
        """
        # A history names the run that its workflow began with, also after a reset: the server knows the last one.
        run = (await self.record.describe()).run_id
        events = (await self.history(run)).events
        asked = (event.activity_task_scheduled_event_attributes for event in events)
        first = next((one for one in asked if one.activity_type.name == before), None)
        if first is None:
            none = f"{self.id} has no activity {before!r} on record, so there is no way back to before it."
            raise LabError(none)
        client = self._temporal.client
        reset = ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=self.id, run_id=run),
            reason=f"back to before {before}",
            workflow_task_finish_event_id=first.workflow_task_completed_event_id,
            request_id=str(uuid.uuid4()),
        )
        await client.workflow_service.reset_workflow_execution(reset)

    # Time

    @awaited("chat.fast_forward(…)")
    async def fast_forward(self, duration: timedelta, *, timeout: float = 30) -> datetime:
        """Moves this conversation's virtual clock, and its children's; returns its time (UTC).

        Every timer and every retry on the way runs. A conversation that ends on the way stays at the time of
        its end. While a child workflow stays open (it waits for a person, say), Temporal holds its parent's
        clock: then the child's clock has moved and this one not.

        Args:
            duration: How far. Not negative.
            timeout: Real seconds. Past them the move is withdrawn, and the error names what held the clock.
        """
        if not isinstance(duration, timedelta):
            wanted = f"fast_forward takes a timedelta, such as timedelta(hours=6), and got {duration!r}."
            raise LabError(wanted)
        if duration < timedelta(0):
            raise LabError("Time does not run backwards: fast_forward takes a positive timedelta.")
        if duration > LONGEST:
            raise LabError(
                f"fast_forward moves a clock by {LONGEST.days:,} days at most: {duration} is too far."
            )
        ended = LabError(f"{self.id} has ended, so its clock stands still.")
        if not await self.record.runs():
            raise ended
        if self._temporal.clock is None:
            raise LabError(
                f"The server at {self._temporal.address} does not let clients move a workflow's clock. "
                "Use the lab's own server (Lab.start() without address=)."
            )
        async with self._moving:
            try:
                async with asyncio.timeout(timeout):
                    if duration > timedelta(0):
                        await self.record.quiet()
                        if not await self._temporal.clock.move(self.handle, duration):
                            raise ended
            except TimeoutError:
                raise await self.record.no_reply(
                    f"The clock of {self.id} did not get {duration} ahead in {timeout:g} s; the move is withdrawn. "
                    "A clock stands while an activity runs."
                ) from None
            except RPCError as error:
                raise await self.record.unreachable(error) from None
            await self.record.quiet()
            return await self.record.now()

    @awaited("chat.pending()")
    async def pending(self) -> pd.DataFrame:
        """Activities in flight or waiting for their next attempt.

        Returns columns `activity`, `attempt`, `last failure`, and `next attempt in` (virtual time, rounded;
        missing while it runs).
        """
        description = await self.record.describe()
        now = await self.record.now()
        rows = []
        for activity in description.raw_description.pending_activities:
            waits = activity.HasField("next_attempt_schedule_time") and not in_flight(activity)
            due = _rounded(activity.next_attempt_schedule_time.ToDatetime(UTC) - now) if waits else None
            rows.append((activity.activity_type.name, activity.attempt, failure_of(activity), due))
        table = pd.DataFrame(rows, columns=["activity", "attempt", "last failure", "next attempt in"])
        return table.astype({"next attempt in": "timedelta64[s]"})

    # The record

    @awaited("chat.transcript()")
    async def transcript(self) -> pd.DataFrame:
        """What was said: columns `turn`, `role` (customer, agent, system) and `text`.

        Asks the workflow's `transcript` query, of each of its runs. A workflow without one, or one that is
        frozen and answers no query, gets what its history shows: there every message to a handler that did some
        work is a turn and the customer's, also a signal that somebody else has sent.
        """
        if await self.record.quiet() != "frozen":
            try:
                table = pd.DataFrame(await self.record.lines(), columns=["turn", "role", "text"])
                return table.astype({"turn": "Int64"})
            except WorkflowQueryFailedError:
                pass
            except RPCError as error:
                raise await self.record.unreachable(error) from None
        return transcript_table(await self.record.histories())

    @awaited("chat.activities(…)")
    async def activities(self, times: bool = False) -> pd.DataFrame:
        """Who decided what: `course.history.activity_table` of all runs of this conversation.

        Waits until nothing is in flight but what waits for a retry.

        Args:
            times: Adds columns: when each activity was scheduled, started and closed, how long it waited and
                ran, the workflow's run, and the activity's `input`, `result` and `failure`.
        """
        return activity_table(await self.record.settled(), times=times)

    @awaited("chat.questions(…)")
    async def questions(self, *activities: str) -> pd.DataFrame:
        """Who decided, with which arguments, did the reply wait, and what if it never succeeds.

        `course.history.questions` in words: one row for each type of activity and each who decided on it, of all
        types or of those that are named. Waits as `activities` does.
        """
        table = in_words(questions(await self.record.settled()))
        if missing := sorted({*activities} - {*table.activity}):
            raise LabError(
                f"{self.id} has no {', '.join(missing)}, but {', '.join(sorted({*table.activity}))}."
            )
        return table[table.activity.isin(activities or table.activity)].reset_index(drop=True)

    @awaited("chat.events()")
    async def events(self) -> pd.DataFrame:
        """`course.history.event_table` of all runs of this conversation."""
        return event_table(await self.record.settled())

    @awaited("chat.timeline()")
    async def timeline(self) -> "Figure":
        """A figure of this conversation: who decided what, and where the clock jumped."""
        history = await self.record.settled()
        has_turns = activity_table(history).turn.notna().any()  # an approval that nobody decided has none
        kind = "Conversation" if has_turns else "Workflow"
        return timeline(history, title=f"{kind} {self.id}: who decided what")

    @awaited("chat.path()")
    async def path(self) -> "Figure":
        """A figure of this ticket's path: its states, who moved it, and how long it was in each."""
        title = f"Ticket {self.id}: its path, and the time in each state"
        return path(await self.record.settled(), "record_move", title=title)

    @awaited("chat.growth()")
    async def growth(self) -> pd.DataFrame:
        """What each turn added to the history: `course.history.growth_table` of all runs of this conversation."""
        return growth_table(await self.record.settled())

    @awaited("chat.history(…)")
    async def history(self, run: str | None = None) -> WorkflowHistory:
        """The event history of the last run, or of the one named by its id."""
        return await self.record.history(run)

    @awaited("chat.replay(…)")
    async def replay(self, *workflows: type) -> str:
        """Replays this conversation so far, all runs of it, with workflow code that may be newer: `course.lab.replay`."""
        return await replay(await self.record.settled(), *workflows)


class Reply(Awaitable[str]):
    """A turn under way. Await it for the reply; it runs on whether or not somebody waits."""

    def __init__(self, turn: Coroutine[Any, Any, str]) -> None:
        self._task = asyncio.create_task(turn)
        self._task.add_done_callback(
            lambda task: task.cancelled() or task.exception()
        )  # seen, if not awaited
        self.done = self._task.done

    def __await__(self) -> Generator[Any, None, str]:
        return asyncio.shield(self._task).__await__()  # a cell that is interrupted can be run again

    def __repr__(self) -> str:
        return f"<Reply {'there' if self.done() else 'under way: await it'}>"


def _rounded(duration: timedelta) -> timedelta:
    """To what a person would say: whole seconds below two minutes, minutes below two hours, then hours."""
    seconds = max(duration.total_seconds(), 0)
    unit = 1 if seconds < 120 else 60 if seconds < 7200 else 3600
    return timedelta(seconds=math.ceil(seconds / unit) * unit)


def _short(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) <= 60 else shown[:57] + "…'"
