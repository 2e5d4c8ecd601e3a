"""The page 01b: its three files and its commands, on a Temporal server that is nobody's lab."""

import asyncio
import contextlib
import re
import shlex
import sys
from asyncio.subprocess import STDOUT, Process
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import nbformat
import pytest
from temporalio.client import Client

from course.history import activity_table
from course.lab.server import temporal_binary
from course.models import Answer, LoopbackServer, ModelEndpoint, OfflineModel
from tests import desk_process
from tests.desk_process import ROOT, ForkedProgram, here, retried, says, server
from tests.lab_helpers import until

__all__ = ["here", "server"]  # fixtures

PAGE = nbformat.read(ROOT / "notebooks" / "01b_an_agent_of_your_own.ipynb", as_version=4)
TEXT = "\n".join(cell.source for cell in PAGE.cells if cell.cell_type == "markdown")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)\n```$", TEXT, re.M | re.S)
OWN_SERVER, DESK = (code.splitlines() for language, code in BLOCKS if not language)
CHAT_COMPLETIONS, LONGER = (code for language, code in BLOCKS if language)
[WHO_POLLS] = re.findall(r"`(temporal task-queue describe .*?)`", TEXT)
QUESTION = "How often do I water a Monstera?"
REPLY = "Monstera: every 7 days. Is there anything else I can do for you?"


@pytest.fixture
def mine(here: Path) -> Path:
    """The folder with the page's three files, where the page writes them."""
    folder = here / "my_course" / "my_work" / "own_agent"
    folder.mkdir(parents=True)
    for cell in PAGE.cells:
        if named := re.match(r"%%writefile (?:-a )?my_work/own_agent/(\w+\.py)\n", cell.source):
            with (folder / named[1]).open("a") as file:
                file.write(cell.source.removeprefix(named[0]) + "\n")
    assert {file.name for file in folder.iterdir()} == {"agent.py", "worker.py", "client.py"}
    return folder


def running(command: str) -> contextlib.AbstractAsyncContextManager[Process]:
    """A command of the page, as a process."""
    program, *arguments = shlex.split(command)
    program = {"python": sys.executable, "temporal": str(temporal_binary())}[program]
    return desk_process.running(program, *arguments, stderr=STDOUT)


async def output_of(command: str) -> str:
    async with running(command) as process:
        said, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, said.decode()
    return said.decode()


async def ended(process: Process) -> int:
    process.terminate()
    await asyncio.wait_for(process.communicate(), 60)
    return process.returncode


@contextlib.asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[ForkedProgram]:
    """The page's worker, when it serves. The first test runs its command; a Python for each would import for seconds."""
    command, file = shlex.split(OWN_SERVER[1])
    assert command == "python"
    said = folder / "said"
    said.unlink(missing_ok=True)  # an earlier one's
    with ForkedProgram(said, file) as worker:
        await until(lambda: worker.says("Serving plant-care."), "the worker serves", 120)
        yield worker


async def stopped(worker: ForkedProgram) -> int | None:
    worker.process.terminate()
    await until(lambda: worker.code is not None, "the worker has ended", 60)
    return worker.code


def changed(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def client(customer: str) -> str:
    return f"{OWN_SERVER[2].partition(' mia ')[0]} {customer} {shlex.quote(QUESTION)}"


async def test_the_pages_commands_run_an_agent_on_a_server_of_ones_own(mine: Path, server: str) -> None:
    start_server, start_worker, ask = OWN_SERVER
    assert start_server == "temporal server start-dev"  # as the fixture `server` does
    async with running(start_worker) as worker:
        await says(worker, "Serving plant-care.")
        assert (await output_of(ask)).splitlines() == ["mia waits for a reply.", REPLY]
        _, pollers = (await output_of(WHO_POLLS)).split("LastAccessTime")
        polled = re.findall(r"(activity|workflow) +\d+@\S+ +(?:now|\S+ \S+ ago)", pollers)
        assert set(polled) == {"activity", "workflow"}
        assert await ended(worker) == 0
    history = await (await Client.connect(server)).get_workflow_handle("mia").fetch_history()
    rows = activity_table(history)
    assert list(zip(rows.activity, rows.decided_by, strict=True)) == [
        ("note", "workflow"),
        ("invoke_model_activity", "plugin"),
        ("watering", "agent"),
        ("invoke_model_activity", "plugin"),
    ]
    assert (mine / "messages.txt").read_text() == f"mia: {QUESTION}\n"


async def test_a_server_of_ones_own_is_as_the_page_says(mine: Path) -> None:
    told = " ".join((await output_of("temporal server start-dev --help")).split())
    assert re.search(r"--port int .{0,60}\(default 7233\)", told)
    assert "Port for the Web UI. Defaults to '--port' value + 1000." in told
    assert re.search(
        r"--db-filename string Path to file for persistent Temporal state store. By default, .{0,80}lost",
        told,
    )


async def test_a_forgotten_activity_is_waited_for_until_a_worker_has_it(mine: Path, server: str) -> None:
    whole = (mine / "worker.py").read_text()
    changed(mine / "worker.py", "activities=[watering, note]", "activities=[]")
    chat = (await Client.connect(server)).get_workflow_handle("nora")
    async with serving(mine) as broken, running(client("nora")) as waiting:
        await says(waiting, "nora waits for a reply.")
        await until(lambda: retried(chat, "note"), "the note is tried again")
        assert await stopped(broken) == 0
        assert waiting.returncode is None
        (mine / "worker.py").write_text(whole)
        async with serving(mine) as worker:
            await says(waiting, REPLY)
            assert await stopped(worker) == 0


async def test_a_signal_lets_what_runs_come_to_its_end(mine: Path, server: str) -> None:
    changed(
        mine / "agent.py",
        '    with Path(__file__).with_name("messages.txt").open("a") as file:\n',
        "    import time\n\n"
        '    Path(__file__).with_name("begun").touch()\n'
        '    while not Path(__file__).with_name("go_on").exists():\n'
        "        time.sleep(0.05)\n"
        '    with Path(__file__).with_name("messages.txt").open("a") as file:\n',
    )
    async with serving(mine) as worker, running(client("olga")) as waiting:
        await until((mine / "begun").exists, "the note has begun")
        worker.process.terminate()
        (mine / "go_on").touch()
        assert await stopped(worker) == 0
        waiting.kill()
    chat = (await Client.connect(server)).get_workflow_handle("olga")
    [note, *_] = activity_table(await chat.fetch_history()).to_dict("records")
    await chat.terminate()  # the next worker would go on with it
    assert (note["activity"], note["attempts"], note["status"]) == ("note", 1, "completed")
    assert (mine / "messages.txt").read_text() == f"olga: {QUESTION}\n"


async def test_a_name_in_the_environment_is_a_live_model_whose_calls_may_take_longer(
    mine: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-real-key")
    monkeypatch.setenv("MODEL", "a-live-model")
    plugin = "OpenAIAgentsPlugin(model_provider=provider)"
    changed(mine / "worker.py", plugin, LONGER)
    changed(
        mine / "worker.py", "import OpenAIAgentsPlugin", "import ModelActivityParameters, OpenAIAgentsPlugin"
    )
    with ModelEndpoint(OfflineModel()) as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        async with serving(mine) as worker:
            assert REPLY in await output_of(client("rosa"))
            assert await stopped(worker) == 0
        assert endpoint.requests == 2
    history = await (await Client.connect(server)).get_workflow_handle("rosa").fetch_history()
    asked = [event.activity_task_scheduled_event_attributes for event in history.events]
    limits = {one.start_to_close_timeout.ToTimedelta() for one in asked if "model" in one.activity_type.name}
    assert limits == {timedelta(minutes=5)}


async def test_the_pages_line_speaks_chat_completions(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"role": "assistant", "content": "In the words of another API."}
    answer = {
        "id": "chat-1", "object": "chat.completion", "created": 0, "model": "the-name",
        "choices": [{"index": 0, "finish_reason": "stop", "message": said}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 15},
    }  # fmt: skip
    answers = {"/v1/chat/completions": Answer(200, answer)}
    endpoint = LoopbackServer(lambda request: answers.get(request.path, Answer(404, {"detail": "Not Found"})))
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-real-key")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{endpoint.url}/v1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    changed(
        mine / "worker.py",
        '_, provider = model_provider(os.environ.get("MODEL"))  # no name: the offline model',
        CHAT_COMPLETIONS,
    )
    changed(
        mine / "worker.py",
        "from temporalio.client",
        "from agents import OpenAIChatCompletionsModel\nfrom openai import AsyncOpenAI\nfrom temporalio.client",
    )
    async with serving(mine) as worker:
        assert said["content"] in await output_of(client("sara"))
        assert await stopped(worker) == 0
    endpoint.stop()


async def test_the_pages_commands_run_the_desk(here: Path) -> None:
    set_up, serve, start, ask = DESK
    assert "The tables are there" in await output_of(set_up)
    async with running(serve) as desk:
        await says(desk, "Serving 'juniper' at")
        await output_of(start)
        assert "1042" in await output_of(ask)
        desk.kill()  # no mail server: its notices are tried for days
