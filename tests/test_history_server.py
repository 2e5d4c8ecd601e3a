"""`course.history` on a Temporal server and with a codec server: what is found there, and what is said when nothing is."""

import asyncio
import base64
import json
import os
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode

from course import Lab
from course.desk import ConversationWorkflow
from course.history import CannotRead, RemoteCodec, activity_table, fetch, page, questions, read
from course.history.__main__ import main
from course.history.connecting import refused
from course.history.questions import in_words
from course.lab.errors import LabError
from course.lab.server import free_ports
from course.lessons.lesson_12 import TURNS_A_RUN, BoundedWorkflow
from tests.histories.record import Sealed
from tests.histories.recordings import runs

BOUNDED, PLAIN = "bea-1", "ada-1"


@pytest.fixture(scope="module")
async def here(lab: Lab) -> Lab:
    """A lab with a conversation of one run, and one of two."""
    plain = await lab.converse(ConversationWorkflow, "ada")
    await plain.send("Where is order 1042?")
    bounded = await lab.converse(BoundedWorkflow, "bea")
    for _ in range(TURNS_A_RUN + 1):
        await bounded.send("Thank you!")
    assert (plain.id, bounded.id) == (PLAIN, BOUNDED)
    await plain.activities()
    await bounded.activities()
    return lab


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """One that names no server, and no profile of the person who runs this."""
    for name in [name for name in os.environ if name.startswith("TEMPORAL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return monkeypatch


async def program(capsys: Any, *arguments: str) -> tuple[int, str, str]:
    code = await asyncio.to_thread(main, list(arguments))
    return code, *capsys.readouterr()


# A Temporal server


async def test_all_runs_of_a_chain_are_read_from_any_of_them(here: Lab):
    chat = here.conversation(BOUNDED)
    expected = activity_table(await chat.record.histories(), times=True)
    assert expected.run.max() == 2
    [first, second] = [
        run.events[0].workflow_execution_started_event_attributes
        for run in await fetch(BOUNDED, client=here.client)
    ]
    ids = [first.original_execution_run_id, second.original_execution_run_id]
    for run_id in (None, *ids):
        pd.testing.assert_frame_equal(
            activity_table(await fetch(BOUNDED, run_id=run_id, client=here.client), times=True), expected
        )
    for number, run_id in enumerate(ids, start=1):
        [run] = await fetch(BOUNDED, run_id=run_id, one_run=True, client=here.client)
        assert len(activity_table(run)) == list(expected.run).count(number)


async def test_the_program_finds_the_server_as_temporals_own_tools_do(
    here: Lab, environment: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
):
    environment.setenv("TEMPORAL_ADDRESS", here.address)
    code, by_address, said = await program(capsys, "--workflow-id", BOUNDED)
    assert (code, said) == (0, "")
    assert by_address.splitlines()[0] == f"{BOUNDED} · BoundedWorkflow · 2 runs · {TURNS_A_RUN + 1} turns"
    environment.delenv("TEMPORAL_ADDRESS")
    profile = tmp_path / "temporal.toml"
    profile.write_text(f'[profile.production]\naddress = "{here.address}"\nnamespace = "default"\n')
    environment.setenv("TEMPORAL_CONFIG_FILE", str(profile))
    environment.setenv("TEMPORAL_PROFILE", "production")
    assert await program(capsys, "--workflow-id", BOUNDED) == (0, by_address, "")


async def test_a_query_finds_each_workflow_once(here: Lab, environment: pytest.MonkeyPatch, capsys: Any):
    environment.setenv("TEMPORAL_ADDRESS", here.address)
    query = "WorkflowType IN ('BoundedWorkflow', 'ConversationWorkflow')"
    async with asyncio.timeout(20):  # what is listed is known a little after it has happened
        while len([one async for one in here.client.list_workflows(query)]) < 3:
            await asyncio.sleep(0.05)
    code, shown, said = await program(capsys, "--query", query, "--summary", "--json")
    assert (code, said) == (0, "")
    counted = {
        (row["workflow"], row["activity"]): row["times"] for row in map(json.loads, shown.splitlines())
    }
    assert counted["BoundedWorkflow", "invoke_model_activity"] == TURNS_A_RUN + 1
    assert counted["ConversationWorkflow", "look_up_order"] == 1
    with environment.context() as terminal:
        terminal.setattr(sys.stderr, "isatty", lambda: True)
        code, shown, said = await program(capsys, "--query", query, "--summary")
        assert (code, said.split("\r")[-1]) == (0, f"[{20 * '#'}] 3 of 3\n")
        code, shown, said = await program(capsys, "--query", "Nonsense ==", "--summary")
        assert (code, "does not understand the query 'Nonsense =='" in said) == (2, True)
    code, shown, said = await program(capsys, "--query", query)
    heads = [line.split(" · ")[0] for line in shown.splitlines() if " · " in line]
    assert sorted(heads) == [PLAIN, BOUNDED]
    assert await program(capsys, "--query", "WorkflowType='Nobody'") == (
        2,
        "",
        "The query \"WorkflowType='Nobody'\" finds no workflow in namespace 'default'.\n",
    )


async def test_what_is_not_there_gets_a_sentence(here: Lab, environment: pytest.MonkeyPatch, capsys: Any):
    environment.setenv("TEMPORAL_ADDRESS", here.address)
    nobody = f"The Temporal server at {here.address} has no "
    missing = "it never was there, or its retention is over.\n"
    code, shown, said = await program(capsys, "--workflow-id", "nobody")
    assert (code, shown, said) == (2, "", f"{nobody}workflow 'nobody' in namespace 'default': {missing}")
    run_id = "01a2031c-7c3f-7b9f-aa0a-33d8b2be1597"
    code, shown, said = await program(capsys, "--workflow-id", PLAIN, "--run-id", run_id)
    assert (code, said) == (2, f"{nobody}workflow '{PLAIN}', run {run_id} in namespace 'default': {missing}")
    code, shown, said = await program(capsys, "--workflow-id", PLAIN, "--run-id", "nonsense")
    assert (code, "does not understand workflow 'ada-1', run nonsense" in said) == (2, True)
    code, shown, said = await program(capsys, "--query", "Nonsense ==")
    assert (code, "does not understand the query 'Nonsense =='" in said) == (2, True)
    code, shown, said = await program(capsys, "--workflow-id", "")
    assert (code, said.startswith(f"The Temporal server at {here.address} ")) == (2, True)
    environment.setenv("TEMPORAL_NAMESPACE", "nowhere")
    code, shown, said = await program(capsys, "--workflow-id", PLAIN)
    assert (code, said) == (2, f"{nobody}namespace 'nowhere': set TEMPORAL_NAMESPACE.\n")


class Forgetful:
    """A client of a server that has deleted a workflow's first run: a real one takes minutes over it."""

    namespace = "default"

    def __init__(self, kept: dict[str, dict[str, Any]]) -> None:
        self.kept = kept

    def get_workflow_handle(self, id: str, *, run_id: str | None) -> "Forgetful":
        self.asked = run_id or list(self.kept)[-1]
        return self

    async def fetch_history(self) -> WorkflowHistory:
        if self.asked not in self.kept:
            raise RPCError("workflow execution not found", RPCStatusCode.NOT_FOUND, b"")
        return WorkflowHistory.from_json("", self.kept[self.asked])


async def test_a_run_that_the_server_has_deleted_is_left_out_and_missed():
    recorded = runs("continues_as_new")
    ids = [
        run["events"][0]["workflowExecutionStartedEventAttributes"]["originalExecutionRunId"]
        for run in recorded
    ]
    kept = dict(list(zip(ids, recorded, strict=True))[1:])
    found = await fetch("desk", client=Forgetful(kept))  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(activity_table(found), activity_table(recorded[1:]))
    assert f"The run before these, {ids[0]}, is not here" in page(found)


async def test_a_server_that_is_away_gets_a_sentence(
    environment: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
):
    [port] = free_ports(1)
    environment.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{port}")
    code, _, said = await program(capsys, "--workflow-id", "ada")
    assert (code, said.startswith(f"No Temporal server answers at 127.0.0.1:{port} (")) == (2, True)
    environment.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "nowhere.toml"))
    code, _, said = await program(capsys, "--workflow-id", "ada")
    assert (code, "and there is no such file." in said) == (2, True)
    broken = tmp_path / "broken.toml"
    broken.write_text("[profile")
    environment.setenv("TEMPORAL_CONFIG_FILE", str(broken))
    code, _, said = await program(capsys, "--workflow-id", "ada")
    assert (code, said.startswith("The Temporal configuration cannot be read: ")) == (2, True)


