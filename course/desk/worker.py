"""The desk's worker: `serve`, and before it `set_up` and `check`. Each returns the program's exit code."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

from agents import ModelProvider
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.worker import Worker, WorkerDeploymentConfig

from course.desk import activities, looking, settings, telemetry
from course.desk.answering import why
from course.desk.conversation import ConversationWorkflow
from course.desk.heartbeats import Heartbeats
from course.desk.jobs import CleanupWorkflow, WeeklyReportWorkflow
from course.desk.looking import Away
from course.desk.plugin import agents_plugin
from course.desk.services import Database, Services, ServicesInterceptor
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
OPTIONS = {  # of every worker: this one, and the lab's
    "max_concurrent_activities": 100,
    # For what an activity notes itself: sent 0.4 s later at most, and not when 80 % of its timeout have passed.
    # The beats of `Heartbeats` do not pass here.
    "max_heartbeat_throttle_interval": timedelta(milliseconds=400),
    # How long a workflow task waits for the worker that had it last, before any other gets it.
    "sticky_queue_schedule_to_start_timeout": timedelta(seconds=1),
}
SECONDS_BETWEEN_LOOKS = 2
"""At a database that was away when the worker began."""


def versioned(version: WorkerDeploymentVersion | None) -> dict[str, Any]:
    """What a worker of a version has in addition to `OPTIONS`; nothing for a worker without one.

    A workflow stays with the version on which it began (it is pinned), so its code may change in any way. A conversation
    goes over to the current version in its next run: `renewal.py`. The jobs are pinned, too, since each run of a schedule
    begins on the version that is current then: as `AUTO_UPGRADE` they would gain nothing, and have to fit every later code.
    """
    if version is None:
        return {}
    pinned = WorkerDeploymentConfig(version, True, VersioningBehavior.PINNED)
    return {"deployment_config": pinned}


def set_up() -> int:
    """Makes the desk's tables, fills the shop, and makes its search attributes known."""
    done = "Nothing was set up."
    try:
        database, server = settings.database(), settings.temporal_server()
        looking.make_tables(database)
        done = f"The tables are there, and the shop is filled: {database.name}."
        print(done, asyncio.run(looking.make_names_known(server)))
    except (WrongSetting, Away) as error:
        print(done, error, file=sys.stderr)
        return 2 if isinstance(error, WrongSetting) else 1
    return 0


def check() -> int:
    """Says whether server, queue, database and mail answer."""
    try:
        found, server, _ = settings.services(), settings.temporal_server(), settings.model()
        version = settings.version()
    except WrongSetting as error:
        print(error, file=sys.stderr)
        return 2
    code, queue = 0, settings.task_queue()
    for look in (
        lambda: asyncio.run(looking.look_at_queue(server, queue, version)),
        lambda: looking.look_at_tables(found.database),
        *_looks(found),
    ):
        try:
            print(look())
        except (WrongSetting, Away) as error:
            print(error)
            code = 1
    return code


def _looks(found: Services) -> list[Callable[[], str]]:
    """Looks at what the desk sends to; at the webhook only if the environment names one."""
    webhook = [partial(looking.look_at_webhook, found.webhook)]
    return [
        partial(looking.look_at_mail, found.mail),
        *(webhook if os.environ.get("WEBHOOK_URL") else []),
    ]


def serve(grace: float) -> int:
    """Serves until a signal. Running activities may then go on for `grace` seconds."""
    logging.getLogger("temporalio.activity").addFilter(_one_line)
    try:
        found, server = settings.services(), settings.temporal_server()
        model, url, version = settings.model(), settings.traces(), settings.version()
        traces = [telemetry.trace_to(url)] if url else []
        plugins = [agents_plugin(model, traced=bool(url)), *traces]
        runtime = _runtime(settings.metrics())
        connecting = looking.connect(server, plugins=plugins, runtime=runtime)
        asyncio.run(_serve(found, model, connecting, timedelta(seconds=grace), version))
        if url:
            telemetry.send_the_rest()
        return 0
    except (WrongSetting, Away, ModuleNotFoundError) as error:
        more = ' (pip install ".[traces]")' if isinstance(error, ImportError) else ""
        print(f"The desk did not start. {error}{more}", file=sys.stderr)
        return 2


def _runtime(metrics: PrometheusConfig | None) -> Runtime:
    try:
        return Runtime(telemetry=TelemetryConfig(metrics=metrics))
    except (RuntimeError, ValueError) as error:
        at = f"METRICS_ADDRESS names no free port of this machine: {error}"
        raise WrongSetting(at) from None


async def _serve(
    found: Services,
    model: ModelProvider,
    connecting: Awaitable[Client],
    grace: timedelta,
    version: WorkerDeploymentVersion | None,
) -> None:
    client = await connecting
    worker = Worker(
        client,
        task_queue=settings.task_queue(),
        workflows=WORKFLOWS,
        activities=ACTIVITIES,
        activity_executor=ThreadPoolExecutor(100, thread_name_prefix="activity"),
        interceptors=[Heartbeats(client), ServicesInterceptor(found)],
        graceful_shutdown_timeout=grace,
        **versioned(version),
        **OPTIONS,
    )
    later = set()
    make_tables = partial(looking.make_tables, found.database)
    for look in (make_tables, *_looks(found)):
        try:
            look()
        except Away as error:
            print(f"{error} The desk waits for it, and retries what needs it.")
            if look is make_tables:
                later.add(asyncio.create_task(_make_tables_later(found.database)))
    asked_to_end = _signals()
    async with worker:
        print(
            f"Serving {worker.task_queue!r} at {client.service_client.config.target_host}. Ctrl+C ends it."
        )
        await asked_to_end.wait()
        print(
            f"Stopping: running activities have {grace.total_seconds():g} s to finish. A second signal stops at once."
        )
    await model.aclose()
    found.database.close()


async def _make_tables_later(database: Database) -> None:
    """Makes the tables as soon as the database is back."""
    while True:
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
        try:
            await asyncio.to_thread(looking.make_tables, database)
            return print(await asyncio.to_thread(looking.look_at_tables, database))
        except Away:
            continue
        except WrongSetting as error:
            return print(f"{error} Then start the desk again.")


def _one_line(record: logging.LogRecord) -> bool:
    """An attempt that fails is a line in the log, without its traceback: there may be thousands, and the history has the last."""
    if record.exc_info:
        record.msg, record.exc_info = f"{record.msg}: {why(record.exc_info[1])}", None
    return True


def _signals() -> asyncio.Event:
    """Is set by the first signal to end. The second ends the process at once."""
    asked = asyncio.Event()

    def ask(number: int) -> None:
        if asked.is_set():
            os._exit(128 + number)
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ask, number)
    return asked
