"""The lab: a Temporal server, a worker, a database and a mailbox, all in the hands of one notebook."""

import asyncio
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import nest_asyncio2
import pandas as pd
from agents import Model
from IPython import get_ipython
from temporalio.client import Client
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.openai_agents import ModelActivityParameters, SandboxClientProvider

from course.lab import compat, everything
from course.lab.approver import Approver
from course.lab.awaiting import awaited
from course.lab.chat import Conversation
from course.lab.dataframes import show_tables
from course.lab.errors import LabError
from course.lab.life import Life, silence_what_is_let_go
from course.lab.live_model import chosen_model
from course.lab.outages import Failures, OutageProvider, OutageUnderWay
from course.lab.processes import WorkerProcess
from course.lab.receivers import WebhookReceiver
from course.lab.running import WorkerSettings, beside_the_cells, lab_plugin
from course.lab.runtime import Measured, choose, runtime
from course.lab.temporal import Temporal
from course.lab.versions import Versioned
from course.lab.workers import Workers
from course.lab.world import World

TASK_QUEUE = "juniper"


def prepare_python() -> None:
    """In a notebook: snippets from elsewhere that end in `asyncio.run(main())` work, and tables read well."""
    silence_what_is_let_go()
    if (shell := get_ipython()) is not None:
        nest_asyncio2.apply()
        show_tables(shell)
        pd.set_option("display.max_colwidth", 150)


