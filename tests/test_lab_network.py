"""Who talks to whom: an offline lab to nobody, a live model's lab to its endpoint, and the key to no record."""

import asyncio
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from agents import OpenAIChatCompletionsModel
from openai import AsyncOpenAI
from temporalio.client import WorkflowFailureError

from course import Lab, LabError
from course.desk import ConversationWorkflow
from course.desk.answering import APOLOGY
from course.desk.plugin import MODEL_CALLS
from course.lab.server import ENVIRONMENT, temporal_binary
from course.models import Answer, LoopbackServer, ModelEndpoint, OfflineModel, Request
from tests.lab_helpers import attempts, attributes, until, works
from tests.lab_strangers import AsksOnce
from tests.proxy import Proxy

KEY = "sk-proj-NeverOnRecord-0123456789abcdef"

# Python's own connections are seen by an audit hook, none missed; the native client's and the server's by looking
# at their sockets all the time.
WATCHED = """
    import asyncio, json, sys, threading
    import psutil

    seen, listening, stop = set(), set(), threading.Event()

    def hook(event, arguments):
        if event == "socket.connect":
            seen.add(str(arguments[1][0]))
        elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
            seen.add(str(arguments[0]))

    def look():
        me = psutil.Process()
        for process in [me, *me.children(recursive=True)]:
            try:
                for one in process.net_connections():
                    if one.raddr:
                        seen.add(one.raddr.ip)
                    if one.status == "LISTEN":
                        listening.add(one.laddr.ip)
            except psutil.Error:
                pass

    def watch():
        while not stop.wait(0.3):
            look()

    sys.addaudithook(hook)
    threading.Thread(target=watch, daemon=True).start()
    from agents.tracing import flush_traces
    from course import Lab
    from course.desk import ConversationWorkflow
    from course.lessons.lesson_02 import ToolsWorkflow
    from course.lessons.lesson_04 import DutyAsToolWorkflow

    async def main():
        async with await Lab.start() as lab:
            assert type(lab.model).__name__ == "OfflineModel"
            for workflow in (ConversationWorkflow, ToolsWorkflow, DutyAsToolWorkflow):
                chat = await lab.converse(workflow, "ada")
                for text in ("Where is order 1042?", "Do you have a Ficus?", "Thanks"):
                    await chat.send(text)
                await chat.close()
            flush_traces()  # if there are any
            look()

    asyncio.run(main())
    stop.set()
    before = sorted(seen)

    import socket
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:  # would the watch have seen it?
        one.connect(("192.0.2.1", 9))
    print(json.dumps([before, sorted(seen - set(before)), sorted(listening)]))
"""


LOOPBACK = {"127.0.0.1", "::1", "localhost", "::ffff:127.0.0.1"}


