"""Webhooks: an HTTP POST that says what happened, which is what Slack and Discord take."""

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2

from .errors import Refused

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class Webhook:
    """A receiver of notices. To one on this machine it goes straight, past any proxy of the environment."""

    url: str
    field: str = "text"
    """Where the receiver expects the text: Slack in `text`, Discord in `content`."""

    def post(self, key: str, text: str) -> None:
        """Posts `{"text": …}`. `key` goes along as the `Idempotency-Key`, by which a receiver knows a repeat.

        Raises `Refused` when the receiver refuses for good (HTTP 4xx, but for 408 and 429), `httpx2.HTTPError`
        when it refuses for now or is not there.
        """
        reply = httpx2.post(
            self.url,
            json={self.field: text},
            headers={"Idempotency-Key": json.dumps(key)},
            timeout=5,
            trust_env=httpx2.URL(self.url).host not in LOOPBACK,
        )
        if reply.is_client_error and reply.status_code not in (408, 429):
            raise Refused(f"The webhook's receiver refuses for good: HTTP {reply.status_code}.")
        reply.raise_for_status()


class WebhookReceiver:
    """A real HTTP server on loopback that keeps what is posted to it, once for every key."""

    def __init__(self) -> None:
        self.posts: list[dict[str, str]] = []
        self.repeats = 0
        self._seen: set[str] = set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                receiver._receive(self.headers.get("Idempotency-Key"), json.loads(body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Keeps the access log out of the notebook."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def _receive(self, key: str | None, post: dict[str, str]) -> None:
        if key is not None and key in self._seen:
            self.repeats += 1
            return
        self._seen.add(key or "")
        self.posts.append(post)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