class Lab(Measured, Versioned, AbstractAsyncContextManager["Lab"]):
    """Everything that a lesson needs, started with `await Lab.start()` and ended with `await lab.stop()`.

    Attributes:
        address: host:port of the Temporal server.
        ui_url: The URL of its Web UI, or None.
        task_queue: The queue of the lab's worker.
        model: The model that was handed in, or the lab's own offline model.
        reports: The folder with the reports that were written.
        webhooks: The receiver of webhooks; `.posts` is what came.
        temporal, world, workers, failures: What the lab is made of: the server and its client, the services, who does
            the work, the outages on purpose.
    """

    address: str
    ui_url: str | None
    task_queue: str
    model: Any
    reports: Path
    webhooks: WebhookReceiver
    temporal: Temporal
    world: World
    workers: Workers
    failures: Failures

    def __init__(self, life: Life | None = None) -> None:
        if life is None:
            raise LabError("A lab is started, and not made: lab = await Lab.start()")
        self._life = life
        self._talks: dict[str, dict[str, Any]] = {}  # how the conversations are talked to that began here
        self._numbers: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<Lab at {self.address}{', stopped' if self.temporal.stopped else ''}>"

    @classmethod
    @awaited("Lab.start(…)", "async with await Lab.start(…) as lab:")
    async def start(
        cls,
        *,
        workflows: Sequence[type] | None = None,
        activities: Sequence[Callable[..., Any]] | None = None,
        model: Model | str | None = None,
        model_calls: ModelActivityParameters | None = None,
        mcp_servers: Mapping[str, Callable[..., Any]] | None = None,
        sandbox_clients: Sequence[SandboxClientProvider] = (),
        database_url: str | None = None,
        ui: bool = True,
        persist: str | os.PathLike[str] | None = None,
        address: str | None = None,
        namespace: str = "default",
        task_queue: str | None = None,
        metrics: bool | int = False,
        tracing: str | None = None,
    ) -> "Lab":
        """Starts all of it.

        Args:
            workflows: Workflow classes of the worker. Default: every workflow of the course.
            activities: Activities of the worker. Default: every activity of the course.
            model: Nothing (the offline model), any `agents.Model`, or the name of a live model. A name is
                asked for at OPENAI_BASE_URL with OPENAI_API_KEY, and costs what that endpoint charges.
            model_calls: Timeouts and retries of a model call. Default: `course.desk.plugin.MODEL_CALLS`. They
                are the process's: with two labs in one kernel, those of the lab that was started last hold.
            mcp_servers, sandbox_clients: As `OpenAIAgentsPlugin` takes them.
            database_url: A SQLAlchemy URL of SQLite or PostgreSQL, or `postgresql` for a server of this lab's own, which goes with
                it (it needs no container, and works for root, too). Default: SQLite in the lab's own folder. Labs may share
                a database: no two conversations get the same id there. Orders, stock and refunds are then everybody's.
            ui: Whether the server brings its Web UI.
            persist: The server's database file. A lab that is started on it again goes on where it was. In a folder
                beside it (`juniper.db.desk`) are its rows, reports and mail; with `database_url=`, not the rows.
            address: host:port of a server that is already there, in place of one of the lab's own.
            namespace: The server's namespace. The lab's own server has it; another one must.
            task_queue: The queue of the lab's worker. Default: `juniper`, or at `address=` one that no other lab
                has. Name one to go on with the conversations of a lab that has ended; labs that live at the same time
                on one server must not share it, or each does a part of the other's work.
            metrics: Serves metrics of the kernel's worker, on loopback: True for a free port, or the port.
            tracing: Where to send traces (OTLP over HTTP), which hold what customers write. Default: nowhere. Both are the process's.

        Raises:
            LabError: Something could not be started. The message says what to do; nothing is left running.
        """
        if compat.reads_its_parents_script():
            # Not an Exception: nothing of the script may go on. What to do, its parent says.
            raise SystemExit("A script that is only being read must not start a lab.")
        _must_make_sense(address, persist, namespace, task_queue)
        choose(metrics, tracing)
        prepare_python()
        lab = cls(life := Life())
        try:
            lab.model, provider = chosen_model(model)
            life.stack.push_async_callback(lambda: beside_the_cells(provider.aclose()))
            lab.world = World(life)
            lab.failures = Failures(lab.world.folder)
            options = {"mcp_servers": mcp_servers, "sandbox_clients": sandbox_clients}
            refusable = OutageProvider(provider, lab.failures)
            try:
                plugin = lab_plugin(refusable, model_calls, **options)
            except (TypeError, ValueError, RuntimeError) as error:
                raise LabError(f"The Agents plugin does not take these options: {error}") from None
            lab.temporal = Temporal(plugin, life, lab.world.folder, namespace, persist)
            starting = asyncio.create_task(lab.temporal.start(address, ui))
            await asyncio.sleep(0)  # the server boots while the rest is made
            try:
                await lab.world.start(database_url, lab.temporal.desk_folder)
            finally:
                await starting
            lab.address, lab.ui_url = lab.temporal.address, lab.temporal.ui_url
            lab.reports, lab.webhooks = lab.world.services.reports, lab.world.webhooks
            lab.task_queue = task_queue or (f"{TASK_QUEUE}-{uuid4().hex[:8]}" if address else TASK_QUEUE)
            settings = WorkerSettings(
                address=lab.address,
                namespace=namespace,
                task_queue=lab.task_queue,
                workflows=everything.workflows() if workflows is None else workflows,
                activities=everything.activities() if activities is None else activities,
                model=lab.model,
                model_calls=model_calls,
                plugin_options=options,
                database_url=lab.world.services.database.url,
                mail_port=lab.world.mailbox.port,
                webhook_url=lab.webhooks.url,
                reports=lab.reports,
                outages=lab.failures.file,
                tracing=tracing,
            )
            lab.workers = Workers(settings, lab.temporal, lab.world, lab.failures)
            lab.world.owner = f"{lab.temporal.namespace_id}/{lab.task_queue}"
            life.stack.push_async_callback(lab.workers.stop)
            life.stack.push_async_callback(lab.failures.stop)
            await lab.workers.start()
        except BaseException:
            await life.stack.aclose()
            raise
        return lab

    @property
    def client(self) -> Client:
        """A `temporalio.client.Client` with the Agents plugin on it."""
        return self.temporal.client

    async def stop(self) -> None:
        """Ends the conversations' worker, the server, the database and the mailbox. Twice is once."""
        self.temporal.stopped = True
        await self._life.stack.aclose()

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    # Who does the work

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
        self.temporal.must_run()
        return await self.workers.start_process(kill)

    # Failures on purpose

    @awaited("lab.outage(…)", "with await lab.outage(…):")
    async def outage(
        self, service: str, *, hours: float | None = None, permanent: bool = False, silent: bool = False
    ) -> OutageUnderWay:
        """Takes a service away. It really refuses; the activities stay as they are.

        Clocks are per conversation, so an outage of six hours is over for each conversation when its own clock
        is six hours ahead of now, and for a conversation that starts later, six hours after its start.

        Args:
            service: `database` (it is locked), `mail` (SMTP 451), `model` or `webhook` (HTTP 503). In place of the
                database, whatever its engine, activities get a locked SQLite file: yours is left alone.
            hours: How long, in the conversations' own time. Default: until it is ended.
            permanent: The refusal is one that no retry overcomes: SMTP 550, HTTP 401.
            silent: The mail server takes the connection and never says a word.

        Returns:
            The outage. `.end()` ends it early; as a context manager it ends with its block.
        """
        self.temporal.must_run()
        return await self.failures.begin(self.temporal, service, hours, permanent, silent)

    def outages(self) -> list[OutageUnderWay]:
        """The outages that nobody has ended yet. `.end()` ends one."""
        self.temporal.must_run()
        return self.failures.under_way()

    @awaited("lab.restart_server()")
    async def restart_server(self) -> None:
        """Kills the Temporal server, and starts it again on its file and its ports."""
        self.temporal.must_run()
        await self.temporal.restart()

    # Conversations

    @awaited("lab.converse(…)")
    async def converse(
        self, workflow_class: type, customer: str, *, update: str = "send", close: str = "close"
    ) -> Conversation:
        """Starts a conversation. Its id is the customer's name and a number: `ada-1`.

        Args:
            workflow_class: A workflow of this lab, whose `run` takes the customer as its only argument.
            customer: The customer's name.
            update: The update handler that takes a message and returns the reply.
            close: The signal or update handler that ends the conversation.
        """
        self.temporal.must_run()
        _must_be_a_name(customer)
        definition = self.workers.served(workflow_class, update)
        id = await self._begin(definition.name, customer)
        self.failures.begin_for(id)
        self._talks[id] = {"update": update, "close": close, "result": definition.ret_type}
        return self.conversation(id)

    async def _begin(self, workflow: str, customer: str) -> str:
        """Starts a workflow under the first id that is free: `ada-1`, `ada-2`, … Server and database give it to one alone."""
        slug = re.sub(r"[^a-z0-9]+", "-", customer.lower()).strip("-") or "customer"
        for number in count(self._numbers[slug] + 1):
            id = f"{slug}-{number}"
            if not self.world.claim(id):
                continue
            try:
                await self.temporal.begin(workflow, customer, id=id, task_queue=self.task_queue)
            except BaseException as error:
                self.world.release(id)
                if not isinstance(error, WorkflowAlreadyStartedError):
                    raise
            else:
                self._numbers[slug] = number
                return id

    def conversation(self, id: str) -> Conversation:
        """Finds a conversation again by its id."""
        if not isinstance(id, str):
            raise LabError(f"A conversation is found by its id, a text such as 'ada-1', and not by {id!r}.")
        return Conversation(self.temporal, self.workers, id, **self._talks.get(id, {}))

    # From outside

    @awaited("lab.approver(…)")
    async def approver(self, name: str) -> Approver:
        """A person who decides about approvals with a second client, which knows no more than the server's address."""
        self.temporal.must_run()
        client = await Client.connect(self.address, namespace=self.temporal.namespace, runtime=runtime())
        return Approver(client, name)

    @awaited("lab.cli(…)")
    async def cli(self, *arguments: str) -> str:
        """Runs Temporal's command line against this lab's server; returns what it printed.

        In a terminal it is the same with `--address` and `--namespace`.
        """
        self.temporal.must_run()
        return await self.temporal.cli(*arguments)

    # What services saw

    def inbox(self) -> pd.DataFrame:
        """The mail that was delivered to this lab's mailbox: columns `to`, `subject`, `text`, in the order of arrival."""
        self.temporal.must_run()
        return pd.DataFrame(list(self.world.mailbox.mails), columns=["to", "subject", "text"])

    def table(self, name: str) -> pd.DataFrame:
        """A table of the desk's database.

        Where labs share a database, the rows of conversations that other labs have begun are left out. (A lab is the
        same one again on its persist file, or by its `task_queue=` on a server.) Rows that no lab's conversation wrote
        are everybody's: the shop's, those of jobs. `pandas.read_sql_table(name, database_url)` shows all.

        Raises:
            LabError: There is no such table, or the database does not answer.
        """
        self.temporal.must_run()
        return self.world.table(name)


def _must_make_sense(address: Any, persist: Any, namespace: Any, task_queue: Any) -> None:
    if address is not None and not (isinstance(address, str) and address):
        raise LabError(f"address= is host:port in a text, such as '127.0.0.1:7233', and not {address!r}.")
    if address and persist:
        raise LabError(
            "persist= is for the lab's own server and address= for another one: choose one of them."
        )
    for option, value in (("namespace", namespace), ("task_queue", task_queue)):
        if not ((isinstance(value, str) and value.strip()) or (option == "task_queue" and value is None)):
            raise LabError(f"{option}= is a name, such as 'juniper', and not {value!r}.")


def _must_be_a_name(customer: Any) -> None:
    is_text = isinstance(customer, str) and customer.strip() and customer.isprintable()
    if not is_text or len(customer) > 100:
        named = str(customer)[:40]
        raise LabError(f"A customer has a name of 1 to 100 printable characters, and not {named!r}.")
