"""Outages on purpose: for a while, a service refuses, as it really can.

The activities stay as they are. What changes is who they talk to: during an outage their worker hands them
a service that refuses. It is a real one: a database that another connection holds locked, a mail server that
answers 451 or nothing at all, an HTTP server that answers 503. Clocks are per conversation, so an outage of six
hours ends for each conversation when its own clock is six hours ahead.
"""

import asyncio
import functools
import json
import sqlite3
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self
from uuid import uuid4

from agents import Model, ModelProvider
from aiosmtpd.smtp import SMTP, Envelope, Session
from temporalio import activity

from course.desk.services import Database, Services, ServicesInterceptor, Shop
from course.models import Answer, LoopbackServer, model_at

SERVICES = ("database", "mail", "model", "webhook")


@dataclass
class Outage:
    """One outage. Times are virtual, in ISO format, since it is kept in a file that every worker reads."""

    service: str
    permanent: bool
    """Whether the refusal is one that no retry gets past: SMTP 550, HTTP 401."""
    silent: bool
    """Whether the mail server takes the connection and never says a word."""
    hours: float | None
    """How long; None: until it is ended."""
    until: str | None
    """The end for whatever is not named below."""
    id: str = field(default_factory=lambda: uuid4().hex)
    """Which outage this is: a service may be out again later."""
    ends: dict[str, str] = field(default_factory=dict)
    """The end for each conversation, by workflow id: from its own now, or from its start if that came later."""

    def holds(self, workflow_id: str, now: datetime) -> bool:
        end = self.ends.get(workflow_id, self.until)
        return end is None or now < datetime.fromisoformat(end)


class Outages:
    """The outages of one lab, in a file: worker processes read it too."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def read(self) -> "tuple[RefusingServices | None, list[Outage]]":
        try:
            kept = json.loads(self.file.read_text())
        except FileNotFoundError:
            return None, []
        return RefusingServices(**kept["refusing"]), [Outage(**one) for one in kept["outages"]]

    def write(self, refusing: "RefusingServices", outages: list[Outage]) -> None:
        draft = self.file.with_suffix(".draft")
        draft.write_text(json.dumps({"refusing": asdict(refusing), "outages": [asdict(o) for o in outages]}))
        draft.replace(self.file)  # whole or not at all: workers read it meanwhile

    def begin_for(self, workflow_id: str, start: datetime) -> None:
        """Lets the outages under way hold for a conversation that starts now."""
        refusing, outages = self.read()
        for outage in outages:
            if outage.hours is not None:
                outage.ends[workflow_id] = (start + timedelta(hours=outage.hours)).isoformat()
        if refusing and outages:
            self.write(refusing, outages)

    def now(self) -> "tuple[RefusingServices | None, dict[str, Outage]]":
        """Which services refuse the activity that runs here, at its conversation's own time."""
        refusing, outages = self.read()
        if not outages:
            return refusing, {}
        info = activity.info()
        at = info.current_attempt_scheduled_time
        return refusing, {o.service: o for o in outages if o.holds(info.workflow_id or "", at)}


class OutageUnderWay:
    """An outage that has begun."""

    def __init__(self, outage: Outage, outages: Outages) -> None:
        self._outage, self._outages = outage, outages

    def end(self) -> None:
        """The service is back, for every conversation. Ending twice is once."""
        refusing, outages = self._outages.read()
        if refusing:
            self._outages.write(refusing, [one for one in outages if one.id != self._outage.id])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def __repr__(self) -> str:
        return f"<Outage of the {self._outage.service}>"


class OutageInterceptor(ServicesInterceptor):
    """Gives every activity of a worker its services, or during an outage one that refuses."""

    def __init__(self, services: Services, outages: Outages) -> None:
        super().__init__(services)
        self._outages = outages

    def services_now(self) -> Services:
        refusing, outages = self._outages.now()
        return refusing.in_place_of(self.services, outages) if refusing and outages else self.services


