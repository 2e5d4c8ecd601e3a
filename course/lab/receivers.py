"""Who receives what the desk sends: a mailbox over SMTP and a receiver of webhooks, both real, on loopback."""

import asyncio
import functools
import json
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from course.models import Answer, LoopbackServer, Request


class Received:
    """What a receiver was sent, once for every key; beside a persist file, in a file of its own.

    Attributes:
        items: In the order of arrival.
        repeats: How many came again under a key that was there, and were dropped.
    """

    def __init__(self, file: Path | None) -> None:
        lines = file.read_text().splitlines() if file and file.exists() else []
        kept = [json.loads(line) for line in lines]
        self.items: list[dict[str, Any]] = [item for _, item in kept]
        self.repeats = 0
        self._seen = {key for key, _ in kept}
        self._file = file

    def take(self, key: str | None, item: dict[str, Any]) -> bool:
        """Keeps an item, and returns whether it is new."""
        if key is not None and key in self._seen:
            self.repeats += 1
            return False
        if self._file:
            with self._file.open("a") as file:
                file.write(json.dumps([key, item]) + "\n")
        self._seen.add(key)
        self.items.append(item)
        return True


class Mailbox(Received):
    """A real SMTP server on loopback that keeps what it is sent.

    A mail whose Message-ID it has already delivered is accepted and dropped, as many mail servers do:
    that is what makes a repeated send harmless.
    """

    def __init__(self, file: Path | None = None) -> None:
        super().__init__(file)
        self.mails = self.items
        self.port = 0
        """Chosen at the first start; a mailbox that was stopped comes back at the same one."""
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await smtp_server(self, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        text = mail.get_content().replace("\r\n", "\n").rstrip("\n")
        content = {"to": str(mail["To"]), "subject": str(mail["Subject"]), "text": text}
        new = self.take(mail["Message-ID"], content)
        return "250 Delivered" if new else "250 Delivered before"

    async def stop(self) -> None:
        if self._server:
            self._server.close()
            await self._server.wait_closed()


async def smtp_server(handler: Any, port: int = 0) -> asyncio.Server:
    """On loopback. What its clients say, `handler` hears."""
    session = functools.partial(SMTP, handler, hostname="localhost", enable_SMTPUTF8=True)
    return await asyncio.get_running_loop().create_server(session, "127.0.0.1", port)


class WebhookReceiver(Received):
    """A real HTTP server on loopback that keeps what is posted to it, once for every key."""

    def __init__(self, file: Path | None = None) -> None:
        super().__init__(file)
        self.posts = self.items
        """The JSON bodies, whole."""
        self._server = LoopbackServer(self._post)
        self.url = f"{self._server.url}/"
        self.stop = self._server.stop

    def _post(self, request: Request) -> Answer:
        if not isinstance(request.body, dict):
            return Answer(400, {"error": "This takes a JSON object, by POST."})
        self.take(request.headers.get("idempotency-key"), request.body)
        return Answer(204)
