"""A conversation: what a notebook sends messages to, and asks what happened."""

import asyncio
import math
import uuid
from collections.abc import Awaitable, Generator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, PendingActivityState, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import (
    WorkflowContinuedAsNewError,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowHistory,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from course.desk.answering import why
from course.desk.messages import check_message
from course.history import activity_table, event_table, growth_table, path, timeline, transcript_table
from course.lab.awaiting import awaited
from course.lab.errors import LabError, MessageRefused
from course.lab.replaying import replay
from course.models import slow_model

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from course.lab.lab import Lab

TOO_BIG = (
    "its workflow task carries more than 2 MiB (payloads too large), so it cannot be handed in, and is tried again. Nothing of "
    "before is lost. If a message is too big, the server gives it up after some tries: send yours again in a minute. If the "
    "code asks for too much, deploy code that asks for less. `await chat.events()` shows the error."
)


class Conversation:
    """One workflow that is talked to by updates. Made by `lab.converse` and `lab.conversation`."""

    def __init__(self, lab: "Lab", handle: WorkflowHandle[Any, Any], update: str, close: str) -> None:
        self._lab = lab
        self.handle = handle
        self.id = handle.id
        self._update, self._close = update, close
        self._moving = asyncio.Lock()
        self._on_their_way: set[str] = set()  # messages that were neither answered nor seen on record yet
        self._earlier: dict[str, WorkflowHistory] = {}  # runs that are over do not change any more
        self._told: dict[str, list[tuple[Any, ...]]] = {}

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
        self._on_their_way.add(message_id)
        return Reply(self._send(text, timeout, message_id))

    async def _send(self, text: str, timeout: float, message_id: str) -> str:
        self._lab.must_run()
        try:
            async with asyncio.timeout(timeout):
                return await self._deliver(text, message_id)
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            if (task := asyncio.current_task()) and task.cancelling():  # this wait, not the turn
                raise asyncio.CancelledError from None
            happened = f"No reply to {_short(text)} after {timeout:g} s."
            if ended := self._lab.server_hint():
                raise LabError(f"{happened}{ended}") from None
            raise await self._no_reply(
                happened, accepted=message_id not in await self._unaccepted()
            ) from None
        except WorkflowUpdateFailedError as error:
            cause = error.cause
            if isinstance(cause, ApplicationError) and cause.type == "AcceptedUpdateCompletedWorkflow":
                raise LabError(
                    f"{self.id} ended before it replied to {_short(text)}: {cause.message}"
                ) from None
            raise LabError(f"{self.id} did not answer {_short(text)}: {why(error)}") from None
        except RPCError as error:
            raise await self._unreachable(error) from None
        finally:
            self._on_their_way.discard(message_id)

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
                    raise
                self._lab.must_run()

    async def close(self, *, timeout: float = 30) -> Any:
        """Ends the conversation and returns the workflow's result. Closing twice gives the same result.

        Raises:
            LabError: The workflow failed, or was not done in time. It names what it waits for.
        """
        try:
            async with asyncio.timeout(timeout):
                description = await self._describe()
                if description.status == WorkflowExecutionStatus.RUNNING:
                    await self._ask_to_close(description.workflow_type)
                return await self.handle.result(rpc_timeout=timedelta(seconds=timeout + 5))
        except TimeoutError:
            raise await self._no_reply(f"{self.id} has not ended after {timeout:g} s.") from None
        except (WorkflowFailureError, WorkflowContinuedAsNewError, WorkflowUpdateFailedError) as error:
            raise LabError(f"{self.id} did not end well: {why(error)}") from None
        except RPCError as error:
            raise await self._unreachable(error) from None

    async def _ask_to_close(self, workflow_type: str) -> None:
        try:
            if self._lab.has_update(workflow_type, self._close):
                await self.handle.execute_update(self._close)
            else:
                await self.handle.signal(self._close)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise  # else it has ended meanwhile, as it was asked to

    async def reset(self, *, before: str) -> None:
        """Goes back, as an operator does with `temporal workflow reset`, and lets everything run anew from there.

        The conversation goes on in a new run, which has the old one's record up to that point, and the messages
        that came after it. What was done in the world after it stays done.

        Args:
            before: The activity to go back behind, the first one of this name: `invoke_model_activity`, say.
        """
        # A history names the run that its workflow began with, also after a reset: the server knows the last one.
        run = (await self._describe()).run_id
        number = _task_that_scheduled(await self.history(run), before)
        if number is None:
            raise LabError(
                f"{self.id} has no activity {before!r} on record, so there is no way back behind it."
            )
        client = self._lab.client
        await client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=self.id, run_id=run),
                reason=f"back behind {before}",
                workflow_task_finish_event_id=number,
                request_id=str(uuid.uuid4()),
            )
        )

    # Time

    @awaited("chat.fast_forward(…)")
    async def fast_forward(self, duration: timedelta, *, timeout: float = 30) -> datetime:
        """Moves this conversation's virtual clock, and its children's; returns its time (UTC).

        A conversation that ends on the way stays at the time of its end.

        Every timer and every retry on the way runs. While a child workflow stays open (it waits for a
        person, say), Temporal holds its parent's clock: then the child's clock has moved and this one not.

        Args:
            duration: How far. Not negative.
            timeout: Real seconds. Past them the move is withdrawn, and the error names what held the clock.
        """
        if not isinstance(duration, timedelta):
            raise LabError(
                f"fast_forward takes a timedelta, such as timedelta(hours=6), and got {duration!r}."
            )
        if duration < timedelta(0):
            raise LabError("Time does not run backwards: fast_forward takes a positive timedelta.")
        if not await self._runs():
            raise LabError(f"{self.id} has ended, so its clock stands still.")
        if self._lab.clock is None:
            raise LabError(
                f"The server at {self._lab.address} does not let clients move a workflow's clock. "
                "Use the lab's own server (Lab.start() without address=)."
            )
        async with self._moving:
            try:
                async with asyncio.timeout(timeout):
                    if duration > timedelta(0):
                        await self._quiet()
                        await self._lab.clock.move(self.handle, duration)
            except TimeoutError:
                raise await self._no_reply(
                    f"The clock of {self.id} did not get {duration} ahead in {timeout:g} s; the move is withdrawn. "
                    "A clock stands while an activity runs."
                ) from None
            except RPCError as error:  # it has ended on the way
                raise await self._unreachable(error) from None
            await self._quiet()
            return await self._now()

    async def pending(self) -> pd.DataFrame:
        """Activities in flight or waiting for their next attempt.

        Returns columns `activity`, `attempt`, `last failure`, and `next attempt in` (virtual time, rounded;
        missing while it runs).
        """
        pending = await self._pending_activities()
        now = await self._now()
        rows = []
        for activity in pending:
            waits = activity.HasField("next_attempt_schedule_time") and not _in_flight(activity)
            due = activity.next_attempt_schedule_time.ToDatetime(UTC) - now if waits else None
            rows.append(
                {
                    "activity": activity.activity_type.name,
                    "attempt": activity.attempt,
                    "last failure": _failure(activity.last_failure)
                    if activity.HasField("last_failure")
                    else None,
                    "next attempt in": _rounded(due) if due is not None else pd.NaT,
                }
            )
        table = pd.DataFrame(rows, columns=["activity", "attempt", "last failure", "next attempt in"])
        waits = [row["next attempt in"] for row in rows]
        table["next attempt in"] = pd.Series(waits, dtype="timedelta64[s]")
        return table

    # The record

    async def transcript(self) -> pd.DataFrame:
        """What was said: columns `turn`, `role` (customer, agent, system) and `text`.

        Asks the workflow's `transcript` query, of each of its runs. A workflow without one, or one that is
        frozen and answers no query, gets what its history shows.
        """
        if await self._quiet() == "frozen":
            return transcript_table(await self._histories())
        try:
            lines = await self._lines()
        except WorkflowQueryFailedError:
            return transcript_table(await self._histories())
        except RPCError as error:
            raise await self._unreachable(error) from None
        table = pd.DataFrame(lines, columns=["turn", "role", "text"])
        return table.astype({"turn": "Int64"})

    async def _lines(self) -> list[tuple[Any, ...]]:
        """What each run says of itself, the first first. A run may repeat what was said before it."""
        run = (await self._describe()).run_id
        lines = await self._lines_of(run)
        while run := _continued_from(self._earlier.get(run) or await self.history(run)):
            if run not in self._told:
                self._told[run] = await self._lines_of(run)
            later = set(lines)
            lines = [*(line for line in self._told[run] if line not in later), *lines]
        return lines

    async def _lines_of(self, run: str) -> list[tuple[Any, ...]]:
        handle = self._lab.client.get_workflow_handle(self.id, run_id=run)
        lines = await handle.query("transcript")
        return [tuple(line[name] for name in ("turn", "role", "text")) for line in map(dict, lines)]

    async def activities(self, times: bool = False) -> pd.DataFrame:
        """Who decided what: `course.history.activity_table` of all runs of this conversation.

        Waits until nothing is in flight but what waits for a retry.
        """
        await self._quiet(say=True)
        return activity_table(await self._histories(), times=times)

    async def events(self) -> pd.DataFrame:
        """`course.history.event_table` of all runs of this conversation."""
        await self._quiet(say=True)
        return event_table(await self._histories())

    async def timeline(self) -> "Figure":
        """A figure of this conversation: who decided what, and where the clock jumped."""
        await self._quiet(say=True)
        return timeline(await self._histories(), title=f"Conversation {self.id}: who decided what")

    async def path(self) -> "Figure":
        """A figure of this ticket's path: its states, who moved it, and how long it was in each."""
        await self._quiet(say=True)
        return path(await self._histories(), title=f"Ticket {self.id}: its path, and the time in each state")

    async def growth(self) -> pd.DataFrame:
        """What each turn added to the history: `course.history.growth_table` of all runs of this conversation."""
        await self._quiet(say=True)
        return growth_table(await self._histories())

    async def history(self, run: str | None = None) -> WorkflowHistory:
        """The event history of the last run, or of the one named by its id."""
        self._lab.must_run()
        handle = self._lab.client.get_workflow_handle(self.id, run_id=run)
        try:
            return await handle.fetch_history()
        except RPCError as error:
            raise await self._unreachable(error) from None

    async def replay(self, *workflows: type) -> str:
        """Replays this conversation so far, all runs of it, with workflow code that may be newer: `course.lab.replay`."""
        await self._quiet(say=True)
        return await replay(await self._histories(), *workflows)

    async def _histories(self) -> list[WorkflowHistory]:
        """All runs, the first first: a run that was continued as new names its predecessor."""
        histories = [await self.history()]
        while earlier := _continued_from(histories[0]):
            if earlier not in self._earlier:
                self._earlier[earlier] = await self.history(earlier)
            histories.insert(0, self._earlier[earlier])
        return histories

    # What is going on

    async def _describe(self) -> Any:
        self._lab.must_run()
        try:
            return await self._lab.client.get_workflow_handle(self.id).describe()
        except RPCError as error:
            raise await self._unreachable(error) from None

    async def _runs(self) -> bool:
        return (await self._describe()).status == WorkflowExecutionStatus.RUNNING

    async def _pending_activities(self) -> list[Any]:
        return list((await self._describe()).raw_description.pending_activities)

    async def _now(self) -> datetime:
        return await self._lab.clock.now(self.handle) if self._lab.clock else datetime.now(UTC)

    async def _quiet(self, patience: float = 10, say: bool = False) -> Literal["quiet", "frozen", "busy"]:
        """Waits until nothing is in flight but what waits for a retry, for `patience` seconds at most.

        A message that was sent from here and not accepted yet is in flight, too.
        """
        began = asyncio.get_running_loop().time()
        deadline = began + patience
        while True:
            raw = (await self._describe()).raw_description
            busy = [a.activity_type.name for a in raw.pending_activities if _in_flight(a)]
            if raw.HasField("pending_workflow_task"):
                busy.append("a workflow task")
            # A workflow takes ten messages at once: more than these may be on their way for long.
            if asyncio.get_running_loop().time() < began + 2 and await self._unaccepted():
                busy.append("a message")
            if not busy:
                return "quiet"
            if raw.pending_workflow_task.attempt > 1 and await self._task_failed():
                if say:
                    print(
                        f"{self.id} is stuck: its workflow task fails again and again. `await chat.events()`"
                    )
                return "frozen"
            if asyncio.get_running_loop().time() > deadline:
                if say:
                    print(f"{self.id} is not quiet after {patience:g} s: {', '.join(busy)} still in flight.")
                return "busy"
            await asyncio.sleep(0.005)

    async def _unaccepted(self) -> set[str]:
        """The messages that were sent from here and are neither answered nor on record."""
        if self._on_their_way:
            for event in (await self.history()).events:
                accepted = event.workflow_execution_update_accepted_event_attributes
                self._on_their_way.discard(accepted.protocol_instance_id)
        return self._on_their_way

    async def _task_failed(self) -> bool:
        """Whether the last workflow task on record failed. (One that a dead worker held is timed out, not failed.)"""
        ended = await self._last_task_without_success()
        return ended is not None and ended.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED

    async def _is_too_big(self) -> bool:
        """Whether a workflow task fails because of what it carries: not the code raises, the worker does."""
        ended = await self._last_task_without_success()
        cause = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_PAYLOADS_TOO_LARGE
        return ended is not None and ended.workflow_task_failed_event_attributes.cause == cause

    async def _last_task_without_success(self) -> HistoryEvent | None:
        ends = (EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED, EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT)
        events = reversed((await self.history()).events)
        return next((event for event in events if event.event_type in ends), None)

    async def _no_reply(self, happened: str, *, accepted: bool = True) -> LabError:
        """The error for a wait that took too long: what is pending, and what to do."""
        waiting, pending = [], await self._pending_activities()
        for a in pending:
            failure = f", last failure: {_failure(a.last_failure)}" if a.HasField("last_failure") else ""
            waiting.append(f"{a.activity_type.name} (attempt {a.attempt}{failure})")
        task = (await self._describe()).raw_description.pending_workflow_task
        if self._lab.worker_failure:
            cause = f"The lab's worker has ended: {why(self._lab.worker_failure)} Start a new lab."
        elif slow := next(filter(None, map(slow_model, pending)), None):
            cause = f"Still pending: {'; '.join(waiting)}. {slow}"
        elif waiting:
            cause = (
                f"Still pending: {'; '.join(waiting)}. Nothing is lost: Temporal goes on trying. Mend the cause and "
                "wait, or move the clock to the next attempts with "
                "`await chat.fast_forward(timedelta(minutes=10))`; `await chat.pending()` shows them."
            )
        elif task.attempt > 1 and await self._is_too_big():
            cause = f"Its workflow task has failed {task.attempt - 1} times: {TOO_BIG}"
        elif task.attempt > 1:
            cause = (
                f"Its workflow task has failed {task.attempt - 1} times: the workflow's own code raises. "
                + (
                    "The message is kept, and is answered when a worker runs mended code."
                    if accepted
                    else "It waits to be accepted until a worker runs mended code: that is not on record yet."
                )
                + " `await chat.events()` shows the error."
            )
        else:
            cause = (
                "No activity is pending: the workflow itself waits, for a lock, a timer or a person. What it "
                "accepted is kept. `await chat.events()` shows how far it came."
            )
        return LabError(f"{happened} {cause}")

    async def _unreachable(self, error: RPCError) -> LabError:
        if error.status == RPCStatusCode.NOT_FOUND:
            if "already completed" in error.message:
                return LabError(
                    f"{self.id} has ended and takes no more messages. {await self._last_words()}"
                    "Its record is kept: `await chat.activities()`. Start another with lab.converse()."
                )
            return LabError(
                f"This lab's server knows no workflow {self.id!r}. Ids are given anew by every lab: `chat.id` is the one "
                "that lab.converse() chose."
            )
        if "Workflow Task in failed state" in error.message:
            if await self._is_too_big():
                return LabError(f"{self.id} is frozen and did not take it: {TOO_BIG}")
            return LabError(
                f"{self.id} is frozen and did not take it: the workflow's own code raises, and its task is tried again "
                "and again. Nothing of before is lost. Deploy mended code, and send it again. (The pauses between the tries "
                "grow, so give it a minute.) `await chat.events()` shows the error."
            )
        return LabError(
            f"The server at {self._lab.address} did not do it: {error.message}{self._lab.server_hint()}"
        )

    async def _last_words(self) -> str:
        """What the result of an ended conversation tells whoever comes late: its `ending`, if it has one."""
        try:
            result = await self._lab.client.get_workflow_handle(self.id).result(
                rpc_timeout=timedelta(seconds=5)
            )
        except (WorkflowFailureError, RPCError):
            return ""
        ending = result.get("ending") if isinstance(result, dict) else None
        return f"{ending} " if isinstance(ending, str) and ending else ""


