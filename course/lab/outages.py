"""Outages on purpose: for a while, a service refuses, as it really can.

The activities stay as they are. What changes is who they talk to: during an outage their worker hands them
a service that refuses. It is a real one: a database that another connection holds locked, a mail server that
answers 451 or nothing at all, an HTTP server that answers 503.
"""

import asyncio
import functools
import json
import sqlite3
from contextlib import AbstractContextManager, AsyncExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from agents import Model, ModelProvider
from temporalio import activity

from course.desk.services import Database, Services, ServicesInterceptor, Shop
from course.lab.errors import LabError
from course.lab.receivers import smtp_server
from course.lab.running import beside_the_cells
from course.lab.temporal import Temporal
from course.models import Answer, LoopbackServer, model_at

SERVICES = ("database", "mail", "model", "webhook")


@dataclass
class Outage:
    """One outage. Times are virtual, in ISO format, since it is kept in a file that every worker reads."""

    service: str
    at: str | int
    """Where the one is that refuses in its place: its URL, or the mail server's port."""
    hours: float | None = None
    """How long; None: until it is ended."""
    until: str | None = None
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

    def read(self) -> list[Outage]:
        try:
            return [Outage(**one) for one in json.loads(self.file.read_text())]
        except FileNotFoundError:
            return []

    def write(self, outages: list[Outage]) -> None:
        draft = self.file.with_suffix(".draft")
        draft.write_text(json.dumps([asdict(one) for one in outages]))
        draft.replace(self.file)  # whole or not at all: workers read it meanwhile

    def now(self) -> dict[str, Outage]:
        """Which services refuse the activity that runs here, at its conversation's own time."""
        if not activity.in_activity() or not (outages := self.read()):
            return {}
        info = activity.info()
        at = info.current_attempt_scheduled_time
        return {one.service: one for one in outages if one.holds(info.workflow_id or "", at)}


class Failures(Outages):
    """The outages, in the lab that begins them, and what refuses meanwhile: each is real, and started when first needed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "outages.json")
        self._folder, self._stack = folder, AsyncExitStack()
        self._refusing: dict[tuple[str, bool, bool], str | int] = {}

    async def begin(
        self, temporal: Temporal, service: str, hours: float | None, permanent: bool, silent: bool
    ) -> "OutageUnderWay":
        """Takes a service away. Raises `LabError` for what cannot be taken away, or is away."""
        if service not in SERVICES:
            raise LabError(
                f"There is no service {service!r} to take away: choose one of {', '.join(SERVICES)}."
            )
        if permanent and service == "database":
            raise LabError(
                "A database refuses for a while: it is locked. permanent= is for mail, model and webhook."
            )
        if silent and (permanent or service != "mail"):
            raise LabError(
                f"The {service} cannot be silent here: silent= is for mail, and without permanent=."
            )
        if hours is not None and not (isinstance(hours, int | float) and 0 < hours < 24 * 3650):
            raise LabError(f"An outage has a length in hours, such as hours=6, and not {hours!r}.")
        at = await beside_the_cells(self._start(service, permanent, silent))
        others = self.read()
        if any(other.service == service for other in others):
            raise LabError(
                f"The {service} is out already: end that outage first, outage.end(). `lab.outages()` has all of them."
            )
        outage = Outage(service, at, hours)
        if hours is not None:
            length = timedelta(hours=hours)
            outage.until = (datetime.now(UTC) + length).isoformat()
            async for running in temporal.client.list_workflows("ExecutionStatus = 'Running'"):
                now = await temporal.now(temporal.client.get_workflow_handle(running.id))
                outage.ends[running.id] = (now + length).isoformat()
        self.write([*others, outage])
        return OutageUnderWay(outage, self)

    def begin_for(self, workflow_id: str) -> None:
        """Lets the outages under way hold for a conversation that starts now."""
        if outages := self.read():
            for outage in outages:
                if outage.hours is not None:
                    end = datetime.now(UTC) + timedelta(hours=outage.hours)
                    outage.ends[workflow_id] = end.isoformat()
            self.write(outages)

    def under_way(self) -> list["OutageUnderWay"]:
        return [OutageUnderWay(outage, self) for outage in self.read()]

    async def stop(self) -> None:
        """An activity that a silent server holds up is let go."""
        await beside_the_cells(self._stack.aclose())

    # What refuses

    async def _start(self, *kind: Any) -> str | int:
        """Starts what refuses (a service, whether for good, whether silently), once. Returns `Outage.at`."""
        if kind not in self._refusing:
            service, permanent, silent = kind
            start = {"database": self._lock_database, "mail": self._start_mail}.get(service, self._start_http)
            self._refusing[kind] = await start(permanent, silent)
        return self._refusing[kind]

    async def _lock_database(self, *_: bool) -> str:
        file = self._folder / "locked.db"
        lock = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._stack.callback(lock.close)
        lock.execute("BEGIN EXCLUSIVE")
        return f"sqlite:///{file}"

    async def _start_mail(self, permanent: bool, silent: bool) -> int:
        if silent:
            server = await asyncio.start_server(self._say_nothing, "127.0.0.1", 0)
        else:
            handler = _RefusingMail("550 No such mailbox" if permanent else "451 Try again later")
            server = await smtp_server(handler)
        self._stack.push_async_callback(server.wait_closed)
        self._stack.callback(server.close)
        return server.sockets[0].getsockname()[1]

    async def _say_nothing(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Listens until the client hangs up."""
        self._stack.callback(writer.close)
        with suppress(OSError):
            await reader.read()
        writer.close()

    async def _start_http(self, permanent: bool, _: bool) -> str:
        """Answers every request as an overloaded service does, or as one that does not know the caller."""
        status, says = (401, "This key is not valid.") if permanent else (503, "The server is overloaded.")
        refusal = Answer(status, {"error": {"message": says, "type": "server_error"}})
        server = LoopbackServer(lambda _: refusal)
        self._stack.callback(server.stop)
        return f"{server.url}/v1"


class OutageUnderWay(AbstractContextManager["OutageUnderWay"]):
    """An outage that has begun."""

    def __init__(self, outage: Outage, outages: Outages) -> None:
        self._outage, self._outages = outage, outages

    def end(self) -> None:
        """The service is back, for every conversation. Ending twice is once."""
        before = self._outages.read()
        rest = [one for one in before if one.id != self._outage.id]
        if rest != before:
            self._outages.write(rest)

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
        return in_place_of(self.services, self._outages.now())


class OutageProvider(ModelProvider):
    """A model provider that can be out: the model is then an endpoint that refuses, over HTTP."""

    def __init__(self, provider: ModelProvider, outages: Outages) -> None:
        self._provider, self._outages = provider, outages

    def get_model(self, model_name: str | None) -> Model:
        outage = self._outages.now().get("model")
        return _model_at(outage.at) if outage else self._provider.get_model(model_name)


def in_place_of(services: Services, outages: dict[str, Outage]) -> Services:
    """The same services, but for those that are out."""
    if outage := outages.get("database"):
        database = _database(outage.at)
        services = replace(services, database=database, shop=Shop(database))
    if outage := outages.get("mail"):
        services = replace(services, mail=replace(services.mail, port=outage.at))
    if outage := outages.get("webhook"):
        services = replace(services, webhook=replace(services.webhook, url=outage.at))
    return services


_model_at = functools.cache(model_at)  # to make a client takes longer than to be refused


@functools.cache
def _database(url: str) -> Database:
    return Database(url, patience=0.02)


@dataclass
class _RefusingMail:
    answer: str

    async def handle_RCPT(self, *_: Any) -> str:
        return self.answer
