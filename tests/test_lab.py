"""The lab: its contract, strangers' code, the clock, a conversation."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import httpx2
import psutil
import pytest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import ListTaskQueuePartitionsRequest
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle

from course import Lab, LabError
from course.desk import ConversationWorkflow
from course.lab import everything
from course.lab.running import PAYLOADS
from course.lessons.lesson_01 import HelloWorkflow
from course.lessons.lesson_02 import ToolsWorkflow
from course.models import OfflineModel
from tests import lab_strangers
from tests.lab_helpers import attempts, count, scheduled, until, until_failed

HOUR = timedelta(hours=1)


LAB = {
    "workflows": [ConversationWorkflow, ToolsWorkflow, *lab_strangers.WORKFLOWS],
    "activities": [*everything.activities(), *lab_strangers.ACTIVITIES],
    "ui": True,
}


# The contract


async def test_what_a_started_lab_holds(lab: Lab) -> None:
    host, port = lab.address.split(":")
    assert (host, int(port) > 0) == ("127.0.0.1", True)
    async with httpx2.AsyncClient(trust_env=False) as browser:
        page = await browser.get(lab.ui_url or "", follow_redirects=True)
    assert page.status_code == 200
    assert "<html" in page.text
    assert isinstance(lab.model, OfflineModel)
    chat = await lab.converse(ConversationWorkflow, "ada")
    assert (chat.id, chat.handle.id) == ("ada-1", "ada-1")
    described = await lab.client.get_workflow_handle("ada-1").describe()
    assert (described.task_queue, described.status) == (lab.task_queue, WorkflowExecutionStatus.RUNNING)
    assert (await lab.converse(ConversationWorkflow, "Ada")).id == "ada-2"
    assert list(lab.inbox().columns) == ["to", "subject", "text"]
    orders = lab.table("orders")
    assert list(orders[orders.customer == "ada"].order_id) == ["1042", "1043", "1044", "1045", "1046"]
    with pytest.raises(LabError, match=r"There is no table 'nonsense'. There are: turns, "):
        lab.table("nonsense")


async def test_no_task_waits_where_no_worker_may_look(lab: Lab) -> None:
    """In another partition than the root, one that waits for longer than five minutes can be left alone for a minute."""
    asked = ListTaskQueuePartitionsRequest(namespace="default", task_queue=TaskQueue(name=lab.task_queue))
    found = await lab.client.workflow_service.list_task_queue_partitions(asked)
    assert [one.key for one in found.workflow_task_queue_partitions] == [lab.task_queue]
    assert [one.key for one in found.activity_task_queue_partitions] == [lab.task_queue]


async def test_a_stopped_lab_has_ended_and_says_so() -> None:
    async with await Lab.start(ui=False) as lab:
        assert lab.ui_url is None
        chat, outage = await lab.converse(HelloWorkflow, "ada"), await lab.outage("database")
        reply = (await lab.converse(ConversationWorkflow, "ben")).begin("Hello!")
        server, folder = lab.temporal.server.process.pid, lab.world.folder
        assert psutil.Process(server).is_running()
    assert not psutil.pid_exists(server)
    assert not folder.exists()
    outage.end()
    await lab.stop()  # twice is once
    with anyio.fail_after(10):
        for action in (
            lambda: lab.converse(HelloWorkflow, "ada"),
            lambda: chat.send("Hello"),
            chat.transcript,
            chat.activities,
            chat.history,
            chat.close,
            chat.pending,
            lambda: chat.fast_forward(HOUR),
            lambda: chat.replay(ConversationWorkflow),
            lambda: reply,
            lab.worker_process,
            lab.restart_server,
            lambda: lab.outage("mail"),
            lambda: asyncio.to_thread(lab.table, "turns"),
            lambda: asyncio.to_thread(lab.inbox),
            lambda: asyncio.to_thread(lab.outages),
        ):
            with pytest.raises(LabError, match=r"This lab has been stopped. Start another"):
                await action()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((ConversationWorkflow, ""), "A customer has a name of 1 to 100 printable characters, and not ''"),
        ((ConversationWorkflow, "a\r\nb"), "printable"),
        ((ConversationWorkflow, "x" * 101), "printable"),
        ((ConversationWorkflow, 3), "printable"),
        ((ConversationWorkflow, "\ud800"), "printable"),
        ((HelloWorkflow, "ada"), r"does not run HelloWorkflow.*Lab.start\(workflows=\[HelloWorkflow\]\)"),
        ((str, "ada"), "is not a workflow: a class with @workflow.defn is"),
        (("ConversationWorkflow", "ada"), "is not a workflow"),
        ((lab_strangers.Echo, "ada"), r"Echo has no update 'send' \(it has: finish, say\)"),
    ],
)
async def test_what_cannot_be_started_is_refused_with_what_to_do(lab: Lab, given: Any, says: str) -> None:
    with pytest.raises(LabError, match=says):
        await lab.converse(*given)


# Strangers' code


async def test_strangers_code_runs_as_it_is(lab: Lab) -> None:
    chat = await lab.converse(lab_strangers.Echo, "bob", update="say", close="finish")
    assert (await chat.send("Hello")).startswith("HELLO")
    assert scheduled(await chat.history()) == ["invoke_model_activity", "shout"]
    again = lab.conversation(chat.id)
    assert await again.close() == "bob has gone"  # by an update, and known again by its id alone
    assert await again.close() == "bob has gone"
    said = await chat.transcript()  # it has no query: from its history
    assert list(said["role"])[:2] == ["customer", "agent"]
    assert said["text"][0] == "Hello"


async def test_workflow_code_that_raises_is_named(lab: Lab) -> None:
    chat = await lab.converse(lab_strangers.DoesAsTold, "ada")
    with pytest.raises(
        LabError,
        match=r"workflow task has failed (once|\d+ times): the workflow's own code raises.*not on record yet",
    ):
        await chat.send("break", timeout=1.5)


async def test_workflow_code_that_exits_ends_no_worker(lab: Lab) -> None:
    chat = await lab.converse(lab_strangers.DoesAsTold, "ada")
    with pytest.raises(LabError, match=r"workflow's own code raises"):
        await chat.send("exit", timeout=1.5)
    events = await chat.events()
    assert events["detail"].str.contains("sys.exit() in a workflow would end", regex=False).any()
    other = await lab.converse(lab_strangers.DoesAsTold, "ben")
    assert await other.send("Hello") == "Hello"


async def test_a_message_that_has_not_arrived_yet_is_waited_for(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = await lab.converse(ConversationWorkflow, "ada")
    deliver = chat._deliver

    async def later(*message: str) -> str:
        await asyncio.sleep(3)
        return await deliver(*message)

    monkeypatch.setattr(chat, "_deliver", later)
    chat.begin("Hello!")
    assert "save_to_database" in set((await chat.activities()).activity)


def test_no_lab_has_a_codec_or_a_storage_that_asks_whose_payload_it_is() -> None:
    # `Sandbox` answers for the sandbox: asking it takes a fifteenth of a turn.
    assert PAYLOADS.payload_codec is None
    assert PAYLOADS.external_storage is None


# Somebody else's server


async def test_a_second_lab_on_the_first_ones_server(lab: Lab) -> None:
    async with await Lab.start(
        address=lab.address,
        workflows=lab.workers.settings.workflows,
        activities=lab.workers.settings.activities,
    ) as guest:
        assert (guest.address, guest.ui_url) == (lab.address, None)
        chat = await guest.converse(ConversationWorkflow, "guest")
        assert "1042" in await chat.send("Where is order 1042?")
        before = datetime.now(UTC)
        assert await chat.fast_forward(5 * HOUR) > before + 4 * HOUR
    with anyio.fail_after(20):  # the guest's end leaves the host's server and its runner alone
        mine = await lab.converse(ConversationWorkflow, "host")
        assert "1042" in await mine.send("Where is order 1042?")
        assert count(await mine.history())["invoke_model_activity"] == 2


# The clock


async def test_the_clock_runs_at_real_pace_until_it_is_told(lab: Lab) -> None:
    chat = await lab.converse(lab_strangers.Patient, "clock")
    for text in ("Hello", "Are you there?", "Still?"):
        assert await chat.send(text) == text
    here = datetime.now(UTC)
    assert abs(await chat.fast_forward(timedelta(0)) - here) < timedelta(seconds=5)
    moved = await chat.fast_forward(29 * 24 * HOUR)
    assert timedelta(0) <= moved - here - 29 * 24 * HOUR < timedelta(seconds=20)
    assert await chat.send("After 29 days") == "After 29 days"
    other = await lab.converse(lab_strangers.Patient, "clock")  # its own clock has not moved
    assert await other.fast_forward(timedelta(0)) - datetime.now(UTC) < timedelta(seconds=5)
    await chat.fast_forward(25 * HOUR)
    assert await chat.close() == "nobody wrote"
    assert await other.close() == "closed"


async def test_a_retry_every_minute_for_eight_hours(lab: Lab) -> None:
    chat = await lab.converse(lab_strangers.DoesAsTold, "patient")
    reply = chat.begin("minutely 481")
    await until_failed(chat, "flaky")
    assert not reply.done()
    await chat.fast_forward(timedelta(hours=7, minutes=58, seconds=30))
    [waiting] = (await chat.pending()).to_dict("records")
    assert waiting["activity"] == "flaky"
    assert waiting["attempt"] == 480  # 479 have failed: at 0:00, 0:01, … 7:58
    assert waiting["last failure"] == f"ConnectionError: attempt {waiting['attempt'] - 1}: the line is dead"
    assert timedelta(0) < waiting["next attempt in"] <= timedelta(seconds=60)
    assert waiting["next attempt in"] % timedelta(seconds=1) == timedelta(0)
    await chat.fast_forward(timedelta(minutes=2))
    assert await reply == "attempt 481"
    assert attempts(await chat.history()) == [("flaky", 481)]
    assert (await chat.pending()).empty
    assert await chat.send("minutely 1") == "attempt 1"


async def test_children_go_along_and_so_do_those_that_start_on_the_way(lab: Lab) -> None:
    chat = await lab.converse(lab_strangers.DoesAsTold, "family")
    reply = chat.begin("children")
    await until(lambda: runs(lab, f"{chat.id}/3"), "the first child")
    before = datetime.now(UTC)
    now = await chat.fast_forward(4 * HOUR)
    assert now - before >= 4 * HOUR - timedelta(seconds=5)
    assert await reply == "3 h, 2 h"
    second = (await lab.client.get_workflow_handle(f"{chat.id}/2").describe()).raw_description
    first = (await lab.client.get_workflow_handle(f"{chat.id}/3").describe()).raw_description
    for info, hours in ((first, 3), (second, 2)):
        info = info.workflow_execution_info
        lasted = info.close_time.ToDatetime() - info.start_time.ToDatetime()
        assert hours * HOUR <= lasted < hours * HOUR + timedelta(minutes=1)


async def test_a_child_that_ends_just_before_its_clock_moves_is_no_error(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat, skipper = await lab.converse(lab_strangers.DoesAsTold, "family"), lab.temporal.clock._skipper
    reply, skip = chat.begin("children"), skipper.fast_forward
    await until(lambda: runs(lab, f"{chat.id}/3"), "the first child")

    async def late(handle: WorkflowHandle[Any, Any], by: timedelta) -> bool:
        if handle.id == f"{chat.id}/3":
            await skip(handle, 4 * HOUR)
        return await skip(handle, by)

    monkeypatch.setattr(skipper, "fast_forward", late)
    await chat.fast_forward(6 * HOUR)
    assert await reply == "3 h, 2 h"


async def runs(lab: Lab, id: str) -> bool:
    from temporalio.service import RPCError

    try:
        return (await lab.client.get_workflow_handle(id).describe()).status == WorkflowExecutionStatus.RUNNING
    except RPCError:
        return False


async def test_an_activity_that_hangs_is_named_and_the_next_turn_works(lab: Lab) -> None:
    lab_strangers.let_go.clear()
    chat = await lab.converse(lab_strangers.DoesAsTold, "stuck")
    with pytest.raises(LabError, match=r"No reply to 'hang' after 0.5 s. Still pending: hang \(attempt 1\)"):
        await chat.send("hang", timeout=0.5)
    [waiting] = (await chat.pending()).to_dict("records")
    assert (waiting["activity"], waiting["attempt"]) == ("hang", 1)
    assert waiting["next attempt in"] is None or waiting["next attempt in"] != waiting["next attempt in"]
    with pytest.raises(
        LabError, match=r"did not get 1:00:00 ahead in 1 s; the move is withdrawn.*hang \(attempt 1\)"
    ):
        await chat.fast_forward(HOUR, timeout=1)
    assert await chat.send("and now?") == "and now?"
    other = await lab.converse(ToolsWorkflow, "quick")  # nor does anybody else wait for it
    assert "1042" in await other.send("Where is order 1042?")
    lab_strangers.let_go.set()

    async def none_pending() -> bool:
        return (await chat.pending()).empty

    await until(none_pending, "the activity's end")
    assert await chat.fast_forward(HOUR) > datetime.now(UTC) + timedelta(minutes=59)


@pytest.mark.parametrize(
    ("duration", "says"),
    [
        (-HOUR, "Time does not run backwards"),
        (3600, "takes a timedelta, such as timedelta.hours=6., and got 3600"),
        ("6h", "takes a timedelta"),
        (None, "takes a timedelta"),
        (timedelta(days=999_999_999), "by 36,500 days at most"),
    ],
)
async def test_a_move_that_makes_no_sense(lab: Lab, duration: Any, says: str) -> None:
    chat = await lab.converse(ToolsWorkflow, "move")
    with pytest.raises(LabError, match=says):
        await chat.fast_forward(duration)
    await chat.close()
    with pytest.raises(LabError, match=f"{chat.id} has ended, so its clock stands still"):
        await chat.fast_forward(HOUR)


@pytest.mark.parametrize("moved", [timedelta(microseconds=1), timedelta(milliseconds=1)])
async def test_a_moment_is_no_longer_than_a_moment(lab: Lab, moved: timedelta) -> None:
    chat = await lab.converse(lab_strangers.Patient, "ada")  # its next timer is thirty days ahead
    assert await chat.fast_forward(moved) < datetime.now(UTC) + timedelta(minutes=1)


async def test_a_conversation_that_ends_while_its_clock_is_about_to_move(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat, move = await lab.converse(ToolsWorkflow, "move"), lab.temporal.clock.move

    async def close_and_move(*arguments: Any) -> bool:
        await chat.close()
        return await move(*arguments)

    monkeypatch.setattr(lab.temporal.clock, "move", close_and_move)
    with pytest.raises(LabError, match=f"{chat.id} has ended"):
        await chat.fast_forward(HOUR)


# A conversation


async def test_begin_goes_on_without_anybody_waiting(lab: Lab) -> None:
    chat = await lab.converse(ToolsWorkflow, "begin")
    replies = [chat.begin(f"Where is order {order}?") for order in (1042, 1043)]
    assert not replies[0].done()
    assert "under way" in repr(replies[0])
    answers = [await reply for reply in replies]
    assert ["1042" in answers[0], "1043" in answers[1]] == [True, True]
    assert repr(replies[0]) == "<Reply there>"


async def test_the_end_of_a_conversation(lab: Lab) -> None:
    chat = await lab.converse(ToolsWorkflow, "end")
    await chat.send("Hello")
    assert await chat.close() == 1
    assert await chat.close() == 1
    with pytest.raises(
        LabError, match=r"has ended and takes no more messages. Its record is kept: .*lab.converse"
    ):
        await chat.send("Hello?")
    assert scheduled(await chat.history()) == ["invoke_model_activity"]
    assert (await lab.converse(ToolsWorkflow, "end")).id == "end-2"


async def test_a_workflow_that_nothing_ends_says_so_at_once(lab: Lab) -> None:
    chat = await lab.converse(ToolsWorkflow, "end", close="finish")
    with (
        anyio.fail_after(5),
        pytest.raises(
            LabError,
            match=r"was not asked to end: ToolsWorkflow has no signal or update 'finish' \(it has: close, send\)",
        ),
    ):
        await chat.close()
    assert (await lab.conversation(chat.id).handle.describe()).status == WorkflowExecutionStatus.RUNNING


async def test_a_conversation_that_failed_says_why(lab: Lab) -> None:
    chat = await lab.converse(ToolsWorkflow, "failed")
    await lab.client.get_workflow_handle(chat.id).terminate("the plug was pulled")
    with pytest.raises(LabError, match=r"failed-1 did not end well: .*terminated"):
        await chat.close()
