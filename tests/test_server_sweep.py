"""The server, killed between any two events of a turn and started again: the turn is whole.

Two ways to be exact. A moment of the worker (`before save_to_database`): its hook kills the server then and
there, with that task in the worker's hands. And a gate: the worker fetches so many tasks and no more, so
that the next one stands on record as scheduled, in nobody's hands, for as long as one likes.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import pytest
from temporalio.api.enums.v1 import PendingActivityState, PendingWorkflowTaskState
from temporalio.worker import CustomSlotSupplier, FixedSizeSlotSupplier, SlotPermit, Worker, WorkerTuner

from course import Lab, LabError
from course.desk import ConversationWorkflow
from course.desk.heartbeats import Heartbeats
from course.desk.services import ServicesInterceptor
from course.lab import Conversation, everything
from course.lab.moments import DyingRunner, KillAt, Moment
from tests.lab_helpers import count, until

MESSAGE = "Where is order 1042?"
ANSWER = "Order 1042: 1 × Monstera, 34.00 EUR, shipped. Is there anything else I can do for you?"
NOTICE = f"ada wrote, and was answered: {MESSAGE}"
STEPS = ("invoke_model_activity", "look_up_order", "save_to_database", "send_notification")
WORKFLOW_TASKS = 6
"""Of the turn: it comes, four activities, and nothing is left to do but to note the notice."""

EVENTS = [
    *(f"{when} {step}" for step in (*STEPS, "invoke_model_activity #2") for when in ("before", "after")),
    *(f"{when} workflow task #{n}" for n in range(1, WORKFLOW_TASKS + 1) for when in ("before", "after")),
    *(f"workflow task #{n} scheduled" for n in range(1, WORKFLOW_TASKS + 1)),
    *(f"activity #{n} scheduled" for n in range(1, len(STEPS) + 2)),
    "before reply",
]

SAMPLE = [
    "workflow task #1 scheduled",  # the message: no worker has accepted it
    "before workflow task #1",
    "after invoke_model_activity",
    "workflow task #2 scheduled",
    "after save_to_database",
    "before reply",
    "after send_notification",
]


THREADS = 4


class Gate(CustomSlotSupplier):
    """Lets a worker fetch so many tasks, and the rest when it is opened."""

    def __init__(self, tasks: int) -> None:
        self._left = asyncio.Semaphore(tasks)
        self._open = False

    def open(self) -> None:
        self._open = True
        self._left.release()

    async def reserve_slot(self, ctx: Any) -> SlotPermit:
        await self._left.acquire()
        if self._open:
            self._left.release()
        return SlotPermit()

    def try_reserve_slot(self, ctx: Any) -> None:
        """A task that is handed over with another one's completion would go round the gate."""

    def mark_slot_used(self, ctx: Any) -> None: ...

    def release_slot(self, ctx: Any) -> None: ...


def behind(kind: str, gate: Gate) -> dict[str, Any]:
    """A worker's options: its workflow tasks or its activities come through the gate."""
    suppliers: dict[str, Any] = dict.fromkeys(
        ("workflow_supplier", "activity_supplier", "local_activity_supplier", "nexus_supplier"),
        FixedSizeSlotSupplier(THREADS),
    )
    suppliers[{"workflow task": "workflow_supplier", "activity": "activity_supplier"}[kind]] = gate
    # Without a cache there is one poller of workflow tasks, and it is behind the gate.
    tuner = WorkerTuner.create_composite(**suppliers)
    return {"tuner": tuner, "max_cached_workflows": 0, "max_concurrent_workflow_task_polls": 1}


@asynccontextmanager
async def working(lab: Lab, hook: KillAt | None = None, **options: Any) -> AsyncIterator[None]:
    interceptors: list[Any] = [Heartbeats(lab.client), ServicesInterceptor(lab.world.services)]
    if hook:
        interceptors.append(hook)
        options["workflow_runner"] = DyingRunner(kill_at=hook)
    with ThreadPoolExecutor(THREADS) as threads:
        async with Worker(
            lab.client,
            task_queue=lab.task_queue,
            workflows=[ConversationWorkflow],
            activities=everything.activities(),
            activity_executor=threads,
            max_concurrent_activities=None if "tuner" in options else THREADS,
            interceptors=interceptors,
            **options,
        ):
            yield


