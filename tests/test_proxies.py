"""Proxies that the environment names: what is on this machine goes past them, what is elsewhere goes through.

Lessons 01, 05 and 08 run with one in their kernels' environment: see conftest.py.
"""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from agents import Model, ModelSettings, ModelTracing

from course.desk.services import Database, Mail, Services, Shop, Webhook
from course.lab.outages import Failures, in_place_of
from course.lab.receivers import WebhookReceiver
from course.models import (
    Answer,
    LoopbackServer,
    ModelEndpoint,
    ModelError,
    OfflineModel,
    Request,
    model_provider,
)
from course.models.wire import as_response
from tests.proxy import Proxy


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    listening = Proxy()
    for name, value in listening.variables().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-a-key")
    yield listening
    listening.close()


async def ask(model: Model) -> Any:
    return await model.get_response(
        None, "Hello", ModelSettings(), [], None, [], ModelTracing.DISABLED,
        previous_response_id=None, conversation_id=None, prompt=None,
    )  # fmt: skip


def test_who_trusts_the_environment_is_heard(proxy: Proxy) -> None:
    with pytest.raises(httpx2.HTTPError):
        httpx2.get("http://127.0.0.1:9/words-of-a-customer")
    assert proxy.heard == ["b'GET http://127.0.0.1:9/words-of-a-customer HTTP/1.1'"]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_a_model_on_this_machine_is_asked_past_the_proxy(
    proxy: Proxy, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ModelEndpoint(OfflineModel()) as endpoint:
        for variable, value in proxy.variables(socks=True).items():  # a client that listens to these fails
            monkeypatch.setenv(variable, value)
        await ask(endpoint.client())
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url.replace("127.0.0.1", name))
        _, provider = model_provider("local-model")
        await ask(provider.get_model(None))
        await provider.aclose()
        assert endpoint.requests == 2
    assert proxy.heard == []


def test_an_endpoint_excepts_itself_for_programs_that_know_nothing_of_it(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy")
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    for _ in range(2):
        with ModelEndpoint(OfflineModel()) as endpoint:
            assert httpx2.get(endpoint.url).status_code == 404
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == "intranet.example,127.0.0.1"
    assert proxy.heard == []


@pytest.fixture
async def elsewhere(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[str]]:
    """What a proxy that does its work was asked for; a model is behind it."""
    asked: list[str] = []
    reply = as_response(await ask(OfflineModel(script=["Through the proxy."]))).model_dump(mode="json")

    def answer(request: Request) -> Answer:
        asked.append(request.path)
        return Answer(200, reply)

    server = LoopbackServer(answer)
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-a-key")
    yield asked
    server.stop()


async def test_a_model_elsewhere_is_asked_through_the_proxy(
    elsewhere: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://models.example/v1")
    _, provider = model_provider("live-model")
    answer = await ask(provider.get_model(None))
    await provider.aclose()
    assert answer.output[0].content[0].text == "Through the proxy."
    assert elsewhere == ["http://models.example/v1/responses"]


async def test_a_notice_goes_past_the_proxy_or_through_it_as_its_receiver_is_here_or_elsewhere(
    elsewhere: list[str],
) -> None:
    receiver = WebhookReceiver()
    Webhook(receiver.url).post("1", "Here")
    Webhook("http://chat.example/hook", field="content").post("2", "Elsewhere")
    receiver.stop()
    assert receiver.posts == [{"text": "Here"}]
    assert elsewhere == ["http://chat.example/hook"]


def test_a_live_model_behind_a_socks_proxy_says_what_is_missing(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in proxy.variables(socks=True).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://models.example/v1")
    with pytest.raises(ModelError, match="names a SOCKS proxy.*pip install socksio"):
        model_provider("live-model")


class Discord(Webhook):
    """A reader's own."""


async def test_an_outage_keeps_a_readers_own_webhook(tmp_path: Path, proxy: Proxy) -> None:
    receiver, failures = WebhookReceiver(), Failures(tmp_path)
    database = Database(f"sqlite:///{tmp_path / 'desk.db'}")
    mine = Discord(receiver.url, field="content")
    services = Services(database, Shop(database), Mail("127.0.0.1", 25), mine, tmp_path)
    await failures.begin(None, "webhook", hours=None, permanent=False, silent=False)
    refusing = in_place_of(services, {"webhook": failures.read()[0]}).webhook
    assert (type(refusing), refusing.field) == (Discord, "content")
    with pytest.raises(httpx2.HTTPStatusError, match="503"):
        refusing.post("1", "Out")
    mine.post("1", "Back")
    assert receiver.posts == [{"content": "Back"}]
    await failures.stop()
    receiver.stop()
    database.close()
    assert proxy.heard == []