class OutageProvider(ModelProvider):
    """A model provider that can be out: the model is then an endpoint that refuses, over HTTP."""

    def __init__(self, provider: ModelProvider, outages: Outages) -> None:
        self._provider, self._outages = provider, outages

    def get_model(self, model_name: str | None) -> Model:
        refusing, outages = self._outages.now() if activity.in_activity() else (None, {})
        if refusing and (outage := outages.get("model")):
            return _model_at(refusing.url(outage))
        return self._provider.get_model(model_name)

    async def aclose(self) -> None:
        await self._provider.aclose()


class RefusingServers:
    """The services that refuse: an SMTP server, two HTTP servers and a locked database, all real."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._smtp: dict[bool, asyncio.Server] = {}
        self._http: dict[bool, LoopbackServer] = {}
        self._silent: asyncio.Server | None = None
        self._listening: set[asyncio.StreamWriter] = set()
        self._lock: sqlite3.Connection | None = None
        self._at: RefusingServices | None = None

    async def start(self) -> "RefusingServices":
        """Starts them, once; returns where they are."""
        if self._at:
            return self._at
        loop = asyncio.get_running_loop()
        for permanent in (False, True):
            handler = _RefusingMail("550 No such mailbox" if permanent else "451 Try again later")
            self._smtp[permanent] = await loop.create_server(
                lambda handler=handler: SMTP(handler, hostname="localhost"), "127.0.0.1", 0
            )
            self._http[permanent] = _refusing_http(permanent)
        self._silent = await asyncio.start_server(self._say_nothing, "127.0.0.1", 0)
        database = self._folder / "locked.db"
        self._lock = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
        self._lock.execute("BEGIN EXCLUSIVE")
        self._at = RefusingServices(
            database_url=f"sqlite:///{database}",
            mail_ports=tuple(self._smtp[p].sockets[0].getsockname()[1] for p in (False, True)),
            silent_port=self._silent.sockets[0].getsockname()[1],
            http_ports=tuple(self._http[p].server_port for p in (False, True)),
        )
        return self._at

    async def _say_nothing(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Listens until the client hangs up."""
        self._listening.add(writer)
        with suppress(OSError):
            await reader.read()
        self._listening.discard(writer)
        writer.close()

    async def stop(self) -> None:
        if self._silent:
            self._silent.close()
            for writer in self._listening:
                writer.close()
        for smtp in self._smtp.values():
            smtp.close()
            await smtp.wait_closed()
        for http in self._http.values():
            http.stop()
        if self._lock:
            self._lock.close()


@dataclass(frozen=True)
class RefusingServices:
    """Where the services are that refuse: for a while, and for good."""

    database_url: str
    mail_ports: tuple[int, ...]
    silent_port: int
    http_ports: tuple[int, ...]

    def in_place_of(self, services: Services, outages: dict[str, Outage]) -> Services:
        """The same services, but for those that are out."""
        if "database" in outages:
            database = _database(self.database_url)
            services = replace(services, database=database, shop=Shop(database))
        if outage := outages.get("mail"):
            port = self.silent_port if outage.silent else self.mail_ports[outage.permanent]
            services = replace(services, mail=replace(services.mail, port=port))
        if outage := outages.get("webhook"):
            services = replace(services, webhook=replace(services.webhook, url=self.url(outage)))
        return services

    def url(self, outage: Outage) -> str:
        return f"http://127.0.0.1:{self.http_ports[outage.permanent]}/v1"


_model_at = functools.cache(model_at)  # to make a client takes longer than to be refused


@functools.cache
def _database(url: str) -> Database:
    return Database(url, patience=0.02)


class _RefusingMail:
    def __init__(self, answer: str) -> None:
        self._answer = answer

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        return self._answer


def _refusing_http(permanent: bool) -> LoopbackServer:
    """Answers every request as an overloaded service does, or as one that does not know the caller."""
    status, says = (401, "This key is not valid.") if permanent else (503, "The server is overloaded.")
    return LoopbackServer(lambda _: Answer(status, {"error": {"message": says, "type": "server_error"}}))