class Reply(Awaitable[str]):
    """A turn under way. Await it for the reply; it runs on whether or not somebody waits."""

    def __init__(self, turn: Any) -> None:
        self._task = asyncio.create_task(turn)
        self._task.add_done_callback(
            lambda task: task.cancelled() or task.exception()
        )  # seen, if not awaited

    def __await__(self) -> Generator[Any, None, str]:
        return self._task.__await__()

    def done(self) -> bool:
        return self._task.done()

    def __repr__(self) -> str:
        return f"<Reply {'there' if self.done() else 'under way: await it'}>"


def _in_flight(activity: Any) -> bool:
    """Running, or about to: not one that waits for its next attempt."""
    backs_off = activity.attempt > 1 and activity.HasField("last_failure")
    return not (activity.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED and backs_off)


def _failure(failure: Any) -> str:
    while failure.HasField("cause"):
        failure = failure.cause
    kind = failure.application_failure_info.type or "Error"
    return f"{kind}: {failure.message}".splitlines()[0][:200]


def _rounded(duration: timedelta) -> timedelta:
    """To what a person would say: whole seconds below two minutes, minutes below two hours, then hours."""
    seconds = max(duration.total_seconds(), 0)
    unit = 1 if seconds < 120 else 60 if seconds < 7200 else 3600
    return timedelta(seconds=math.ceil(seconds / unit) * unit)


def _continued_from(history: WorkflowHistory) -> str:
    return history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id


def _task_that_scheduled(history: WorkflowHistory, activity: str) -> int | None:
    """The number of the workflow task's completion that asked for the first activity of this type."""
    for event in history.events:
        scheduled = event.activity_task_scheduled_event_attributes
        if scheduled.activity_type.name == activity:
            return scheduled.workflow_task_completed_event_id
    return None


def _short(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) <= 60 else shown[:57] + "…'"
