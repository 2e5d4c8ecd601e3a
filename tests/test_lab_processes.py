"""The lab and the processes around it: Python's end, a kernel's end, a killed kernel, a killed worker."""

import asyncio
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from jupyter_client.manager import AsyncKernelManager

from course import Lab, LabError
from course.desk import ConversationWorkflow
from course.desk.answering import APOLOGY
from course.lab.server import end_what_dead_labs_left
from course.models import ModelEndpoint, OfflineModel
from course.models.offline import status_error
from tests import forks
from tests.lab_helpers import attempts, count, until


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A TMPDIR of its own: where labs of this test, in this and in other processes, keep their folders."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"durable-agents-course-{os.getuid()}"


def lab_folders(place: Path) -> list[Path]:
    return sorted(place.glob("lab-*"))


def noted(folder: Path) -> list[int]:
    return [json.loads(line)["pid"] for line in (folder / "processes").read_text().splitlines()]


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# Python's end

# One process imports everything, and forks: each child leaves Python on the normal way, in a fraction of the time.
LEAVING = """
    import asyncio, gc, json, os, sys
    from course import Lab
    from course.desk import ConversationWorkflow
    import course.lab.processes

    async def use(way):
        lab = await Lab.start(workflows=[ConversationWorkflow], ui=False)
        chat = await lab.converse(ConversationWorkflow, "ada")
        assert "1042" in await chat.send("Where is order 1042?")
        if way == "stopped":
            await lab.stop()
        elif way == "left":
            chat.begin("Do you have a Ficus?")  # a turn is under way
        return lab

    def leave(way):
        global kept, loop
        if way == "forgotten":  # asyncio.run ends, and nobody has called stop()
            asyncio.run(use(way))
            return
        loop = asyncio.new_event_loop()  # as a kernel does it: the loop is neither ended nor closed
        kept = loop.run_until_complete(use(way))

    ways = (["stopped", "left", "forgotten"] * 7)[:int(sys.argv[1])]
    gc.freeze()  # what was imported here, no child looks through again
    running, codes = {}, []
    while ways or running:
        while ways and len(running) < 2:
            way = ways.pop()
            pid = os.fork()
            if pid == 0:
                leave(way)
                sys.exit()
            running[pid] = way
        pid, status = os.wait()
        codes.append([running.pop(pid), os.waitstatus_to_exitcode(status)])
    print(json.dumps(codes))
"""


# `make soak` leaves twenty times.
TIMES = 20 if os.environ.get("SOAK") else 6


