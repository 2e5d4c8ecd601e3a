"""The lab: a Temporal server, a worker, a database and a mailbox, all in the hands of one notebook."""

import asyncio
import os
import re
import subprocess
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import nest_asyncio2
import pandas as pd
from agents import Model, ModelProvider
from IPython import get_ipython
from sqlalchemy.exc import SQLAlchemyError
from temporalio import workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.openai_agents import ModelActivityParameters, OpenAIAgentsPlugin
from temporalio.service import RPCError

from course.desk.answering import why
from course.desk.services import Database, Mail, Services, Shop, Webhook
from course.lab import everything
from course.lab.approver import Approver
from course.lab.awaiting import awaited
from course.lab.clock import Clock
from course.lab.conversation import Conversation
from course.lab.errors import LabError
from course.lab.outages import (
    SERVICES,
    Outage,
    OutageInterceptor,
    OutageProvider,
    Outages,
    OutageUnderWay,
    RefusingServers,
)
from course.lab.persisting import Persisted
from course.lab.processes import WorkerProcess, WorkerSettings
from course.lab.receivers import Mailbox, WebhookReceiver
from course.lab.server import Folder, Server, note_process, temporal_binary
from course.lab.worker import RunningWorker, agents_plugin, runtime
from course.models import model_provider

TASK_QUEUE = "juniper"


def prepare_notebook() -> None:
    """In a notebook: snippets from elsewhere that end in `asyncio.run(main())` work, and tables show sentences."""
    if get_ipython() is not None:
        nest_asyncio2.apply()
        pd.set_option("display.max_colwidth", 150)


