"""The baseline: the desk's turn as plain SDK code, with the same effects, and nothing of the course's lab.

The same agent and model, the same rows and mails; one worker as the SDK's documentation starts it. No
validator, no lock, no transcript, no keys, no tables.
"""

import asyncio
import smtplib
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

from agents import Agent, Model, Runner
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.openai_agents import ModelActivityParameters, OpenAIAgentsPlugin
from temporalio.openai_agents.testing import TestModelProvider
from temporalio.openai_agents.workflow import activity_as_tool
from temporalio.worker import Worker

MINUTE = timedelta(minutes=1)
PLACES = {"database": "", "mail_port": 0}


def database() -> sqlite3.Connection:
    return sqlite3.connect(PLACES["database"], timeout=10)


def create_tables(path: str) -> None:
    PLACES["database"] = path
    with database() as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE turns (conversation, turn, customer, message, answer)")
        db.execute("CREATE TABLE batches (conversation, number, messages, words)")
        db.execute("CREATE TABLE orders (id PRIMARY KEY, text)")
        db.execute("INSERT INTO orders VALUES ('1042', 'Order 1042: 1 × Monstera, 34.00 EUR, shipped.')")


def rows() -> int:
    """How many rows the turns and batches have left."""
    with database() as db:
        return sum(
            db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in ("turns", "batches")
        )


@activity.defn
def look_up_order(order_id: str) -> str:
    """Look up an order of the shop: what, how many, paid, and its state.

    Args:
        order_id: The order's number, such as 1042.
    """
    with database() as db:
        row = db.execute("SELECT text FROM orders WHERE id = ?", [order_id]).fetchone()
    return row[0] if row else f"There is no order {order_id!r}."


@activity.defn
def check_stock(plant: str) -> str:
    """Check how many of a plant are in stock, and its price.

    Args:
        plant: The plant's name, such as Monstera.
    """
    return f"{plant}: 4 in stock, 34.00 EUR each."


@activity.defn
def plain_save(row: list[Any]) -> None:
    with database() as db:
        db.execute("INSERT INTO turns VALUES (?, ?, ?, ?, ?)", row)


@activity.defn
def plain_notify(text: str) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"] = "desk@juniper.example", "team@juniper.example"
    mail["Subject"] = text[:70]
    mail.set_content(text)
    with smtplib.SMTP("127.0.0.1", PLACES["mail_port"], local_hostname="localhost") as smtp:
        smtp.send_message(mail)


@activity.defn
def plain_batch(conversation: str, number: int, messages: list[str]) -> None:
    words = sum(len(message.split()) for message in messages)
    with database() as db:
        db.execute("INSERT INTO batches VALUES (?, ?, ?, ?)", [conversation, number, len(messages), words])


@workflow.defn
class PlainWorkflow:
    @workflow.init
    def __init__(self, customer: str) -> None:
        self.agent = Agent(
            name="Juniper",
            instructions="""You are the support agent of Juniper, a shop for house plants. Answer in a few plain
sentences. Look up what you do not know. You cannot pay refunds: say that a colleague will decide.""",
            tools=[
                activity_as_tool(look_up_order, start_to_close_timeout=MINUTE),
                activity_as_tool(check_stock, start_to_close_timeout=MINUTE),
            ],
        )
        self.customer = customer
        self.memory: list[Any] = []
        self.messages: list[str] = []
        self.tasks: set[asyncio.Task[Any]] = set()
        self.done = False

    @workflow.run
    async def run(self, customer: str) -> int:
        await workflow.wait_condition(
            lambda: self.done and workflow.all_handlers_finished() and all(t.done() for t in self.tasks)
        )
        return len(self.messages)

    @workflow.update
    async def send(self, text: str) -> str:
        result = await Runner.run(self.agent, [*self.memory, {"role": "user", "content": text}])
        self.memory = result.to_input_list()
        self.messages.append(text)
        number, id, answer = len(self.messages), workflow.info().workflow_id, str(result.final_output)
        await workflow.execute_activity(
            plain_save, [id, number, self.customer, text, answer], start_to_close_timeout=MINUTE
        )
        notice = workflow.execute_activity(
            plain_notify, f"{self.customer}: {text}", start_to_close_timeout=MINUTE
        )
        self.tasks.add(asyncio.ensure_future(notice))
        if number % 3 == 0:
            batch = workflow.execute_activity(
                plain_batch, args=[id, number // 3, self.messages[-3:]], start_to_close_timeout=MINUTE
            )
            self.tasks.add(asyncio.ensure_future(batch))
        return answer

    @workflow.signal
    def close(self) -> None:
        self.done = True


@asynccontextmanager
async def plain_worker(address: str, model: Model):
    """A client and a worker as the documentation starts them. Yields the client."""
    plugin = OpenAIAgentsPlugin(
        model_params=ModelActivityParameters(start_to_close_timeout=MINUTE),
        model_provider=TestModelProvider(model),
    )
    client = await Client.connect(address, plugins=[plugin])
    with ThreadPoolExecutor(100) as threads:
        async with Worker(
            client,
            task_queue="plain",
            workflows=[PlainWorkflow],
            activities=[look_up_order, check_stock, plain_save, plain_notify, plain_batch],
            activity_executor=threads,
        ):
            yield client