async def test_a_server_that_does_not_permit_it_gets_a_sentence(here: Lab):
    for status in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED):
        error = refused(RPCError("Request unauthorized.", status, b""), here.client, "workflow 'ada'")
        assert isinstance(error, CannotRead)
        assert "does not let you read workflow 'ada' in namespace 'default': Request unauthorized." in str(
            error
        )


async def test_a_conversation_of_a_lab_answers_the_four_questions(here: Lab):
    chat = here.conversation(PLAIN)
    table = await chat.questions()
    pd.testing.assert_frame_equal(table, in_words(questions(await chat.record.histories())))
    one = await chat.questions("send_notification", "look_up_order")
    assert list(one.activity) == ["look_up_order", "send_notification"]
    assert list(one["who decides that it runs?"]) == ["agent", "workflow"]
    assert one["who decides with which arguments?"][0] == "code, model"  # for whom, and which
    assert one["may the reply wait for it?"][1].startswith("no: ")
    with pytest.raises(LabError, match=f"{PLAIN} has no refund, but .*look_up_order, save_to_database"):
        await chat.questions("look_up_order", "refund")


# A codec server


class CodecServer(ThreadingHTTPServer):
    """As Temporal documents one: POST /decode, payloads as JSON."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict[str, str]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.server.asked.append({"path": self.path, **{k.lower(): v for k, v in self.headers.items()}})
        given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["payloads"]
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", f"{self.server.url}/decode")
            return self.end_headers()
        if self.path.startswith("/nonsense"):
            return self.answer(b"<html>")
        if self.path.startswith("/fewer"):
            return self.answer(json.dumps({"payloads": given[1:]}).encode())
        if self.headers.get("Authorization") != "Bearer key":
            return self.send_error(403)
        payloads = [
            Payload(
                metadata={name: base64.b64decode(value) for name, value in one["metadata"].items()},
                data=base64.b64decode(one.get("data", "")),
            )
            for one in given
        ]
        opened = asyncio.run(Sealed().decode(payloads))
        coded = [
            {
                "metadata": {name: base64.b64encode(value).decode() for name, value in one.metadata.items()},
                "data": base64.b64encode(one.data).decode(),
            }
            for one in opened
        ]
        return self.answer(json.dumps({"payloads": coded}).encode())

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *about: Any) -> None:
        pass


@pytest.fixture
def codec_server() -> Iterator[CodecServer]:
    with CodecServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def sealed(tmp_path: Path) -> str:
    file = tmp_path / "sealed.json"
    file.write_text(json.dumps(runs("sealed")))
    return str(file)


async def test_a_codec_makes_an_encrypted_history_readable(
    codec_server: CodecServer, sealed: str, environment: pytest.MonkeyPatch, capsys: Any
):
    decided = list(activity_table(runs("both_hands")).decided_by)
    assert list(activity_table(read(sealed, codec=Sealed())).decided_by) == decided
    remote = RemoteCodec(codec_server.url, "desks", {"Authorization": "Bearer key"})
    assert list(activity_table(read(sealed, codec=remote)).decided_by) == decided
    environment.setenv("http_proxy", "http://127.0.0.1:9")  # not asked for what is on this machine
    asked = [
        "--codec-endpoint",
        codec_server.url + "/",
        "--codec-auth",
        "Bearer key",
        "--codec-header",
        "X-Team=desk",
    ]
    code, shown, said = await program(capsys, sealed, "--json", *asked)
    assert (code, said) == (0, "")
    assert [json.loads(line)["decided_by"] for line in shown.splitlines()] == decided
    assert codec_server.asked[0]["x-namespace"] == "desks"
    last = codec_server.asked[-1]
    assert (last["path"], last["content-type"], last["x-namespace"], last["x-team"]) == (
        "/decode",
        "application/json",
        "default",
        "desk",
    )
    environment.setenv("TEMPORAL_CODEC_ENDPOINT", codec_server.url)
    environment.setenv("TEMPORAL_CODEC_AUTH", "Bearer key")
    assert (await program(capsys, sealed, "--json"))[:2] == (0, shown)


async def test_a_codec_that_cannot_be_used_gets_a_sentence(
    codec_server: CodecServer, sealed: str, environment: pytest.MonkeyPatch, capsys: Any
):
    [port] = free_ports(1)
    for endpoint, sentence in (
        (codec_server.url, "answered 403 Forbidden: the payloads stay encoded."),
        (f"{codec_server.url}/nonsense", "answered with something else than payloads."),
        (f"{codec_server.url}/fewer", "they cannot be told apart."),
        (f"{codec_server.url}/moved", "answered 302 Found: the payloads stay encoded."),
        (
            f"http://127.0.0.1:{port}",
            "does not answer ([Errno 111] Connection refused): the payloads stay encoded.",
        ),
        ("codec.example", "is no URL: write it as in http://localhost:8081."),
        ("file:///etc", "is no URL: write it as in http://localhost:8081."),
    ):
        code, shown, said = await program(capsys, sealed, "--codec-endpoint", endpoint)
        assert (code, shown) == (2, "")
        assert said.endswith(f"{sentence}\n")
