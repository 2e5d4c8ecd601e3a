"""The desk's worker: it connects, looks whether everything answers, and serves. See `__main__.py`."""

import asyncio
import os
import re
import signal
import smtplib
import socket
import sys
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from agents import ModelProvider
from sqlalchemy.exc import SQLAlchemyError
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeTaskQueueRequest,
)
from temporalio.client import Client
from temporalio.envconfig import ClientConnectConfig
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from course.desk import activities, settings
from course.desk.conversation import ConversationWorkflow
from course.desk.heartbeats import Heartbeats
from course.desk.jobs import CleanupWorkflow, WeeklyReportWorkflow
from course.desk.plugin import agents_plugin
from course.desk.services import (
    Database,
    Mail,
    Services,
    ServicesInterceptor,
    Shop,
    Webhook,
)
from course.desk.settings import WrongSetting

WORKFLOWS = [ConversationWorkflow, WeeklyReportWorkflow, CleanupWorkflow]
ACTIVITIES = [
    activities.save_to_database,
    activities.send_notification,
    activities.process_batch,
    activities.generate_report,
    activities.write_weekly_report,
    activities.forget_words,
    activities.delete_reports,
    activities.look_up_order,
    activities.check_stock,
]
SECONDS_BETWEEN_LOOKS = 2
"""At a database that was away when the worker began."""

WAITED_FOR = "It is waited for: what needs it is tried again."


class Away(Exception):
    """Something does not answer now, and may answer later. The message is a sentence."""


def serve(grace: float) -> int:
    """Serves until a signal; running activities may then go on for `grace` seconds. Returns the exit code."""
    try:
        found, server, provider = (
            settings.services(),
            settings.temporal_server(),
            settings.model(),
        )
        return asyncio.run(_serve(found, server, provider, timedelta(seconds=grace)))
    except (WrongSetting, Away) as error:
        print(f"The desk does not start. {error}", file=sys.stderr)
        return 2


def set_up() -> int:
    """Makes the desk's tables and fills the shop. Returns the exit code."""
    try:
        database = settings.database()
        make_tables(database)
    except (WrongSetting, Away) as error:
        print(f"Nothing was set up. {error}", file=sys.stderr)
        return 2 if isinstance(error, WrongSetting) else 1
    print(f"The tables are there, and the shop is filled: {database.name}.")
    return 0


def check() -> int:
    """Says of server, queue, database and mail whether they answer. Returns the exit code."""
    try:
        found, server = settings.services(), settings.temporal_server()
        settings.model()
    except WrongSetting as error:
        print(error, file=sys.stderr)
        return 2
    code = 0
    looks = [
        lambda: asyncio.run(_look_at_server(server)),
        lambda: look_at_tables(found.database),
    ]
    for look in [*looks, *_looks(found)]:
        try:
            print(look(), flush=True)
        except (WrongSetting, Away) as error:
            print(error, flush=True)
            code = 1
    return code


async def _serve(
    found: Services, server: ClientConnectConfig, provider: ModelProvider, grace: timedelta
) -> int:
    client = await connect(server, plugins=[agents_plugin(provider)])
    threads = ThreadPoolExecutor(100, thread_name_prefix="activity")
    worker = Worker(
        client,
        task_queue=settings.task_queue(),
        workflows=WORKFLOWS,
        activities=ACTIVITIES,
        activity_executor=threads,
        max_concurrent_activities=100,
        interceptors=[Heartbeats(), ServicesInterceptor(found)],
        graceful_shutdown_timeout=grace,
        # Heartbeats are sent as they are made. By default one waits until 80 % of its timeout have passed, and
        # a worker on a busy machine that is a little late with it is taken for dead.
        max_heartbeat_throttle_interval=timedelta(milliseconds=400),
        # How long a workflow task waits for the worker that had it last, before any other gets it.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
    )
    coming = await _tables(found.database, threads)
    for look in _looks(found):
        try:
            look()
        except Away as error:
            print(f"{error} {WAITED_FOR}", flush=True)
    asked_to_end = _on_signals()
    async with worker:
        print(
            f"Serving {worker.task_queue!r} at {server['target_host']}. Ctrl+C ends it.",
            flush=True,
        )
        await asked_to_end.wait()
        print(
            f"Ending. Running activities may take {grace.total_seconds():g} s; a second signal ends at once.",
            flush=True,
        )
    if coming:
        coming.cancel()
    await provider.aclose()
    found.database.close()
    return 0


def _on_signals() -> asyncio.Event:
    """Is set by the first signal to end. The second ends the process at once."""
    asked = asyncio.Event()

    def ask(number: int) -> None:
        if asked.is_set():
            os._exit(128 + number)
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ask, number)
    return asked


# The Temporal server


async def connect(server: ClientConnectConfig, **options: Any) -> Client:
    """A client whose namespace is there. Raises `Away` or `WrongSetting`."""
    address, namespace = server["target_host"], server["namespace"]
    try:
        client = await Client.connect(**server, **options)
        await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=namespace)
        )
        return client
    except (RuntimeError, ValueError, RPCError) as error:
        raise _no_connection(error, address, namespace) from None


