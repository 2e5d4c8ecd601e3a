"""The choice of a model, its errors, and the endpoint, with the real OpenAI client and a real Temporal server."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import httpx2
import openai
import pytest
from agents import Agent, Model, OpenAIProvider, RunConfig, Runner
from pydantic import BaseModel
from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.openai_agents import ModelActivityParameters, OpenAIAgentsPlugin
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment
from temporalio.worker import Worker

from course.models import Fails, Mistakes, ModelEndpoint, ModelError, OfflineModel, model_provider
from course.models.live import GuardedModel
from course.models.wire import status_error
from tests import dev_server
from tests.offline_agents import ask, look_up_order

KEY = "sk-proj-Secret-0123456789abcdef"


class Decision(BaseModel):
    reply: str
    sure: bool


class BrokenModel(OfflineModel):
    """Raises what it was given."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    async def get_response(self, *args: Any, **kwargs: Any) -> Any:
        self.attempts += 1
        raise self.error


async def attempt(model: Model, number: int = 1) -> Any:
    environment = ActivityEnvironment()
    environment.info = replace(ActivityEnvironment.default_info(), attempt=number)
    return await environment.run(ask, model)


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return KEY


# The choice


async def test_nothing_means_the_offline_model_whatever_the_environment_holds(key: str) -> None:
    chosen, provider = model_provider()
    assert isinstance(chosen, OfflineModel)
    await ask(provider.get_model(None))
    await ask(provider.get_model("gpt-4.1"))
    assert chosen.calls == 2


