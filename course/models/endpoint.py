"""A model behind HTTP: an endpoint on this machine that speaks the OpenAI Responses API."""

import asyncio
import json
import threading
import time
from contextlib import suppress
from typing import Any

from agents import AgentOutputSchemaBase, FunctionTool, Model, ModelSettings, ModelTracing, OpenAIProvider
from openai import APIStatusError

from .live import openai_client
from .serving import Answer, LoopbackServer, Request, keep_proxies_away
from .wire import as_response, events_of


def model_at(url: str) -> Model:
    """A model that asks the endpoint at this URL, once for each attempt: retries are Temporal's."""
    provider = OpenAIProvider(openai_client=openai_client("none", url), use_responses=True)
    return provider.get_model("behind-http")


class ModelEndpoint:
    """Serves any `agents.Model` at `url`, from threads of this process, to clients in any process.

    `requests` counts the answers that it gave: the provider's own counter. Use it as a context manager, or
    call `start()` and `stop()`. An answer takes `seconds` at least, as a live model's does (simulated): a
    client that has left by then has caused the work all the same.
    """

    def __init__(self, model: Model, seconds: float = 0) -> None:
        self.model = model
        self.seconds = seconds
        self.requests = 0  # answered
        self.failed = 0  # answered with an error
        self._failures: list[Answer] = []
        self._under_way = 0
        self._at_rest = threading.Condition()
        self._server: LoopbackServer | None = None

    @property
    def url(self) -> str:
        """The base URL, for `OPENAI_BASE_URL`."""
        if self._server is None:
            raise RuntimeError("The endpoint is not running: call start() first.")
        return f"{self._server.url}/v1"

    def client(self) -> Model:
        """A model that asks this endpoint."""
        return model_at(self.url)

    def fail_next(self, status: int, times: int = 1, retry_after_ms: int | None = None) -> None:
        """The next `times` requests get this HTTP status, with a `retry-after-ms` header if given."""
        headers = {} if retry_after_ms is None else {"retry-after-ms": str(retry_after_ms)}
        self._failures += [_error(status, f"Status {status}, as told (simulated).", headers)] * times

    def start(self) -> "ModelEndpoint":
        keep_proxies_away()
        self._server = self._server or LoopbackServer(self._take)
        return self

    def stop(self) -> None:
        """Takes no more requests, and lets the answers under way be finished and counted."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()
            with self._at_rest:
                self._at_rest.wait_for(lambda: not self._under_way, timeout=self.seconds + 5)

    __enter__ = start

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _take(self, request: Request) -> Answer:
        with self._at_rest:
            self._under_way += 1
        answer = self._answer(request)
        with self._at_rest:  # counted before it is sent: the work is done, whoever still listens
            self._under_way -= 1
            self.requests += answer.status == 200
            self.failed += answer.status != 200
            self._at_rest.notify_all()
        return answer

    def _answer(self, request: Request) -> Answer:
        body = request.body
        if request.path.split("?")[0].rstrip("/") != "/v1/responses":
            return _error(404, f"Nothing here at {request.path}: this endpoint speaks POST /v1/responses.")
        if not isinstance(body, dict) or "input" not in body:
            return _error(400, "The request's body is not a JSON object with an input.")
        time.sleep(self.seconds)
        with suppress(IndexError):
            return self._failures.pop(0)
        try:
            answer = asyncio.run(self.model.get_response(**_arguments(body)))
            response = as_response(answer, str(body.get("model")))
        except APIStatusError as error:
            return _error(error.status_code, str(error))
        except Exception as error:  # a client can read an answer, and not a server that died
            return _error(500, f"The model failed: {type(error).__name__}: {error}")
        if not body.get("stream"):
            return Answer(200, response.model_dump(mode="json", exclude_none=True))
        stream = "".join(
            f"event: {e.type}\ndata: {e.model_dump_json(exclude_none=True)}\n\n" for e in events_of(response)
        )
        return Answer(200, stream.encode(), {"content-type": "text/event-stream"})  # all of it in one piece


class _Schema(AgentOutputSchemaBase):
    """The output type that a request describes."""

    def __init__(self, wanted: dict[str, Any]) -> None:
        self._wanted = wanted

    def is_plain_text(self) -> bool:
        return False

    def name(self) -> str:
        return str(self._wanted.get("name", "output"))

    def json_schema(self) -> dict[str, Any]:
        return self._wanted.get("schema") or {}

    def is_strict_json_schema(self) -> bool:
        return bool(self._wanted.get("strict"))

    def validate_json(self, json_str: str) -> Any:
        return json.loads(json_str)


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Answer:
    error = {"message": message, "type": "model_endpoint_error", "code": None, "param": None}
    return Answer(status, {"error": error}, headers or {})


def _arguments(body: dict[str, Any]) -> dict[str, Any]:
    """A request in the terms of `agents.Model`. Handoffs arrive as function tools named transfer_to_…"""

    async def unused(*_: Any) -> str:
        return ""

    functions = [t for t in body.get("tools") or [] if t.get("type") == "function"]
    tools = [
        FunctionTool(t["name"], t.get("description") or "", t.get("parameters") or {}, unused, False)
        for t in functions
    ]
    wanted = (body.get("text") or {}).get("format") or {}
    choice = body.get("tool_choice")
    choice = choice.get("name") if isinstance(choice, dict) else choice
    return {
        "system_instructions": body.get("instructions"),
        "input": body["input"],
        "model_settings": ModelSettings(tool_choice=choice),
        "tools": tools,
        "output_schema": _Schema(wanted) if wanted.get("type") == "json_schema" else None,
        "handoffs": [],
        "tracing": ModelTracing.DISABLED,
        "previous_response_id": None,
        "conversation_id": None,
        "prompt": None,
    }