class Lab:
    """Everything that a lesson needs, started with `await Lab.start()` and ended with `await lab.stop()`.

    Attributes:
        address: host:port of the Temporal server.
        ui_url: The URL of its Web UI, or None.
        client: A `temporalio.client.Client` with the Agents plugin on it.
        task_queue: The queue of the lab's worker.
        model: The model that was handed in, or the lab's own offline model.
        reports: The folder with the reports that were written.
        webhooks: The receiver of webhooks; `.posts` is what came.
    """

    def __init__(self) -> None:
        self.address = ""
        self.ui_url: str | None = None
        self.client: Client
        self.task_queue = TASK_QUEUE
        self.model: Any = None
        self._provider: ModelProvider | None = None
        self._model_calls: ModelActivityParameters | None = None
        self._plugin: OpenAIAgentsPlugin
        self.clock: Clock | None = None
        self._plain: Client  # without the clock
        self.stopped = False
        self.webhooks: WebhookReceiver
        self.reports: Path
        self._workflows: Sequence[type] = []
        self._activities: Sequence[Callable[..., Any]] = []
        self._own_database = True
        self._known: dict[str, tuple[str, str, type | None]] = {}
        self._numbers: dict[str, int] = {}
        self._folder: Folder | None = None
        self._server: Server | None = None
        self._worker: RunningWorker | None = None
        self._process: WorkerProcess | None = None
        self._watch: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop
        self._mailbox = Mailbox()
        self._persist: Persisted | None = None
        self._services: Services
        self._outages: Outages
        self._refusing: RefusingServers | None = None

    def __repr__(self) -> str:
        return f"<Lab at {self.address}{', stopped' if self.stopped else ''}>"

    @classmethod
    @awaited("Lab.start(…)")
    async def start(
        cls,
        *,
        workflows: Sequence[type] | None = None,
        activities: Sequence[Callable[..., Any]] | None = None,
        model: Model | str | None = None,
        model_calls: ModelActivityParameters | None = None,
        database_url: str | None = None,
        ui: bool = True,
        persist: str | os.PathLike[str] | None = None,
        address: str | None = None,
    ) -> "Lab":
        """Starts all of it.

        Args:
            workflows: Workflow classes of the worker. Default: every workflow of the course.
            activities: Activities of the worker. Default: every activity of the course.
            model: Nothing (the offline model), any `agents.Model`, or the name of a live model. A name is
                asked for at OPENAI_BASE_URL with OPENAI_API_KEY, and costs what that endpoint charges.
            model_calls: Timeouts and retries of a model call. Default: `course.lab.worker.MODEL_CALLS`. They
                are the process's: with two labs in one kernel, those of the lab that was started last hold.
            database_url: Any SQLAlchemy URL. Default: SQLite in the lab's own folder.
            ui: Whether the server brings its Web UI.
            persist: The server's database file. A lab that is started on it again goes on where it was.
            address: host:port of a server that is already there, in place of one of the lab's own.

        Raises:
            LabError: Something could not be started. The message says what to do; nothing is left running.
        """
        prepare_notebook()
        lab = cls()
        try:
            await lab._start(workflows, activities, model, model_calls, database_url, ui, persist, address)
        except BaseException:
            await lab.stop()
            raise
        return lab

    async def _start(
        self,
        workflows: Sequence[type] | None,
        activities: Sequence[Callable[..., Any]] | None,
        model: Model | str | None,
        model_calls: ModelActivityParameters | None,
        database_url: str | None,
        ui: bool,
        persist: str | os.PathLike[str] | None,
        address: str | None,
    ) -> None:
        self._workflows = everything.workflows() if workflows is None else workflows
        try:
            self.model, self._provider = model_provider(model)
        except (ValueError, TypeError) as error:
            raise LabError(str(error)) from None
        if address and persist:
            raise LabError(
                "persist= is for the lab's own server and address= for another one: choose one of them."
            )
        self._folder = Folder()
        self._outages = Outages(self._folder.path / "outages.json")
        self._loop = asyncio.get_running_loop()
        _ALIVE[self] = os.getpid()
        self._model_calls = model_calls
        self._plugin = agents_plugin(OutageProvider(self._provider, self._outages), model_calls)
        if address is None:
            self._persist = Persisted(persist) if persist is not None else None
            starting = asyncio.create_task(self._start_server(ui))
            await asyncio.sleep(0)  # the server boots while the rest is made
            try:
                await self._start_services(database_url)
            finally:
                self._plain = await starting
        else:
            await self._start_services(database_url)
            self.address = address
            self._plain = await self._connect()
        self.clock = Clock(self._plain)
        self.client = self.clock.client
        self._activities = everything.activities() if activities is None else activities
        try:
            await self._start_worker()
        except Exception as error:
            raise LabError(f"The worker did not start: {why(error)}") from error

    async def _start_server(self, ui: bool, ports: Sequence[int] | None = None) -> Client:
        """Starts the server, on free ports or those given, and connects.

        A port that was free a moment ago, or one of those that the server takes beside the two that it is
        given, can be lost to somebody else, at which it ends: then it is started again.
        """
        assert self._folder
        for _attempt in range(3):
            file = self._persist and self._persist.path
            server = self._server = Server.launch(self._folder.path, ui=ui, persist=file, ports=ports)
            self.address, self.ui_url = server.address, server.ui_url
            if up := await server.listens():
                if server.owns_its_port():
                    try:
                        return await self._connect()
                    except LabError:
                        if server.running:
                            raise
                await server.ended()
            failure = server.failure()
            if not up and "address already in use" not in str(failure):
                break  # it would end so again
        raise failure

    async def _start_worker(self) -> None:
        self._worker = RunningWorker(
            self.client,
            self.task_queue,
            self._workflows,
            self._activities,
            [OutageInterceptor(self._services, self._outages)],
        )
        await self._worker.start()

    async def _start_services(self, database_url: str | None) -> None:
        assert self._folder
        self._own_database = database_url is None
        database = self._open_database(
            f"sqlite:///{self._folder.path / 'desk.db'}" if database_url is None else database_url
        )
        shop = Shop(database)
        self.reports = self._folder.path / "reports"
        self.reports.mkdir()
        self.webhooks = WebhookReceiver()
        await self._mailbox.start()
        self._services = Services(
            database=database,
            shop=shop,
            mail=Mail("127.0.0.1", self._mailbox.port),
            webhook=Webhook(self.webhooks.url),
            reports=self.reports,
        )

    @staticmethod
    def _open_database(url: str) -> Database:
        try:
            database = Database(url)
        except (SQLAlchemyError, ImportError) as error:
            raise LabError(
                f"database_url is not one that SQLAlchemy can open here: {error}. An example is "
                "'sqlite:///desk.db'; PostgreSQL needs `pip install psycopg[binary]` and "
                "'postgresql+psycopg://user:password@host/name'."
            ) from None
        if database.in_memory:
            raise LabError(
                "database_url names a database in memory, which every thread of the worker would have for itself. "
                "Name a file, such as 'sqlite:///desk.db', or leave database_url= away."
            )
        try:
            database.create()
            Shop(database).open()
        except SQLAlchemyError as error:
            raise LabError(
                f"The database {database.name} cannot be used: {why(error)} Start it, or mend the URL."
            ) from None
        return database

    async def _connect(self) -> Client:
        """Connects, and waits until the server knows its namespace."""
        for attempt in range(1000):
            try:
                return await Client.connect(self.address, plugins=[self._plugin], runtime=runtime())
            except (RuntimeError, RPCError, ValueError) as error:
                if self._server is not None and not self._server.running:
                    raise LabError(f"The Temporal server did not start.{self.server_hint()}") from None
                if self._server is None or attempt == 999:
                    raise LabError(
                        f"There is no Temporal server at {self.address}: {error}. "
                        "Start one there, or leave address= away for the lab's own."
                    ) from None
                await asyncio.sleep(0.02)
        raise AssertionError

    async def stop(self) -> None:
        """Ends the conversations' worker, the server, the database and the mailbox. Twice is once."""
        if self.stopped:
            return
        self.stopped = True
        if self._process:
            self._process.kill()
        if self._watch:
            await asyncio.wait([self._watch])
        if self._refusing:
            await self._refusing.stop()  # an activity that a silent server holds up is let go
        if self._worker:
            await self._worker.stop()
        if self._provider:
            await self._provider.aclose()
        await self._mailbox.stop()
        if hasattr(self, "webhooks"):
            self.webhooks.stop()
        if hasattr(self, "_services"):
            self._services.database.close()
        await asyncio.to_thread(self._end)

    def _end_with_python(self) -> None:
        """When nobody has called stop(). A worker or a call under way would crash Python while it ends."""
        if not self._loop.is_closed():
            if self._worker:
                self._loop.run_until_complete(self._worker.stop())
            if under_way := asyncio.all_tasks(self._loop):
                for task in under_way:
                    task.cancel()
                self._loop.run_until_complete(asyncio.wait(under_way, timeout=1))
        self._end()

    def _end(self) -> None:
        """Ends and removes what must never be left behind."""
        _ALIVE.pop(self, None)
        if self._server:
            self._server.stop()
        if self._persist:
            self._persist.release()
        if self._folder:
            self._folder.remove()
            self._folder = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    def must_run(self) -> None:
        """Raises `LabError` when the lab has been stopped."""
        if self.stopped:
            kept = (
                f", on the file that keeps its conversations: persist={str(self._persist.path)!r}"
                if self._persist
                else ""
            )
            raise LabError(f"This lab has been stopped. Start another: lab = await Lab.start(){kept}")

    @awaited("lab.worker_process(…)")
    async def worker_process(self, *, kill: str | Sequence[str] | None = None) -> WorkerProcess:
        """Hands the work to a worker in a process of its own, which can be killed.

        The kernel's worker rests meanwhile. When the process dies, it takes over.

        Args:
            kill: The moment at which the process gets SIGKILL: `before NAME` or `after NAME` of an activity
                (before its effect; after it, and before its completion is reported) or of a `workflow task`,
                or `before reply` (in a workflow task, when a turn's reply is not yet on record). `after NAME #2`
                is the second NAME that the process does. Of several moments, an activity that has come to its
                own waits there for the last, so that one SIGKILL cuts all of it off. Default: never by itself.
        """
        self.must_run()
        if self._process and self._process.alive:
            raise LabError("A worker process is already at work. Kill it first: process.kill()")
        assert self._folder
        assert self._worker
        self._process = await WorkerProcess.start(self.worker_settings(), kill)
        note_process(self._folder.path, self._process.pid)
        await self._worker.stop()
        self._watch = asyncio.create_task(self._take_over(self._process))
        return self._process

    def worker_settings(self) -> WorkerSettings:
        """What a worker in another process needs to do this lab's work."""
        return WorkerSettings(
            address=self.address,
            task_queue=self.task_queue,
            workflows=self._workflows,
            activities=self._activities,
            model=self.model,
            model_calls=self._model_calls,
            database_url=self._services.database.url,
            mail_port=self._mailbox.port,
            webhook_url=self.webhooks.url,
            reports=self.reports,
            outages=self._outages.file,
        )

    async def _take_over(self, process: WorkerProcess) -> None:
        while process.alive:
            await asyncio.sleep(0.02)
        if not self.stopped:
            await self._start_worker()

    @awaited("lab.deploy(…)")
    async def deploy(self, *workflows: type) -> None:
        """Stops the kernel's worker and starts it again with other workflow code, as a deployment does.

        Conversations go on where their histories stand; the new worker replays each before its next step.

        Args:
            workflows: Workflow classes. Each takes the place of the one of the same name (`@workflow.defn(name=…)`),
                or is added.

        Raises:
            LabError: A class is no workflow, or the worker did not start with it. The code from before then runs on.
        """
        self.must_run()
        if self._process and self._process.alive:
            raise LabError("A worker process is at work, with its own code. Kill it first: process.kill()")
        if not workflows:
            raise LabError("There is nothing to deploy: hand in workflow classes, lab.deploy(MyWorkflow).")
        if self._watch:
            await self._watch  # the kernel's worker has taken over
        named = {workflow._Definition.must_from_class(one).name: one for one in self._workflows}
        named |= {self._defined(one).name: one for one in workflows}
        assert self._worker
        before, self._workflows = self._workflows, list(named.values())
        await self._worker.stop()
        try:
            await self._start_worker()
        except Exception as error:
            self._workflows = before
            await self._start_worker()
            raise LabError(f"Not deployed: {why(error)} The code from before runs on.") from error

    # Failures on purpose

    @awaited("lab.outage(…)")
    async def outage(
        self,
        service: str,
        *,
        hours: float | None = None,
        permanent: bool = False,
        silent: bool = False,
    ) -> OutageUnderWay:
        """Takes a service away. It really refuses; the activities stay as they are.

        Clocks are per conversation, so an outage of six hours is over for each conversation when its own clock
        is six hours ahead of now, and for a conversation that starts later, six hours after its start.

        Args:
            service: `database` (it is locked), `mail` (SMTP 451), `model` or `webhook` (HTTP 503).
            hours: How long, in the conversations' own time. Default: until it is ended.
            permanent: The refusal is one that no retry mends: SMTP 550, HTTP 401.
            silent: The mail server takes the connection and never says a word.

        Returns:
            The outage. `.end()` ends it early; as a context manager it ends with its block.
        """
        self.must_run()
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
        self._refusing = self._refusing or RefusingServers(self._folder.path)
        refusing, (_, others) = await self._refusing.start(), self._outages.read()
        if any(other.service == service for other in others):
            raise LabError(f"The {service} is out already: end that outage first, outage.end().")
        length = None if hours is None else timedelta(hours=hours)
        until = length and (datetime.now(UTC) + length).isoformat()
        outage = Outage(service, permanent, silent, hours, until)
        if length:
            async for running in self.client.list_workflows("ExecutionStatus = 'Running'"):
                outage.ends[running.id] = (await self._now_of(running.id) + length).isoformat()
        self._outages.write(refusing, [*others, outage])
        return OutageUnderWay(outage, self._outages)

    async def _now_of(self, id: str) -> datetime:
        return await self.clock.now(self.client.get_workflow_handle(id)) if self.clock else datetime.now(UTC)

    @awaited("lab.restart_server()")
    async def restart_server(self) -> None:
        """Kills the Temporal server, and starts it again on its file and its ports."""
        self.must_run()
        if self._server is None:
            raise LabError(f"The server at {self.address} is not this lab's own: restart it where it runs.")
        if self._persist is None:
            raise LabError(
                "This lab's server keeps its history in memory: killed, it would lose everything. Start the lab with "
                "a file, Lab.start(persist='juniper.db'), and it can be restarted."
            )
        ui, ports = self._server.ui_url is not None, self._server.ports
        self._server.stop()
        await self._start_server(ui, ports)

    # Conversations

    @awaited("lab.converse(…)")
    async def converse(
        self, workflow_class: type, customer: str, *, update: str = "send", close: str = "close"
    ) -> Conversation:
        """Starts a conversation.

        Args:
            workflow_class: A workflow of this lab, whose `run` takes the customer as its only argument.
            customer: The customer's name.
            update: The update handler that takes a message and returns the reply.
            close: The signal or update handler that ends the conversation.
        """
        self.must_run()
        definition = self._definition(workflow_class)
        if (
            not isinstance(customer, str)
            or not customer.strip()
            or len(customer) > 100
            or not customer.isprintable()
        ):
            raise LabError(
                f"A customer has a name of 1 to 100 printable characters, and not {str(customer)[:40]!r}."
            )
        if update not in definition.updates:
            known = ", ".join(str(name) for name in definition.updates) or "none"
            raise LabError(
                f"{workflow_class.__name__} has no update {update!r} (it has: {known}). "
                "Name the one that takes messages: lab.converse(…, update='…')."
            )
        slug = re.sub(r"[^a-z0-9]+", "-", customer.lower()).strip("-") or "customer"
        number = self._numbers.get(slug, 0) + 1
        # A database by URL may outlive a server whose ids begin anew: a key must not name two conversations.
        while not self._own_database and self._services.database.knows(f"{slug}-{number}"):
            number += 1
        while True:
            try:
                handle = await self._start_workflow(definition, customer, f"{slug}-{number}")
                self._numbers[slug] = number
                self._outages.begin_for(handle.id, datetime.now(UTC))
                self._known[handle.id] = (update, close, definition.ret_type)
                return self.conversation(handle.id)
            except WorkflowAlreadyStartedError:
                number += 1

    async def _start_workflow(self, definition: Any, customer: str, id: str) -> WorkflowHandle[Any, Any]:
        try:
            return await self.client.start_workflow(
                definition.name,
                customer,
                id=id,
                result_type=definition.ret_type,
                task_queue=self.task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                # How long a workflow task may be in the hands of a worker that has died.
                task_timeout=timedelta(seconds=3),
            )
        except RPCError as error:
            if self.clock and "time-skipping" in error.message.lower():  # somebody else's server
                self.clock, self.client = None, self._plain
                return await self._start_workflow(definition, customer, id)
            raise LabError(f"The conversation did not start: {error.message}{self.server_hint()}") from None

    def conversation(self, id: str) -> Conversation:
        """Finds a conversation again by its id."""
        if not isinstance(id, str):
            raise LabError(f"A conversation is found by its id, a text such as 'ada-1', and not by {id!r}.")
        update, close, result = self._known.get(id, ("send", "close", None))
        return Conversation(self, self.client.get_workflow_handle(id, result_type=result), update, close)

    def has_update(self, workflow_type: str, name: str) -> bool:
        """Whether a workflow of this lab takes `name` as an update. (If not, it is a signal.)"""
        definitions = [workflow._Definition.from_class(one) for one in self._workflows]
        return any(d and d.name == workflow_type and name in d.updates for d in definitions)

    @staticmethod
    def _defined(workflow_class: Any) -> Any:
        definition = (
            workflow._Definition.from_class(workflow_class) if isinstance(workflow_class, type) else None
        )
        if definition is None:
            raise LabError(f"{workflow_class!r} is not a workflow: a class with @workflow.defn is.")
        return definition

    def _definition(self, workflow_class: Any) -> Any:
        definition = self._defined(workflow_class)
        if workflow_class not in self._workflows:
            raise LabError(
                f"This lab's worker does not run {workflow_class.__name__}. "
                f"Start a lab that does: Lab.start(workflows=[{workflow_class.__name__}])."
            )
        return definition

    # From outside

    @awaited("lab.approver(…)")
    async def approver(self, name: str) -> Approver:
        """A person who decides about approvals with a second client, which knows no more than the server's address."""
        self.must_run()
        return Approver(await Client.connect(self.address, runtime=runtime()), name)

    @awaited("lab.cli(…)")
    async def cli(self, *arguments: str) -> str:
        """Runs Temporal's command line on this lab's server; returns what it printed.

        In a terminal it is the same with `--address` and `lab.address`. (Not with `!` in a cell: that would hold up
        the kernel, in which the lab's worker runs.)
        """
        self.must_run()
        process = await asyncio.create_subprocess_exec(
            temporal_binary(),
            *arguments,
            env={**os.environ, "TEMPORAL_ADDRESS": self.address, "TEMPORAL_DISABLE_VERSION_CHECK": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return output.decode().strip()

    # What services saw

    def inbox(self) -> pd.DataFrame:
        """The delivered mail: columns `to`, `subject`, `text`, in the order of arrival."""
        return pd.DataFrame(self._mailbox.mails, columns=["to", "subject", "text"])

    def table(self, name: str) -> pd.DataFrame:
        """A table of the desk's database."""
        from course.desk.services.database import metadata

        if name not in metadata.tables:
            raise LabError(f"There is no table {name!r}. There are: {', '.join(metadata.tables)}.")
        self.must_run()
        rows = self._services.database.rows(name)
        return pd.DataFrame(rows, columns=metadata.tables[name].columns.keys())

    @property
    def worker_failure(self) -> BaseException | None:
        return self._worker.failure if self._worker else None

    def server_hint(self) -> str:
        if self._server and not self._server.running:
            return f" The server has ended: {self._server.last_words()} Its log: {self._server.log}"
        return ""


_ALIVE: dict[Lab, int] = {}
"""Labs that have not been stopped, and the process that started each: a fork of it must not end them."""


def _end_all() -> None:
    for lab, process in list(_ALIVE.items()):
        if process == os.getpid():
            lab._end_with_python()


# Earlier than atexit, while threads can still be used: a worker cannot end what is under way without them.
threading._register_atexit(_end_all)  # type: ignore[attr-defined]
