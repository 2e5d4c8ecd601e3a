"""Mail over SMTP."""

import smtplib
from dataclasses import dataclass
from email.message import EmailMessage
from hashlib import sha256
from urllib.parse import quote

from .refusals import Refused


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
    timeout: float = 5  # seconds that the server may take to answer

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
        with smtplib.SMTP(self.host, self.port, local_hostname="localhost", timeout=self.timeout) as smtp:
            try:
                smtp.send_message(mail)
            except (smtplib.SMTPRecipientsRefused, smtplib.SMTPResponseException) as error:
                whole = isinstance(error, smtplib.SMTPResponseException)  # the mail, whoever it is for
                [(code, reason)] = [error.args[:2]] if whole else error.recipients.values()
                if code < 500:
                    raise
                raise Refused(
                    f"The mail server refuses {self.recipient} for good: {code} {reason.decode(errors='replace')}."
                ) from error