def test_an_offline_lab_talks_to_nobody_with_a_key_and_proxies_in_the_environment() -> None:
    proxy = Proxy()
    environment = {**os.environ, "OPENAI_API_KEY": KEY, **proxy.variables(socks=True)}
    environment.pop("OPENAI_AGENTS_DISABLE_TRACING")  # the lab sees to it
    command = [sys.executable, "-c", textwrap.dedent(WATCHED)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert proxy.heard == []
    seen, seen_later, listening = json.loads(done.stdout)
    assert seen_later == ["192.0.2.1"]
    assert "127.0.0.1" in seen
    assert set(seen) <= LOOPBACK
    assert listening
    assert set(listening) <= LOOPBACK


def test_the_server_reads_every_variable_that_the_lab_sets() -> None:
    """It ignores one that it does not know, and then asks the network, too briefly for the watch above to see it."""
    binary = temporal_binary().read_bytes()
    assert [name for name in ENVIRONMENT if name.encode() not in binary] == []


# A live model, by name


class Endpoint(LoopbackServer):
    """Speaks the Responses API as other makers' endpoints do: with null where OpenAI sends an empty list."""

    def __init__(self) -> None:
        super().__init__(self.reply)
        self.statuses: list[int] = []
        self.keys: list[str | None] = []
        self.bodies: list[dict[str, Any]] = []

    def reply(self, request: Request) -> Answer:
        key = request.headers["authorization"]
        self.bodies.append(request.body)
        self.keys.append(key)
        status = self.statuses.pop(0) if self.statuses else 200
        refusal = {"message": f"Status {status} for {key}", "type": "x", "code": None, "param": None}
        return Answer(status, reply_to(request.body) if status == 200 else {"error": refusal})


def reply_to(body: dict[str, Any]) -> dict[str, Any]:
    said = sum(item.get("role") == "user" for item in body["input"])
    looked_up = any(item.get("type") == "function_call_output" for item in body["input"])
    if said == 1 and not looked_up:
        output: list[dict[str, Any]] = [
            {"type": "reasoning", "id": "rs_1", "summary": [], "content": None, "encrypted_content": None, "status": None},
            {
                "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look_up_order",
                "arguments": '{"order_id": "1042"}', "status": "completed",
            },
        ]  # fmt: skip
    else:
        part = {"type": "output_text", "text": f"Answer {said}.", "annotations": None, "logprobs": None}
        output = [
            {"type": "message", "id": f"msg_{said}", "role": "assistant", "status": "completed", "content": [part]}
        ]  # fmt: skip
    return {
        "id": f"resp_{said}", "object": "response", "created_at": 0, "model": body["model"], "status": "completed",
        "output": output, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None,
        "usage": {
            "input_tokens": 1234, "output_tokens": 56, "total_tokens": 1290,
            "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 7},
        },
    }  # fmt: skip


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    server = Endpoint()
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    yield server
    server.stop()


async def test_a_live_model_is_retried_answers_and_its_key_is_on_no_record(
    endpoint: Endpoint, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with await Lab.start(model="gpt-test", ui=False) as lab:
        chat = await lab.converse(ConversationWorkflow, "ada")
        endpoint.statuses += [429, 500]
        for number, text in enumerate(("Where is order 1042?", "And now?", "Thanks"), 1):
            assert await chat.send(text) == f"Answer {number}."
        endpoint.statuses.append(401)
        assert await chat.send("Is my key still good?") == APOLOGY
        assert await chat.send("Again") == "Answer 4."  # what failed is not in the memory
        await chat.close()

        assert len(endpoint.bodies) == 2 + 4 + 1 + 1
        assert set(endpoint.keys) == {f"Bearer {KEY}"}
        assert {body["model"] for body in endpoint.bodies} == {"gpt-test"}
        outputs = [item["output"] for item in endpoint.bodies[3]["input"] if "output" in item]
        assert outputs == ["Order 1042: 1 × Monstera, 34.00 EUR, shipped."]
        history = await chat.history()
        models = [n for name, n in attempts(history) if name == "invoke_model_activity"]
        assert models == [3, 1, 1, 1, 1, 1]
        assert usages(history) == [{"input_tokens": 1234, "output_tokens": 56, "total_tokens": 1290}] * 5
        assert list(lab.table("turns")["outcome"]) == ["answered"] * 3 + ["apologised", "answered"]

        record = [history.to_json(), (await chat.transcript()).to_dict(), (await chat.activities()).to_dict()]
        record += [lab.table(name).to_dict() for name in ("turns", "batches", "reports", "tool_calls")]
        record += [lab.inbox().to_dict(), [file.read_text() for file in lab.reports.iterdir()]]
        files = [file for file in Path(lab.world.folder).rglob("*") if file.is_file()]
        record += [file.read_bytes().decode(errors="replace") for file in files]
    printed = "".join(capfd.readouterr())
    for kept in (str(record), printed, caplog.text):
        assert KEY not in kept
        assert KEY[8:] not in kept
    assert "Status 401 for Bearer [key]" in history.to_json().replace("\\u005b", "[")


def usages(history: Any) -> list[dict[str, int]]:
    completed = attributes(history, "activity_task_completed")
    results = [json.loads(one.result.payloads[0].data) for one in completed]
    found = [result["usage"] for result in results if isinstance(result, dict) and "usage" in result]
    return [
        {name: usage[name] for name in ("input_tokens", "output_tokens", "total_tokens")} for usage in found
    ]


async def test_a_slow_live_model_is_told_from_a_broken_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with ModelEndpoint(OfflineModel(), seconds=3) as slow:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", slow.url)
        hasty = replace(MODEL_CALLS, start_to_close_timeout=timedelta(seconds=2))
        async with await Lab.start(model="gpt-test", model_calls=hasty, ui=False) as lab:
            chat = await lab.converse(ConversationWorkflow, "patient")
            with pytest.raises(LabError) as early:
                await chat.send("Hello", timeout=1)
            async with asyncio.timeout(20):
                while (await chat.pending()).attempt[0] < 2:
                    await asyncio.sleep(0.05)
            with pytest.raises(LabError) as late:
                await chat.send("Are you there?", timeout=0.2)
            slow.seconds = 0
            await chat.send("And now?")  # no turn is under way when the lab ends
    assert "The model is still at work. Nothing is lost" in str(early.value)
    assert "did not answer within the time that one call may take" in str(late.value)
    for error in (early, late):
        assert "`await chat.send(…, timeout=120)`" in str(error.value)
        assert "model_calls=replace(MODEL_CALLS, start_to_close_timeout=" in str(error.value)
        assert "fast_forward" not in str(error.value)


async def test_a_provider_is_asked_no_more_when_a_model_call_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workflows = [ConversationWorkflow, AsksOnce]
    with ModelEndpoint(OfflineModel(), seconds=2) as provider:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", provider.url)
        async with await Lab.start(model="gpt-test", workflows=workflows, ui=False) as lab:
            desk, once = [await lab.converse(workflow, "ada") for workflow in workflows]
            reply = desk.begin("Hello!")
            await until(lambda: provider._under_way == 2, "two requests under way")
            for cancelled in (desk, once):
                await cancelled.handle.cancel()
                with pytest.raises(WorkflowFailureError):
                    await cancelled.handle.result()
            with pytest.raises(LabError):
                await reply
            provider.seconds = 0
            await works(await lab.converse(ConversationWorkflow, "ben"))
    assert provider.requests == 2 + 2  # the two that nobody waited for, and ben's turn


async def test_an_endpoint_for_chat_completions_only_says_how_to_hand_it_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    message = {"role": "assistant", "content": "In the words of another API."}
    reply = {
        "id": "chat-1", "object": "chat.completion", "created": 0, "model": "local",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
    }  # fmt: skip
    answers = {"/v1/chat/completions": Answer(200, reply)}
    server = LoopbackServer(lambda request: answers.get(request.path, Answer(404, {"detail": "Not Found"})))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    async with await Lab.start(model="local", ui=False) as lab:
        chat = await lab.converse(ConversationWorkflow, "by-name")
        assert await chat.send("Hello") == APOLOGY
        failure = (await chat.activities(times=True)).failure[0]
        assert "127.0.0.1 does not take POST /v1/responses: HTTP 404." in failure
        assert "model=OpenAIChatCompletionsModel('the model', AsyncOpenAI(max_retries=0))" in failure
    model = OpenAIChatCompletionsModel("local", AsyncOpenAI(max_retries=0))
    async with await Lab.start(model=model, ui=False) as lab:
        chat = await lab.converse(ConversationWorkflow, "as-a-model")
        assert await chat.send("Hello") == message["content"]
    server.stop()
