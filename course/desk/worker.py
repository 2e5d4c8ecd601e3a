"""A worker of the desk as a program: `python -m course.desk.worker`.

It serves any Temporal server. Where that is, it reads as every Temporal tool does, from the environment or a
profile file: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS_… (see `temporalio.envconfig`).
The desk's own services:

    TASK_QUEUE      the queue to serve (default: juniper)
    DATABASE_URL    any SQLAlchemy URL (default: sqlite:///desk.db)
    SMTP_ADDRESS    host:port of the mail server (default: 127.0.0.1:25)
    WEBHOOK_URL     where notices are posted (default: http://127.0.0.1:8080/)
    REPORTS         the folder for reports (default: reports)
    MODEL           a live model's name (default: the offline model, which is simulated)

It works until it gets SIGINT or SIGTERM, and then lets what runs come to its end.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError

from course.desk import ConversationWorkflow, activities
from course.desk.jobs import CleanupWorkflow, WeeklyReportWorkflow
from course.desk.services import (
    Database,
    Mail,
    Services,
    ServicesInterceptor,
    Shop,
    Webhook,
)
from course.lab.lab import TASK_QUEUE
from course.lab.worker import RunningWorker, agents_plugin, runtime
from course.models import ModelError, model_provider

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


def services_from_environment() -> Services:
    """Connects to the services that the environment names. Raises `SQLAlchemyError`, `ValueError`, `OSError`."""
    database = Database(os.environ.get("DATABASE_URL", "sqlite:///desk.db"))
    database.create()
    shop = Shop(database)
    shop.open()
    host, _, port = os.environ.get("SMTP_ADDRESS", "127.0.0.1:25").rpartition(":")
    reports = Path(os.environ.get("REPORTS", "reports"))
    reports.mkdir(parents=True, exist_ok=True)
    webhook = Webhook(os.environ.get("WEBHOOK_URL", "http://127.0.0.1:8080/"))
    return Services(
        database=database,
        shop=shop,
        mail=Mail(host, int(port)),
        webhook=webhook,
        reports=reports,
    )


async def work() -> None:
    services = services_from_environment()
    _, provider = model_provider(os.environ.get("MODEL") or None)
    connect = ClientConfig.load_client_connect_config()
    connect.setdefault("target_host", "127.0.0.1:7233")
    client = await Client.connect(
        **connect, plugins=[agents_plugin(provider)], runtime=runtime()
    )
    queue = os.environ.get("TASK_QUEUE", TASK_QUEUE)
    worker = RunningWorker(
        client,
        queue,
        WORKFLOWS,
        ACTIVITIES,
        [ServicesInterceptor(services)],
    )
    await worker.start()
    print(
        f"Serving {queue!r} at {client.service_client.config.target_host}. Ctrl+C ends it.",
        flush=True,
    )

    asked_to_end = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_end.set)
    await asked_to_end.wait()
    await worker.stop()
    await provider.aclose()


def give_up(sentence: str) -> NoReturn:
    """Ends the program at once: Temporal's native threads may still be trying to connect, and would abort Python's end."""
    print(sentence, file=sys.stderr, flush=True)
    os._exit(1)


def main() -> None:
    try:
        asyncio.run(work())
    except (ModelError, SQLAlchemyError, ValueError, OSError) as error:
        give_up(f"The worker did not start: {error}")
    except (RuntimeError, RPCError) as error:
        give_up(
            f"The worker did not start: there is no Temporal server to serve: {error}. Set TEMPORAL_ADDRESS."
        )


if __name__ == "__main__":
    main()
