"""Mail over SMTP: the client that an activity uses, and the lab's mailbox that receives."""

import asyncio
import smtplib
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from hashlib import sha256
from urllib.parse import quote

from aiosmtpd.smtp import SMTP, Envelope, Session

from .errors import Refused


def one_line(text: str, limit: int = 78) -> str:
    """What may stand in a mail header: no line breaks, no control characters, not over-long."""
    words = "".join(c if c.isprintable() else " " for c in text).split()
    line = " ".join(words)
    return line if len(line) <= limit else line[: limit - 1] + "…"


@dataclass(frozen=True)
class Mail:
    """An SMTP server, and between whom the desk sends."""

    host: str
    port: int
    sender: str = "desk@juniper.example"
    recipient: str = "team@juniper.example"

    def send(self, key: str, subject: str, text: str) -> None:
        """Sends one mail. `key` becomes its Message-ID, by which a mailbox knows a repeat.

        Raises `Refused` when the server refuses for good (SMTP 5xx), `smtplib.SMTPException` or `OSError`
        when it refuses for now or is not there.
        """
        mail = EmailMessage()
        mail["From"], mail["To"] = self.sender, self.recipient
        mail["Subject"] = one_line(subject)
        name = quote(key, safe="")
        if len(name) > 200:  # a line of mail holds 998 characters, and a Message-ID cannot be folded
            name = sha256(name.encode()).hexdigest()
        mail["Message-ID"] = f"<{name}@juniper.example>"
        mail.set_content(text.replace("\0", "\N{REPLACEMENT CHARACTER}"))
        # local_hostname: without it smtplib asks the name service who we are.
        with smtplib.SMTP(self.host, self.port, local_hostname="localhost", timeout=5) as smtp:
            try:
                smtp.send_message(mail)
            except smtplib.SMTPRecipientsRefused as error:
                [(code, reason)] = error.recipients.values()
                if code < 500:
                    raise
                raise Refused(
                    f"The mail server refuses {self.recipient} for good: {code} {reason.decode(errors='replace')}."
                ) from error


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