def test_leaving_python_is_clean_every_time(place: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(LEAVING), str(TIMES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert "Fatal Python error" not in done.stderr
    codes = json.loads(done.stdout)
    assert len(codes) == TIMES
    assert {code for _, code in codes} == {0}, f"{codes}\n{done.stderr[-3000:]}"
    assert lab_folders(place) == []
    left = [
        p
        for p in psutil.process_iter(["environ"])
        if (p.info["environ"] or {}).get("TMPDIR") == str(place.parent)
    ]
    assert [p for p in left if p.pid != os.getpid() and "temporal" in p.name()] == []


# A kernel's end

CELL = """
from course import Lab
from course.desk import ConversationWorkflow
lab = await Lab.start()
chat = await lab.converse(ConversationWorkflow, "ada")
process = await lab.worker_process()
print(await chat.send("Where is order 1042?"))
print("SERVER", lab.temporal.server.process.pid)
"""


@pytest.fixture
async def kernel(place: Path, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """An ordinary kernel, where a reader shuts it down; elsewhere one that need not import everything first."""
    forks.kernels_are(forks.FRESH if "shutdown" in request.node.name else forks.FORKED)
    manager = AsyncKernelManager(kernel_name="python3")
    manager.kernel_spec.argv[0] = sys.executable
    await manager.start_kernel(env={**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1"})
    yield manager
    if await manager.is_alive():
        await manager.shutdown_kernel(now=True)
    if place.exists():
        end_what_dead_labs_left(place)  # of a test that failed


async def run_cell(manager: Any, code: str) -> str:
    client = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=60)
        printed: list[str] = []

        def take(message: dict[str, Any]) -> None:
            content = message["content"]
            printed.append(content.get("text") or "\n".join(content.get("traceback", [])))

        reply = await client.execute_interactive(code, timeout=90, output_hook=take)
        assert reply["content"]["status"] == "ok", "".join(printed)
        return "".join(printed)
    finally:
        client.stop_channels()


@pytest.mark.parametrize("end", ["shutdown", "restart"])
async def test_a_kernel_that_ends_leaves_nothing(kernel: Any, place: Path, end: str) -> None:
    printed = await run_cell(kernel, CELL)
    assert "Order 1042" in printed
    [folder] = lab_folders(place)
    pids = noted(folder)
    assert int(printed.split("SERVER ")[1]) in pids
    assert len(pids) == 2  # the server and the worker process
    assert all(alive(pid) for pid in pids)
    if end == "shutdown":
        await kernel.shutdown_kernel()
    else:
        await kernel.restart_kernel()
        assert "ready" in await run_cell(kernel, "print('ready')")
    await until(lambda: not any(alive(pid) for pid in pids), "the end of the lab's processes")
    await until(lambda: lab_folders(place) == [], "the removal of its folder")


async def test_a_killed_kernels_lab_is_ended_by_the_next_and_nothing_else_is(
    kernel: Any, place: Path
) -> None:
    living = await Lab.start(ui=False)
    [mine] = lab_folders(place)
    try:
        printed = await run_cell(kernel, CELL)
        [dead] = [folder for folder in lab_folders(place) if folder != mine]
        server = int(printed.split("SERVER ")[1])
        pids = noted(dead)
        os.kill(kernel.provisioner.process.pid, signal.SIGKILL)
        await until(lambda: kernel.provisioner.process.poll() is not None, "the end of all its threads")
        assert alive(server)  # what a killed kernel leaves

        # A note whose process is nobody's, a torn one, and a folder without notes.
        with (dead / "processes").open("a") as notes:
            notes.write(json.dumps({"pid": 2**22 + 1, "began": 1.0}) + "\n" + '{"pid": 1')
        (place / "lab-empty").mkdir()
        (place / "lab-empty" / "lock").touch()

        async with await Lab.start(ui=False) as next_one:
            assert not any(alive(pid) for pid in pids)
            assert not dead.exists()
            assert not (place / "lab-empty").exists()
            assert set(lab_folders(place)) == {mine, next_one.world.folder}
            chat = await living.converse(ConversationWorkflow, "ada")
            assert "1042" in await chat.send("Where is order 1042?")
    finally:
        await living.stop()
    assert lab_folders(place) == []


def test_a_note_without_its_right_birth_kills_nobody(tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        born = psutil.Process(bystander.pid).create_time()
        for began, survives in ((born - 5, True), (born + 0.5, True), (born, False)):
            folder = tmp_path / "lab-x"
            folder.mkdir()
            (folder / "lock").touch()
            (folder / "processes").write_text(json.dumps({"pid": bystander.pid, "began": began}) + "\n")
            end_what_dead_labs_left(tmp_path)
            assert (bystander.poll() is None) is survives
            assert not folder.exists()
    finally:
        bystander.kill()
        bystander.wait()


# A killed worker


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ModelEndpoint]:
    """The provider's own counter, in a process that is not killed."""
    with ModelEndpoint(OfflineModel()) as endpoint:
        yield endpoint


@pytest.fixture
async def lab(endpoint: ModelEndpoint, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lab]:
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    async with await Lab.start(model="offline-by-http", namespace="garden", ui=False) as lab:
        yield lab


async def test_a_turn_survives_its_worker(lab: Lab, endpoint: ModelEndpoint) -> None:
    """At one moment, seen from the provider. At every other: test_crash_sweep.py."""
    process = await lab.worker_process(kill="after save_to_database")
    chat = await lab.converse(ConversationWorkflow, "ada")
    asked = endpoint.requests
    reply = chat.begin("Thanks", timeout=60)
    assert await process.died() == -signal.SIGKILL
    assert len(lab.table("turns")) == 1
    assert await reply == "You are very welcome. May your plants thrive!"
    assert endpoint.requests - asked == 1  # the model was asked, and paid, once
    assert list(lab.table("turns")["task_id"].str.endswith("/turn-1")) == [True]
    done = dict(attempts(await chat.history()))
    assert (done["invoke_model_activity"], done["save_to_database"]) == (1, 2)
    assert "1042" in await chat.send("Where is order 1042?")  # the kernel's own worker has taken over
    await chat.close()
    assert len(lab.inbox()) == 2


async def test_a_worker_process_that_is_killed_while_idle(lab: Lab) -> None:
    process = await lab.worker_process()
    with pytest.raises(LabError, match="already at work"):
        await lab.worker_process()
    chat = await lab.converse(ConversationWorkflow, "ada")
    await chat.send("Where is order 1042?")
    process.kill()
    process.kill()
    assert await process.died() == -signal.SIGKILL
    assert "Ficus" in await chat.send("Do you have a Ficus?")
    assert count(await chat.history())["save_to_database"] == 2
    assert list(lab.table("turns")["turn"]) == [1, 2]
    again = await lab.worker_process()
    assert "very welcome" in await chat.send("Thanks")
    await lab.stop()
    assert await again.died() == -signal.SIGKILL


MINE = """
    from datetime import timedelta
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
            twice = await workflow.execute_activity(double, int(text), start_to_close_timeout=timedelta(seconds=5))
            return f"{text}, twice: {twice}"
"""


async def test_a_readers_module_on_a_path_of_its_own_is_found_by_a_worker_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_readers_module.py").write_text(textwrap.dedent(MINE))
    monkeypatch.syspath_prepend(str(tmp_path))  # in this process alone: it is not in the environment
    mine = importlib.import_module("a_readers_module")
    async with await Lab.start(workflows=[mine.Mine], activities=[mine.double], ui=False) as lab:
        process = await lab.worker_process(kill="after double")
        chat = await lab.converse(mine.Mine, "ada")
        reply = chat.begin("21", timeout=60)
        assert await process.died() == -signal.SIGKILL  # it was there that the activity ran
        assert await reply == "21, twice: 42"
        assert attempts(await chat.history()) == [("double", 2)]


class WantsMore(Exception):
    """Can be pickled, and not made again from that."""

    def __init__(self, *, why: str) -> None:
        super().__init__(why)


async def test_a_worker_process_is_handed_a_script_of_any_size_and_its_errors() -> None:
    script = [status_error(403, "Not today."), "As you wish.", "x" * 200_000]
    async with await Lab.start(model=OfflineModel(script=script), ui=False) as lab:
        process = await lab.worker_process()
        chat = await lab.converse(ConversationWorkflow, "ada")
        assert await chat.send("Hello!") == APOLOGY
        assert await chat.send("Hello again!") == "As you wish."
        failures = (await chat.activities(times=True)).failure
        assert failures[0] == "Non retryable OpenAI status code: 403: Not today."
        assert process.alive


async def test_what_cannot_be_handed_to_a_process_is_named() -> None:
    class Mine(OfflineModel):
        """Not importable: it lives in a function."""

    unreadable = OfflineModel(script=[WantsMore(why="not handed over"), *["x" * 100_000] * 9])
    for model, reason in ((Mine(), "local object .*Mine"), (unreadable, "WantsMore.*argument")):
        async with await Lab.start(model=model, ui=False) as lab:
            with pytest.raises(
                LabError, match=f"{reason}.* They must be importable from a module, and the model"
            ):
                await lab.worker_process()
            model.script = []
            chat = await lab.converse(ConversationWorkflow, "ada")
            assert await asyncio.wait_for(chat.send("Hello"), 20)
