"""A small HTTP server on this machine: the model's endpoint and the lab's receivers stand on it."""

import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def keep_proxies_away() -> None:
    """Tells HTTP clients that this process, and the programs it starts, make from now on to come here straight.

    A proxy could not reach what listens on this machine, and would read what is meant for it.
    """
    excepted = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if "127.0.0.1" not in excepted and excepted != "*":
        excepted = f"{excepted},127.0.0.1".lstrip(",")
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = excepted


@dataclass(frozen=True)
class Request:
    path: str
    headers: Mapping[str, str]
    body: Any
    """The parsed JSON; None for what is no JSON."""
    raw: bytes = b""
    """As it came."""


@dataclass(frozen=True)
class Answer:
    status: int
    content: Any = None
    """What to send: bytes as they are, None for nothing at all, anything else as JSON."""
    headers: Mapping[str, str] = field(default_factory=dict)


class LoopbackServer(ThreadingHTTPServer):
    """Hands each request to `answer`, in a thread of its own, from the moment it is made until `stop()`."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may leave whenever they like."""


class _Handler(BaseHTTPRequestHandler):
    server: LoopbackServer
    timeout = 60

    def do_POST(self) -> None:
        raw = b""
        try:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            body = json.loads(raw)
        except (ValueError, RecursionError):
            body = None
        answer = self.server.answer(Request(self.path, self.headers, body, raw))
        payload = answer.content
        if not isinstance(payload, bytes):
            payload = b"" if payload is None else json.dumps(payload).encode()
        headers = {"content-type": "application/json", "content-length": str(len(payload))} if payload else {}
        self.send_response(answer.status)
        for name, value in (headers | dict(answer.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    do_GET = do_POST

    def log_message(self, *_: Any) -> None:
        """Nothing goes to the terminal."""