async def test_any_model_is_taken_as_it_is() -> None:
    mine = OfflineModel(script=["mine"])
    chosen, provider = model_provider(mine)
    assert chosen is mine
    assert (await ask(provider.get_model("whatever"))).output[0].content[0].text == "mine"


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (OfflineModel, r"OfflineModel is a class: give an instance, model=OfflineModel\(…\)"),
        (3, "takes nothing .the offline model., an agents.Model, or a live model's name, not int"),
        ("", "names no model"),
        ("gpt-4.1", "OPENAI_API_KEY is not set: set it"),
    ],
)
def test_what_is_no_model_is_refused_with_what_to_do(model: Any, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        model_provider(model)


@pytest.mark.parametrize("bad", ["  ", "sk-é", "sk-a\nb"])
def test_an_unusable_key_is_refused_and_not_shown(bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", bad)
    with pytest.raises(ModelError, match="OPENAI_API_KEY") as refused:
        model_provider("gpt-4.1")
    assert bad.strip() == "" or bad not in str(refused.value)


async def test_a_name_speaks_to_the_endpoint_and_an_agents_own_name_wins(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ModelEndpoint(OfflineModel()) as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        chosen, provider = model_provider("gpt-test")
        assert chosen == "gpt-test"
        endpoint.fail_next(500)
        with pytest.raises(openai.InternalServerError):  # the client itself does not try again: Temporal does
            await ask(provider.get_model(None))
        assert (endpoint.requests, endpoint.failed) == (0, 1)
        await ask(provider.get_model(None))
        assert endpoint.requests == 1
        assert provider.get_model(None)._model.model == "gpt-test"
        assert provider.get_model("their-own")._model.model == "their-own"
        await provider.aclose()


# Errors


@pytest.mark.parametrize(
    "error",
    [
        status_error(429, "slow down"), status_error(403, "no"), openai.APITimeoutError(httpx2.Request("POST", "http://x")),
        ConnectionResetError("gone"), TimeoutError("late"), ApplicationError("mine", type="Mine"),
        asyncio.CancelledError(),
    ],
)  # fmt: skip
async def test_what_may_come_back_and_cancellation_are_left_as_they_are(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised:
        await attempt(GuardedModel(BrokenModel(error)), 50)
    assert raised.value is error


async def test_broken_code_is_given_up_at_the_fourth_attempt() -> None:
    guarded = GuardedModel(BrokenModel(KeyError("choices")))
    for number in (1, 2, 3):
        with pytest.raises(KeyError):
            await attempt(guarded, number)
    with pytest.raises(
        ApplicationError, match="own code failed 4 times and was given up: KeyError: 'choices'"
    ) as last:
        await attempt(guarded, 4)
    assert (last.value.non_retryable, last.value.type) == (True, "KeyError")
    with pytest.raises(KeyError):  # outside an activity, Python's own ways
        await ask(guarded)


async def test_streams_are_guarded_too(key: str) -> None:
    class Breaks(OfflineModel):
        async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            yield "one event"
            raise RuntimeError(f"Bearer {KEY}")

    events = GuardedModel(Breaks()).stream_response()
    assert await anext(events) == "one event"
    with pytest.raises(RuntimeError, match=r"Bearer \[key\]"):
        await anext(events)


async def test_no_key_is_in_an_error(key: str) -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            return f"odd {KEY}"

    masked = status_error(401, "Incorrect API key provided: sk-proj-****cdef.")
    inner = RuntimeError("outer")
    inner.__cause__ = ValueError(f"deep {KEY}", {"headers": [KEY]})
    odd_inside = RuntimeError("outer")
    odd_inside.__cause__ = Odd()
    carried = status_error(401, f"who is {KEY}?")
    carried.body = {"message": f"who is {KEY}?"}
    plain = ApplicationError(f"a {KEY}", {"key": KEY}), OSError(5, f"b {KEY}")
    for error in (masked, inner, carried, Odd(), odd_inside, *plain):
        with pytest.raises(Exception) as raised:  # noqa: PT011 (all of them)
            await ask(GuardedModel(BrokenModel(error)))
        shown, one = "", raised.value
        while one is not None:
            shown += f"{one!r} {one} {vars(one)}"
            one = one.__cause__
        assert "cdef" not in shown, shown
        hidden = isinstance(error, Odd) or error is odd_inside
        assert isinstance(raised.value, ApplicationError if hidden else type(error))


async def test_null_for_an_empty_list_does_not_reach_the_next_turn() -> None:
    class Nulls(OfflineModel):
        async def get_response(self, *args: Any, **kwargs: Any) -> Any:
            answer = await super().get_response(*args, **kwargs)
            answer.output[0].content[0].logprobs = None
            return answer

    answer = await ask(GuardedModel(Nulls()))
    assert answer.output[0].content[0].logprobs == []


# The endpoint


async def test_a_real_client_gets_tools_typed_output_and_usage() -> None:
    with ModelEndpoint(OfflineModel()) as endpoint:
        client = openai.AsyncOpenAI(api_key="x", base_url=endpoint.url)
        provider = OpenAIProvider(openai_client=client)
        config = RunConfig(model_provider=provider, model="some-name")
        agent = Agent(name="Desk", tools=[look_up_order])
        result = await Runner.run(agent, "Where is order 1042?", run_config=config)
        assert "Order 1042: 1 × Monstera, 34.00 EUR, shipped." in result.final_output
        assert endpoint.requests == 2
        assert result.context_wrapper.usage.total_tokens > 100
        typed = await Runner.run(Agent(name="Typed", output_type=Decision), "Hello", run_config=config)
        assert typed.final_output.reply.startswith("Hello!")
        colleague = Agent(name="Orders", handoff_description="Orders", tools=[look_up_order])
        handed = await Runner.run(
            Agent(name="Front", handoffs=[colleague]), "Where is order 1042?", run_config=config
        )
        assert handed.last_agent.name == "Orders"
        streamed = Runner.run_streamed(agent, "Where is order 1042?", run_config=config)
        assert [event async for event in streamed.stream_events()]
        assert streamed.final_output == result.final_output
        await client.close()


async def test_failures_on_demand_with_the_providers_own_delay() -> None:
    with ModelEndpoint(OfflineModel(mistakes=Mistakes(refuse=1))) as endpoint:
        endpoint.fail_next(429, retry_after_ms=250)
        endpoint.fail_next(503, times=2)
        async with httpx2.AsyncClient() as client:
            answers = [await client.post(f"{endpoint.url}/responses", json={"input": "Hi"}) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [429, 503, 503, 403]
        assert answers[0].headers["retry-after-ms"] == "250"
        assert "simulated" in answers[0].json()["error"]["message"]
        assert (endpoint.requests, endpoint.failed) == (0, 4)


async def test_it_survives_bad_requests_and_clients_that_leave(capfd: pytest.CaptureFixture[str]) -> None:
    with ModelEndpoint(OfflineModel()) as endpoint:
        port = httpx2.URL(endpoint.url).port
        cut_off = b"POST /v1/responses HTTP/1.1\r\ncontent-length: 9\r\n\r\n{"
        for piece in (b"", cut_off, b"\0\xff" * 99 + b"\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(piece)
        async with httpx2.AsyncClient() as client:
            tool = b'{"input": [], "tools": [{"type": "function"}]}'
            for body in (b"", b"{", b"[]", b"{}", b'{"input": 3}', tool, b"\xff"):
                answer = await client.post(f"{endpoint.url}/responses", content=body)
                assert answer.status_code in (400, 500)
                assert answer.json()["error"]["message"]
            assert (await client.get(endpoint.url)).status_code == 404
            assert (await client.post(f"{endpoint.url}/chat/completions", json={})).status_code == 404
            fine = await client.post(f"{endpoint.url}/responses", content=b'{"input": "\\ud800 \\u0000"}')
            assert fine.status_code == 200
        assert endpoint.requests == 1
    assert capfd.readouterr() == ("", "")
    with pytest.raises(RuntimeError, match="not running"):
        _ = endpoint.url


# On Temporal


@workflow.defn(sandboxed=False)  # the sandbox would import this module, clients and all, once more
class TwoTurns:
    @workflow.run
    async def run(self) -> list[str]:
        agent = Agent(name="Desk")
        first = await Runner.run(agent, "Where is order 1042?")
        items = [*first.to_input_list(), {"role": "user", "content": "What did I ask first?"}]
        second = await Runner.run(agent, items)
        return [first.final_output, second.final_output]


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[WorkflowEnvironment]:
    async with await dev_server.start() as environment:
        yield environment


async def run(server: WorkflowEnvironment, model: Any, workflow_id: str) -> tuple[Any, str, list[int]]:
    """What the workflow returned or raised, its history as text, and the attempts of its activities."""
    quick = RetryPolicy(initial_interval=timedelta(milliseconds=5), backoff_coefficient=1, maximum_attempts=6)
    params = ModelActivityParameters(start_to_close_timeout=timedelta(seconds=10), retry_policy=quick)
    _, provider = model_provider(model)
    plugin = OpenAIAgentsPlugin(model_params=params, model_provider=provider)
    client = Client(**server.client.config() | {"plugins": [plugin]})
    async with Worker(client, task_queue=workflow_id, workflows=[TwoTurns]):
        handle = await client.start_workflow(TwoTurns.run, id=workflow_id, task_queue=workflow_id)
        with anyio.fail_after(30):
            try:
                result: Any = await handle.result()
            except WorkflowFailureError as error:
                result = error
        history = await handle.fetch_history()
    await provider.aclose()
    attempts = [e.activity_task_started_event_attributes.attempt for e in history.events]
    return result, history.to_json(), [n for n in attempts if n]


async def test_retries_replay_the_step_and_memory_survives_the_journey(server: WorkflowEnvironment) -> None:
    model = OfflineModel(script=[Fails(2, "It is on its way.")])
    result, _, attempts = await run(server, model, "retried")
    assert result == ["It is on its way.", "Your first message was: “Where is order 1042?”"]
    assert attempts == [3, 1]
    assert (model.calls, model.attempts) == (2, 4)


async def test_a_refusal_is_final_and_broken_code_ends_at_attempt_four(server: WorkflowEnvironment) -> None:
    refused = OfflineModel(mistakes=Mistakes(refuse=1))
    result, _, attempts = await run(server, refused, "refused")
    assert isinstance(result, WorkflowFailureError)
    assert attempts == [1]
    broken = BrokenModel(KeyError("choices"))
    result, text, _ = await run(server, broken, "broken")
    assert isinstance(result, WorkflowFailureError)
    assert "own code failed 4 times" in text
    assert broken.attempts == 4


async def test_a_live_model_is_retried_and_its_key_is_in_no_history(
    server: WorkflowEnvironment, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ModelEndpoint(OfflineModel(script=["Shipped."])) as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        endpoint.fail_next(429)
        endpoint.fail_next(500)
        result, text, attempts = await run(server, "gpt-test", "live")
        assert (result[0], attempts, endpoint.requests) == ("Shipped.", [3, 1], 2)
        assert KEY not in text
    leaky = BrokenModel(status_error(401, f"Incorrect API key provided: {KEY}"))
    result, text, _ = await run(server, leaky, "leaky")
    assert isinstance(result, WorkflowFailureError)
    assert KEY not in text
    assert "provided: [key]" in json.dumps(json.loads(text), ensure_ascii=False)
