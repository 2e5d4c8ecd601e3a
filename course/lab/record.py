"""One conversation on record: what the server has of it, what goes on, and what to say when nothing does."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from temporalio.api.enums.v1 import (
    EventType,
    VersioningBehavior,
    WorkflowTaskFailedCause,
)
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode

from course.desk.answering import why
from course.lab.clock import in_flight
from course.lab.errors import LabError
from course.lab.temporal import Temporal
from course.lab.workers import Workers
from course.models import slow_model

TASK_HAS_FAILED = "Workflow Task in failed state"
"""In what the server says to a message for a workflow whose task has failed several times: it takes none until one has completed."""

AT_ONCE = 10
"""Messages that a workflow takes; more wait until it has answered one."""

TOO_BIG = (
    "its workflow task carries more than 2 MiB (payloads too large), so it cannot be handed in, and is tried again. Nothing "
    "recorded so far is lost. If a message is too big, the server gives it up after some tries: send yours again in a minute. "
    "If the code asks for too much, deploy code that asks for less. `await chat.events()` shows the error."
)


class Record:
    """One workflow, as its server knows it. Every method raises `LabError` when that does not answer."""

    def __init__(self, temporal: Temporal, workers: Workers, id: str) -> None:
        self.id = id
        self.unanswered: set[str] = set()
        """Ids of the messages that were sent from here and have no reply yet."""
        self._accepted: set[str] = set()
        """Ids of those that have been seen on record, answered or not."""
        self._temporal, self._workers = temporal, workers
        self._earlier: dict[str, WorkflowHistory] = {}  # runs that are over do not change any more
        self._told: dict[str, list[tuple[Any, ...]]] = {}

    def handle(self, run: str | None = None) -> WorkflowHandle[Any, Any]:
        """Of the last run, or of the one named by its id."""
        return self._temporal.client.get_workflow_handle(self.id, run_id=run)

    async def describe(self) -> Any:
        self._temporal.must_run()
        try:
            return await self.handle().describe()
        except RPCError as error:
            raise await self.unreachable(error) from None

    async def runs(self) -> bool:
        return (await self.describe()).status == WorkflowExecutionStatus.RUNNING

    async def now(self) -> datetime:
        """The workflow's own time, UTC."""
        return await self._temporal.now(self.handle())

    # Its history

    async def history(self, run: str | None = None) -> WorkflowHistory:
        self._temporal.must_run()
        try:
            return await self.handle(run).fetch_history()
        except RPCError as error:
            raise await self.unreachable(error) from None

    async def histories(self) -> list[WorkflowHistory]:
        """All runs, the first first: a run that was continued as new names its predecessor."""
        histories = [await self.history()]
        while earlier := _continued_from(histories[0]):
            if earlier not in self._earlier:
                self._earlier[earlier] = await self.history(earlier)
            histories.insert(0, self._earlier[earlier])
        return histories

    async def settled(self) -> list[WorkflowHistory]:
        """All runs, when nothing is in flight but what waits for a retry. Says so if that takes too long."""
        await self.quiet(say=True)
        return await self.histories()

    async def lines(self) -> list[tuple[Any, ...]]:
        """What each run says of itself when it is asked for its `transcript`: turn, role and text.

        A run may repeat what was said before it. Raises what a query raises.
        """
        run = (await self.describe()).run_id
        lines = await self._lines_of(run)
        while run := _continued_from(self._earlier.get(run) or await self.history(run)):
            if run not in self._told:
                self._told[run] = await self._lines_of(run)
            later = set(lines)
            lines = [*(line for line in self._told[run] if line not in later), *lines]
        return lines

    async def _lines_of(self, run: str) -> list[tuple[Any, ...]]:
        lines = await self.handle(run).query("transcript")
        return [tuple(line[name] for name in ("turn", "role", "text")) for line in map(dict, lines)]

    # What is going on

    async def quiet(self, seconds: float = 10, say: bool = False) -> Literal["quiet", "frozen", "busy"]:
        """Waits until nothing is in flight but what waits for a retry, for some seconds at most.

        A message that was sent from here and not accepted yet is in flight, too.
        """
        clock = asyncio.get_running_loop().time
        began, pause = clock(), 0.01
        while True:
            raw = (await self.describe()).raw_description
            busy = [a.activity_type.name for a in raw.pending_activities if in_flight(a)]
            if raw.HasField("pending_workflow_task"):
                busy.append("a workflow task")
            if await self.unaccepted() and len(self._accepted & self.unanswered) < AT_ONCE:
                busy.append("a message")
            if not busy:
                return "quiet"
            if raw.pending_workflow_task.attempt > 1 and await self.task_failed():
                if say:
                    stuck = f"{self.id} is stuck: its workflow task fails again and again."
                    print(stuck, "`await chat.events()` shows why.")
                return "frozen"
            if clock() > began + seconds:
                if say:
                    print(f"{self.id} is not quiet after {seconds:g} s: {', '.join(busy)} still in flight.")
                return "busy"
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.1)  # what has taken long need not be seen at once

    async def unaccepted(self) -> set[str]:
        """The messages that were sent from here and are neither answered nor on record."""
        if self.unanswered - self._accepted:
            for event in (await self.history()).events:
                accepted = event.workflow_execution_update_accepted_event_attributes
                self._accepted.add(accepted.protocol_instance_id)
        return self.unanswered - self._accepted

    async def task_failed(self) -> bool:
        """Whether the last workflow task on record failed. (One that a dead worker held is timed out, not failed.)"""
        ended = await self._last_task_without_success()
        return ended is not None and ended.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED

    async def is_too_big(self) -> bool:
        """Whether a workflow task fails because of what it carries: not the code raises, the worker does."""
        ended = await self._last_task_without_success()
        cause = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_PAYLOADS_TOO_LARGE
        return ended is not None and ended.workflow_task_failed_event_attributes.cause == cause

    async def _last_task_without_success(self) -> HistoryEvent | None:
        ends = (EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED, EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT)
        events = reversed((await self.history()).events)
        return next((event for event in events if event.event_type in ends), None)

    # When it does not go on

    async def no_reply(self, happened: str, message: str | None = None) -> LabError:
        """What to say of a wait that took too long. `message`: the id of one that got no reply."""
        if ended := self._temporal.hint():
            return LabError(f"{happened}{ended}")
        if (kernel := self._workers.kernel) and kernel.failure:
            return LabError(f"{happened} The lab's worker has ended: {why(kernel.failure)} Start a new lab.")
        raw = (await self.describe()).raw_description
        if alone := _without_worker(raw, self._workers.at_work()):
            return LabError(f"{happened} {alone}")
        task = raw.pending_workflow_task
        failed = (
            f"Its workflow task has failed {'once' if task.attempt == 2 else f'{task.attempt - 1} times'}"
        )
        if raw.pending_activities:
            pending = "; ".join(map(_pending, raw.pending_activities))
            advice = (
                "Nothing is lost: Temporal goes on trying. Fix the cause and wait, or move the clock to the "
                "next attempts with `await chat.fast_forward(timedelta(minutes=10))`; `await chat.pending()` "
                "shows them."
            )
            slow = next(filter(None, map(slow_model, raw.pending_activities)), None)
            cause = f"Still pending: {pending}. {slow or advice}"
        elif task.attempt > 1 and await self.is_too_big():
            cause = f"{failed}: {TOO_BIG}"
        elif task.attempt > 1 and not await self.task_failed():
            cause = (
                "The worker that was given its workflow task has not answered: it is dead, stopped or busy, and another "
                "one gets the task. A message that is not accepted yet is offered again for as long as you wait."
            )
        elif task.attempt > 1:
            kept = (
                "The message is not on record yet: it is accepted when a worker runs fixed code."
                if message in await self.unaccepted()
                else "The message is kept, and is answered when a worker runs fixed code."
            )
            cause = f"{failed}: the workflow's own code raises. {kept} `await chat.events()` shows the error."
        else:
            cause = (
                "No activity is pending: the workflow itself waits, for a lock, a timer or a person. What it "
                "accepted is kept. `await chat.events()` shows how far it came."
            )
        return LabError(f"{happened} {cause}")

    async def unreachable(self, error: RPCError) -> LabError:
        """What to say for what the server answered."""
        if error.status == RPCStatusCode.NOT_FOUND:
            if "already completed" in error.message:
                return LabError(
                    f"{self.id} has ended and takes no more messages. {await self._last_words()}"
                    "Its record is kept: `await chat.activities()`. Start another with lab.converse()."
                )
            return LabError(
                f"This lab's server knows no workflow {self.id!r}. Every lab gives out its ids from 1: `chat.id` is the "
                "one that lab.converse() chose."
            )
        if TASK_HAS_FAILED in error.message:
            raises = (
                "the workflow's own code raises, and its task is tried again and again. Nothing recorded so "
                "far is lost. Deploy fixed code, and send it again. (The pauses between the tries grow, so "
                "give it a minute.) `await chat.events()` shows the error."
            )
            cause = TOO_BIG if await self.is_too_big() else raises
            return LabError(f"{self.id} is frozen and did not take it: {cause}")
        return LabError(
            f"The server at {self._temporal.address} did not do it: {error.message}{self._temporal.hint()}"
        )

    async def _last_words(self) -> str:
        """What the result of an ended conversation tells whoever comes late: its `ending`, if it has one."""
        try:
            async with asyncio.timeout(5):
                result = await self.handle().result()
        except (WorkflowFailureError, RPCError, TimeoutError):
            return ""
        ending = result.get("ending") if isinstance(result, dict) else None
        return f"{ending} " if isinstance(ending, str) and ending else ""