def _no_connection(error: Exception, address: str, namespace: str) -> Away | WrongSetting:
    status, whole = getattr(error, "status", None), str(error)
    said = _in_short(whole)
    if status is RPCStatusCode.NOT_FOUND:
        return WrongSetting(
            f"The Temporal server at {address} has no namespace {namespace!r}: set TEMPORAL_NAMESPACE, or create it "
            f"(temporal operator namespace create --namespace {namespace})."
        )
    if status in REFUSALS or "Unauthenticated" in whole or "PermissionDenied" in whole:
        return WrongSetting(
            f"The Temporal server at {address} does not let this worker in: {said}. See TEMPORAL_API_KEY, or the "
            "client certificate that TEMPORAL_TLS_CLIENT_CERT_PATH names."
        )
    if "InvalidCertificate" in whole:
        return WrongSetting(
            f"The certificate of the Temporal server at {address} is not one to trust: {said}. "
            "TEMPORAL_TLS_SERVER_CA_CERT_PATH names the authority that signed it, TEMPORAL_TLS_SERVER_NAME the name in it."
        )
    if "tcp connect error" in whole or "dns error" in whole or status:
        return Away(
            f"No Temporal server answers at {address} ({said}): start it, or set TEMPORAL_ADDRESS."
        )
    # One and the same error for TLS at one end only, and for a client certificate that is asked for and missing.
    return WrongSetting(
        f"Something answers at {address}, and no connection was made ({said}). Either only one end speaks TLS "
        "(TEMPORAL_TLS=true turns it on, and so does TEMPORAL_API_KEY), or the server asks for a client certificate "
        "(TEMPORAL_TLS_CLIENT_CERT_PATH, TEMPORAL_TLS_CLIENT_KEY_PATH), or it is no Temporal server."
    )


def _in_short(said: str) -> str:
    """The words of the operating system or the server, out of the native client's wrappings."""
    words = re.findall(r'(?:message|error): "([^"]+)"', said)
    return words[-1] if words else said.removeprefix("Failed client connect: ")


REFUSALS = (RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED)


async def _look_at_server(server: ClientConnectConfig) -> str:
    """Says that the server answers, and that a worker polls the queue."""
    client, queue = await connect(server), settings.task_queue()
    print(
        f"The Temporal server answers at {server['target_host']}, namespace {client.namespace!r}."
    )
    polled = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
    )
    if not polled.pollers:
        raise Away(
            f"No worker serves the task queue {queue!r}: start one with python -m course.desk."
        )
    return f"A worker serves the task queue {queue!r}."


# The desk's own services


def make_tables(database: Database) -> None:
    """Makes what is missing. Raises `Away` while the database is, and `WrongSetting` where no tables can be made."""
    for last in (False, True):
        try:
            database.create()
            return Shop(database).open()
        except SQLAlchemyError as error:
            if database.is_away(error):
                raise Away(
                    f"The database {database.name} does not answer ({reason(error)})."
                ) from None
            if last:  # not the first time: another worker may be making the same table
                raise WrongSetting(
                    f"The desk's tables cannot be made in {database.name}: {reason(error)}. Set DATABASE_URL to a "
                    "database where this user may make tables."
                ) from None


async def _tables(database: Database, threads: Executor) -> asyncio.Task[None] | None:
    """Makes the tables: now, or in a task for when the database is back."""
    try:
        make_tables(database)
        return None
    except Away as error:
        print(f"{error} {WAITED_FOR}", flush=True)
    loop = asyncio.get_running_loop()

    async def when_it_is_back() -> None:
        while True:
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
            try:
                await loop.run_in_executor(threads, make_tables, database)
                return print(
                    f"The database {database.name} is back, and has the desk's tables.",
                    flush=True,
                )
            except Away:
                continue
            except WrongSetting as error:
                return print(
                    f"The database is back. {error} Then start the desk again.", flush=True
                )

    return loop.create_task(when_it_is_back())


def look_at_tables(database: Database) -> str:
    try:
        missing = database.missing_tables()
    except SQLAlchemyError as error:
        raise Away(
            f"The database {database.name} does not answer ({reason(error)})."
        ) from None
    if missing:
        raise Away(
            f"The database {database.name} answers, and has no table {', '.join(missing)}: "
            "python -m course.desk --setup makes them."
        )
    return f"The database {database.name} answers, and has the desk's tables."


def reason(error: SQLAlchemyError) -> str:
    """What the driver says, in one line and without the statement."""
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]


def _looks(found: Services) -> list[Callable[[], str]]:
    """Looks at what is sent to; the webhook only where the environment names one. Each says so, or raises `Away`."""
    looks = [partial(look_at_mail, found.mail)]
    if os.environ.get("WEBHOOK_URL"):
        looks.append(partial(look_at_webhook, found.webhook))
    return looks


def look_at_mail(mail: Mail) -> str:
    try:
        with smtplib.SMTP(
            mail.host, mail.port, local_hostname="localhost", timeout=5
        ) as smtp:
            smtp.noop()
    except (smtplib.SMTPException, OSError) as error:
        raise Away(
            f"The mail server {mail.host}:{mail.port} does not answer ({error})."
        ) from None
    return f"The mail server answers at {mail.host}:{mail.port}."


def look_at_webhook(webhook: Webhook) -> str:
    """Connects, and posts nothing."""
    parts = urlsplit(webhook.url)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    try:
        socket.create_connection((parts.hostname, port), timeout=5).close()
    except OSError as error:
        raise Away(f"The webhook {webhook.url} does not answer ({error}).") from None
    return f"The webhook answers at {webhook.url}."
