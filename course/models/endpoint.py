"""A model behind HTTP: an endpoint on this machine that speaks the OpenAI Responses API."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from agents import AgentOutputSchemaBase, FunctionTool, Model, ModelSettings, ModelTracing, OpenAIProvider
from openai import APIStatusError, AsyncOpenAI

from .wire import as_response, events_of


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
        self._failures: list[tuple[int, int | None]] = []
        self._lock = threading.Lock()
        self._under_way = 0
        self._at_rest = threading.Condition(self._lock)
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """The base URL, for `OPENAI_BASE_URL`."""
        if self._server is None:
            raise RuntimeError("The endpoint is not running: call start() first.")
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def client(self) -> Model:
        """A model that asks this endpoint, once for each attempt: retries are Temporal's."""
        client = AsyncOpenAI(api_key="none", base_url=self.url, max_retries=0)
        return OpenAIProvider(openai_client=client, use_responses=True).get_model("behind-http")

    def fail_next(self, status: int, times: int = 1, retry_after_ms: int | None = None) -> None:
        """The next `times` requests get this HTTP status, with a `retry-after-ms` header if given."""
        with self._lock:
            self._failures += [(status, retry_after_ms)] * times

    def start(self) -> "ModelEndpoint":
        if self._server is None:
            handler = type("Handler", (_Handler,), {"endpoint": self})
            self._server = _Server(("127.0.0.1", 0), handler)
            threading.Thread(
                target=self._server.serve_forever, args=(0.05,), daemon=True, name="model-endpoint"
            ).start()
        return self

    def stop(self) -> None:
        """Takes no more requests, and lets the answers under way be finished and counted."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            with self._at_rest:
                self._at_rest.wait_for(lambda: not self._under_way, timeout=self.seconds + 5)

    __enter__ = start

    def __exit__(self, *_: object) -> None:
        self.stop()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Around an answer: it takes as long as it takes, whoever still listens."""
        with self._at_rest:
            self._under_way += 1
        try:
            time.sleep(self.seconds)
            yield
        finally:
            with self._at_rest:
                self._under_way -= 1
                self._at_rest.notify_all()

    def answer(self, body: dict[str, Any]) -> tuple[Any, int, dict[str, str]]:
        """The response to one request: what to send, the HTTP status, more headers."""
        with self._lock:
            failure = self._failures.pop(0) if self._failures else None
        if failure:
            status, wait = failure
            headers = {} if wait is None else {"retry-after-ms": str(wait)}
            return _error(f"Status {status}, as told (simulated)."), status, headers
        try:
            answer = asyncio.run(self.model.get_response(**_arguments(body)))
        except APIStatusError as error:
            return _error(str(error)), error.status_code, {}
        except Exception as error:  # a client can read an answer, and not a server that died
            return _error(f"The model failed: {type(error).__name__}: {error}"), 500, {}
        response = as_response(answer, str(body.get("model")))
        return (
            events_of(response)
            if body.get("stream")
            else response.model_dump(mode="json", exclude_none=True),
            200,
            {},
        )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may leave whenever they like."""


class _Handler(BaseHTTPRequestHandler):
    endpoint: ModelEndpoint
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_POST(self) -> None:
        try:
            body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)))
        except (ValueError, RecursionError):
            body = None
        if self.path.split("?")[0].rstrip("/") != "/v1/responses":
            self._send(
                _error(f"Nothing here at {self.path}: this endpoint speaks POST /v1/responses."), 404, {}
            )
        elif not isinstance(body, dict) or "input" not in body:
            self._send(_error("The request's body is not a JSON object with an input."), 400, {})
        else:
            with self.endpoint.at_work():
                self._send(*self.endpoint.answer(body))

    def do_GET(self) -> None:
        self._send(_error("This endpoint speaks POST /v1/responses."), 404, {})

    def _send(self, content: Any, status: int, headers: dict[str, str]) -> None:
        if isinstance(content, list):  # a stream, sent in one piece
            kind = "text/event-stream"
            payload = "".join(
                f"event: {e.type}\ndata: {e.model_dump_json(exclude_none=True)}\n\n" for e in content
            ).encode()
        else:
            kind, payload = "application/json", json.dumps(content).encode()
        with self.endpoint._lock:  # counted before it is sent: the work is done, whoever still listens
            self.endpoint.requests += status == 200
            self.endpoint.failed += status != 200
        self.send_response(status)
        for name, value in {
            "content-type": kind,
            "content-length": str(len(payload)),
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: Any) -> None:
        """Nothing goes to the terminal."""


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


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "model_endpoint_error", "code": None, "param": None}}


def _arguments(body: dict[str, Any]) -> dict[str, Any]:
    """A request in the terms of `agents.Model`. Handoffs arrive as function tools named transfer_to_…"""

    async def unused(*_: Any) -> str:
        return ""

    tools = [
        FunctionTool(
            t["name"], t.get("description") or "", t.get("parameters") or {}, unused, strict_json_schema=False
        )
        for t in body.get("tools") or []
        if t.get("type") == "function"
    ]
    wanted = (body.get("text") or {}).get("format") or {}
    choice = body.get("tool_choice")
    return {
        "system_instructions": body.get("instructions"),
        "input": body["input"],
        "model_settings": ModelSettings(
            tool_choice=choice.get("name") if isinstance(choice, dict) else choice
        ),
        "tools": tools,
        "output_schema": _Schema(wanted) if wanted.get("type") == "json_schema" else None,
        "handoffs": [],
        "tracing": ModelTracing.DISABLED,
        "previous_response_id": None,
        "conversation_id": None,
        "prompt": None,
    }