@asynccontextmanager
async def with_server_killed(
    lab: Lab, event: str
) -> AsyncIterator[Callable[[Conversation], Awaitable[None]]]:
    """A worker works; yields what waits until the server has been killed at the event and is up again."""
    if not event.endswith("scheduled"):
        died = asyncio.Event()
        loop = asyncio.get_running_loop()

        def kill() -> None:
            lab.temporal.server.stop()
            loop.call_soon_threadsafe(died.set)

        async def restarted(chat: Conversation) -> None:
            await asyncio.wait_for(died.wait(), 20)
            await lab.restart_server()

        async with working(lab, KillAt(Moment.read_all(event, everything.activities()), kill)):
            yield restarted
        return

    kind, number = event.removesuffix(" scheduled").split(" #")
    gate = Gate(int(number) - 1)

    async def restarted_gated(chat: Conversation) -> None:
        await until(lambda: stands_still(chat, kind), event)
        await lab.restart_server()
        gate.open()

    async with working(lab, **behind(kind, gate)):
        yield restarted_gated


async def stands_still(chat: Conversation, kind: str) -> bool:
    """Whether exactly one task of this kind is scheduled and nothing else is under way."""
    raw = (await chat.handle.describe()).raw_description
    if kind == "activity":
        states = [one.state for one in raw.pending_activities]
        alone = not raw.HasField("pending_workflow_task")
        return alone and states == [PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED]
    task = raw.pending_workflow_task
    return (
        not raw.pending_activities
        and task.state == PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED
    )


@pytest.fixture(scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    file = tmp_path_factory.mktemp("server") / "juniper.db"
    async with await Lab.start(workflows=[ConversationWorkflow], ui=False, persist=file) as lab:
        await lab.workers.kernel.stop()
        yield lab


@pytest.mark.parametrize("event", EVENTS if os.environ.get("SOAK") else SAMPLE)
async def test_a_turn_survives_its_server(lab: Lab, event: str) -> None:
    asked, server = lab.model.attempts, lab.temporal.server.process.pid
    told = list(lab.inbox()["text"]).count(NOTICE)
    chat = await lab.converse(ConversationWorkflow, "ada")
    async with with_server_killed(lab, event) as restarted:
        reply = chat.begin(MESSAGE)
        await restarted(chat)
        assert lab.temporal.server.process.pid != server
        assert await reply == ANSWER
        summary = await chat.close()
    assert (summary.turns, summary.answered) == (1, 1)
    assert lab.model.attempts - asked == 2
    assert count(await chat.history()) == Counter([*STEPS, "invoke_model_activity", "generate_report"])
    for table in ("turns", "reports"):
        assert list(lab.table(table)["task_id"].str.startswith(chat.id)).count(True) == 1
    assert list(lab.inbox()["text"]).count(NOTICE) == told + 1


class Counted:
    """A workflow's handle that counts how often an update is handed to the client."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self.sent = 0

    async def execute_update(self, *args: Any, **kwargs: Any) -> Any:
        self.sent += 1
        return await self._handle.execute_update(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handle, name)


async def test_a_message_that_has_waited_for_long_outlives_its_server(lab: Lab) -> None:
    """The client tries again for ten seconds from the sending: a reader who thinks for longer is past them."""
    chat = await lab.converse(ConversationWorkflow, "ada")
    reply = chat.begin(MESSAGE)
    await asyncio.sleep(12)
    await lab.restart_server()
    async with working(lab):
        assert await reply == ANSWER
        assert (await chat.close()).turns == 1


async def test_a_message_outlives_a_server_that_is_away_for_longer_than_its_client_tries(lab: Lab) -> None:
    chats = [await lab.converse(ConversationWorkflow, "ada") for _ in range(3)]
    for chat in chats:
        chat.handle = Counted(chat.handle)
    async with working(lab, **behind("activity", Gate(0))):
        accepted = chats[0].begin(MESSAGE)
        await until(lambda: stands_still(chats[0], "activity"), "the schedule of its first activity")
    unaccepted = chats[1].begin(MESSAGE)
    await until(
        lambda: stands_still(chats[1], "workflow task"), "the arrival of a message that nobody accepts"
    )
    lab.temporal.server.stop()
    with pytest.raises(LabError, match=r"No reply to 'Hello!' after 1 s\. The server has ended"):
        await chats[2].send("Hello!", timeout=1)
    await until(
        lambda: min(chat.handle.sent for chat in chats[:2]) > 1, "the client's surrender, after ten seconds"
    )
    await lab.restart_server()
    async with working(lab):
        assert [await accepted, await unaccepted] == [ANSWER, ANSWER]
        assert [(await chat.close()).turns for chat in chats] == [1, 1, 0]