def _without_worker(raw: Any, at_work: Sequence[str]) -> str | None:
    """What to say of a workflow that is pinned to a version of which no worker is at work; None for any other."""
    info = raw.workflow_execution_info.versioning_info
    version = info.versioning_override.pinned.version.build_id or info.deployment_version.build_id
    behaviour = info.versioning_override.behavior or info.behavior
    if behaviour != VersioningBehavior.VERSIONING_BEHAVIOR_PINNED or version in at_work:
        return None
    return (
        f"It is pinned to version {version!r}, and this lab has no worker of it at work. Nothing that was accepted is lost. "
        f"Bring that worker back, `await lab.deploy(…, version={version!r})`, or move the conversation to the version that is "
        f"current, if its code fits: `temporal workflow update-options --workflow-id {raw.workflow_execution_info.execution.workflow_id} "
        "--versioning-override-behavior auto_upgrade`."
    )


def _continued_from(history: WorkflowHistory) -> str:
    return history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id


def _pending(activity: Any) -> str:
    failure = f", last failure: {failure_of(activity)}" if activity.HasField("last_failure") else ""
    return f"{activity.activity_type.name} (attempt {activity.attempt}{failure})"


def failure_of(activity: Any) -> str | None:
    """How a pending activity failed last, in one line; None if it has not failed."""
    if not activity.HasField("last_failure"):
        return None
    failure = activity.last_failure
    while failure.HasField("cause"):
        failure = failure.cause
    kind = failure.application_failure_info.type or "Error"
    return f"{kind}: {failure.message}".splitlines()[0][:200]
