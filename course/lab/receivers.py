"""Who receives what the desk sends: a mailbox over SMTP and a receiver of webhooks, both real, on loopback."""

import asyncio
import json
import threading
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.smtp import SMTP, Envelope, Session


class Mailbox:
    """A real SMTP server on loopback that keeps what it is sent.

    A mail whose Message-ID it has already delivered is accepted and dropped, as many mail servers do:
    that is what makes a repeated send harmless.
    """

    def __init__(self) -> None:
        self.mails: list[dict[str, str]] = []
        self.repeats = 0
        self._seen: set[str | None] = set()
        self.port = 0
        """Chosen at the first start; a mailbox that was stopped comes back at the same one."""
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SMTP(self, hostname="localhost", enable_SMTPUTF8=True), "127.0.0.1", self.port
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        key = mail["Message-ID"]
        if key is not None and key in self._seen:
            self.repeats += 1
            return "250 Delivered before"
        self._seen.add(key)
        self.mails.append(
            {
                "to": str(mail["To"]),
                "subject": str(mail["Subject"]),
                "text": mail.get_content().replace("\r\n", "\n").rstrip("\n"),
            }
        )
        return "250 Delivered"

    async def stop(self) -> None:
        if self._server:
            self._server.close()
            await self._server.wait_closed()


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
        self.posts.append({"text": post.get("text", "")})

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
