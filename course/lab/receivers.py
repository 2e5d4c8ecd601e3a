"""Who receives what the desk sends: a mailbox over SMTP and a receiver of webhooks, both real, on loopback."""

import asyncio
from email import message_from_bytes, policy
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from course.models import Answer, LoopbackServer, Request


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
        text = mail.get_content().replace("\r\n", "\n").rstrip("\n")
        self.mails.append({"to": str(mail["To"]), "subject": str(mail["Subject"]), "text": text})
        return "250 Delivered"

    async def stop(self) -> None:
        if self._server:
            self._server.close()
            await self._server.wait_closed()


class WebhookReceiver:
    """A real HTTP server on loopback that keeps what is posted to it, once for every key."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        """The JSON bodies, whole."""
        self.repeats = 0
        self._seen: set[str | None] = set()
        self._server = LoopbackServer(self._take)
        self.url = f"{self._server.url}/"
        self.stop = self._server.stop

    def _take(self, request: Request) -> Answer:
        key = request.headers.get("idempotency-key")
        if not isinstance(request.body, dict):
            return Answer(400, {"error": "This takes a JSON object, by POST."})
        if key is not None and key in self._seen:
            self.repeats += 1
        else:
            self._seen.add(key)
            self.posts.append(request.body)
        return Answer(204)
