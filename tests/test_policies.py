"""The desk's policies as a table, and each of its cells proven on recorded history.

For every activity: which errors are retried and which are not, for how long, who waits meanwhile, and what the
customer (or whoever reads the transcript) is told when it ends. Time is the conversations' virtual clock.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sql

from course import Lab
from course.desk import ConversationWorkflow, worker
from course.desk.answering import APOLOGY
from course.desk.services import database
from course.lab import Conversation, everything
from course.lessons import record_tables
from course.lessons.lesson_02 import ToolsWorkflow
from course.lessons.lesson_04 import ProposalWorkflow
from tests.desks import WebhookDesk
from tests.lab_helpers import requests

SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))


LAB = {"workflows": [*everything.workflows(), WebhookDesk]}

# Ways in which a service is not there, and ways in which it refuses for good


def out(service: str, permanent: bool = False) -> Callable[..., AbstractAsyncContextManager[None]]:
    """The service refuses: for now (locked, SMTP 451, HTTP 503), or for good (SMTP 550, HTTP 401)."""

    @asynccontextmanager
    async def outage(lab: Lab, chat: Conversation) -> AsyncIterator[None]:
        with await lab.outage(service, permanent=permanent):
            yield

    return outage


def without(table: sql.Table) -> Callable[..., AbstractAsyncContextManager[None]]:
    """The database has lost this table, and no other."""

    @asynccontextmanager
    async def lost(lab: Lab, chat: Conversation) -> AsyncIterator[None]:
        table.drop(lab.world.services.database.engine)
        yield
        lab.world.services.database.create()

    return lost


def key_taken(table: sql.Table, key: str) -> Callable[..., AbstractAsyncContextManager[None]]:
    """Somebody has written under the key that this duty will use, and something else."""

    @asynccontextmanager
    async def taken(lab: Lab, chat: Conversation) -> AsyncIterator[None]:
        lab.world.services.database.insert_once(table, {"task_id": f"{chat.id}{key}"})
        yield

    return taken


@asynccontextmanager
async def nothing_is_wrong(lab: Lab, chat: Conversation) -> AsyncIterator[None]:
    yield


# The table


Trouble = tuple[Callable[..., AbstractAsyncContextManager[None]], str]
"""What is done to a service, and a part of the error that the activity meets."""


@dataclass(frozen=True)
class Row:
    """One activity in one workflow."""

    activity: str
    one_attempt: timedelta
    limit: timedelta | None
    """How long it is tried; None: for ever."""
    waits: str
    """`customer`, `nobody`, or `end`: the conversation's end waits."""
    out: Trouble
    """What is retried."""
    refuses: Trouble | None
    """What is not."""
    told: str
    """What is told when it ends, in the reply if the customer waits, else in the transcript."""
    desk: type = ConversationWorkflow
    messages: tuple[str, ...] = ("Hello!",)
    """The last of them needs the activity."""
    asks: str | None = None
    """The message that is refused for good. Default: the same ones."""

    def __str__(self) -> str:
        return f"{self.activity} of {self.desk.__name__}"


LOCKED: Trouble = (out("database"), "database is locked")
AT_ONCE, IN_THE_BACKGROUND = (10 * SECOND, 5 * MINUTE, "customer"), (30 * SECOND, 3 * DAY, "nobody")
FOR_EVER = (10 * SECOND, None, "customer")
TABLE = [
    Row(
        *("invoke_model_activity", 60 * SECOND, 10 * MINUTE, "customer"),
        (out("model"), "InternalServerError: Error code: 503"),
        (out("model", permanent=True), "Error code: 401"),
        APOLOGY,
    ),
    Row("look_up_order", *AT_ONCE, LOCKED, None, APOLOGY, ToolsWorkflow, ("Where is order 1042?",)),
    Row("check_stock", *AT_ONCE, LOCKED, None, APOLOGY, ToolsWorkflow, ("Do you have a Ficus?",)),
    Row(
        *("save_to_database", *FOR_EVER, LOCKED),
        (key_taken(database.turns, "/turn-1"), "turns already holds"),
        "saved failed: ApplicationError: KeyReused: turns already holds",
    ),
    Row(
        *("send_notification", *IN_THE_BACKGROUND),
        (out("mail"), "SMTPRecipientsRefused: {'team@juniper.example': (451,"),
        (out("mail", permanent=True), "refuses team@juniper.example for good: 550"),
        "notice failed: ",
    ),
    Row(
        *("send_notification", *IN_THE_BACKGROUND),
        (out("webhook"), "HTTPStatusError: Server error '503"),
        (out("webhook", permanent=True), "refuses for good: HTTP 401"),
        "notice failed: ",
        desk=WebhookDesk,
    ),
    Row(
        *("process_batch", *IN_THE_BACKGROUND),
        (without(database.batches), "no such table: batches"),
        (key_taken(database.batches, "/turn-3"), "batches already holds"),
        "batch failed: ",
        messages=("Hello!", "Thanks!", "Thank you!"),
    ),
    Row(
        *("generate_report", 30 * SECOND, 3 * DAY, "end"),
        (without(database.reports), "no such table: reports"),
        (key_taken(database.reports, ""), "reports already holds"),
        "report failed: ",
    ),
    Row(
        *("issue_refund", *FOR_EVER),
        (without(record_tables.refunds), "no such table: refunds"),
        (nothing_is_wrong, "Order 1042 was paid with"),
        "Order 1042 was paid with",
        ProposalWorkflow,
        ("Order 1043 arrived broken, please refund 5 EUR.",),
        "Please refund 49 EUR for order 1042.",
    ),
]
# Three days are many attempts: of the rows with that limit, the first goes all the way.
ALL_THE_WAY = [row for row in TABLE if row.limit and (row.limit < DAY or row.out[1].startswith("SMTP"))]


# What the tests do with a row


@dataclass
class Played:
    """A conversation whose activity is under way, or over."""

    chat: Conversation
    reply: Any
    """The last message's."""

    async def row_of(self, activity: str) -> pd.Series:
        record = await self.chat.activities(times=True)
        return record[record.activity == activity].iloc[0]

    async def replies(self) -> int:
        events = await self.chat.events()
        return int((events.event == "WorkflowExecutionUpdateCompleted").sum())

    async def told(self) -> str:
        """The reply, and the transcript with what the system noted."""
        return "\n".join([await self.reply, *(await self.chat.transcript()).text])


async def play(row: Row, chat: Conversation, messages: tuple[str, ...]) -> Played:
    for message in messages[:-1]:
        await chat.send(message)
    played = Played(chat, chat.begin(messages[-1]))
    await chat.activities()  # until nothing is in flight but what waits for a retry
    if row.waits == "end":
        await chat.handle.signal("close")
        await chat.activities()
    return played


async def recorded_policy(chat: Conversation, activity: str) -> tuple[timedelta, timedelta | None]:
    """start_to_close and schedule_to_close of its first scheduling."""
    asked = next(one for one in requests(await chat.history()) if one.activity_type.name == activity)
    assert asked.retry_policy.maximum_attempts == 0
    whole = asked.schedule_to_close_timeout.ToTimedelta()
    return asked.start_to_close_timeout.ToTimedelta(), whole or None


async def who_waits(played: Played, row: Row) -> str:
    if await played.replies() < len(row.messages):
        return "customer"
    state = await played.chat.handle.query("state")
    return "end" if state["closing"] else "nobody"


# The proofs


@pytest.mark.parametrize("row", TABLE, ids=str)
async def test_an_outage_is_retried_and_who_waits_is_known(lab: Lab, row: Row) -> None:
    chat = await lab.converse(row.desk, "ada")
    async with row.out[0](lab, chat):
        played = await play(row, chat, row.messages)
        [pending] = (await chat.pending()).to_dict("records")
        assert pending["activity"] == row.activity
        assert row.out[1] in pending["last failure"]
        assert await who_waits(played, row) == row.waits
        await chat.fast_forward(MINUTE if row.limit else HOUR)  # without a limit, only success ends it
        assert await who_waits(played, row) == row.waits
        assert (await played.row_of(row.activity)).status == "pending"
    await chat.fast_forward(5 * MINUTE)
    done = await played.row_of(row.activity)
    assert done.status == "completed"
    assert done.attempts > 5
    assert await recorded_policy(chat, row.activity) == (row.one_attempt, row.limit)
    assert await played.reply != APOLOGY
    assert "failed" not in "\n".join((await chat.transcript()).text)
    record = await chat.activities()
    others = record[record.activity != row.activity]
    assert (others.attempts == 1).all()  # the model's calls among them: asked once, paid once


@pytest.mark.parametrize("row", ALL_THE_WAY, ids=str)
async def test_at_its_limit_it_is_given_up_and_somebody_is_told(lab: Lab, row: Row) -> None:
    assert row.limit
    chat = await lab.converse(row.desk, "ada")
    async with row.out[0](lab, chat):
        played = await play(row, chat, row.messages)
        await chat.fast_forward(0.75 * row.limit)
        assert (await played.row_of(row.activity)).status == "pending"
        await chat.fast_forward(0.26 * row.limit)
        end = await played.row_of(row.activity)
    assert end.status == "failed"
    assert 0.75 * row.limit < end.closed - end.scheduled <= row.limit
    assert row.told in await played.told()
    assert await chat.send("Thanks!") != APOLOGY


@pytest.mark.parametrize("row", [row for row in TABLE if row.refuses], ids=str)
async def test_a_refusal_for_good_is_one_attempt_and_the_rest_goes_on(lab: Lab, row: Row) -> None:
    assert row.refuses
    refused, words = row.refuses
    chat = await lab.converse(row.desk, "ada")
    async with refused(lab, chat):
        played = await play(row, chat, (*row.messages[:-1], row.asks or row.messages[-1]))
        end = await played.row_of(row.activity)
    assert (end.status, end.attempts) == ("failed", 1)
    assert words in end.failure
    assert row.told in await played.told()
    record = await chat.activities()
    assert (record[record.activity != row.activity].status == "completed").all()
    assert await played.replies() == len(row.messages)
    if row.waits == "end":
        assert (await chat.close()).report is None
    else:
        assert await chat.send("Thanks!") != APOLOGY


def test_the_table_holds_every_activity_of_the_desk() -> None:
    served = {activity.__name__ for activity in worker.ACTIVITIES}
    jobs = {
        "write_weekly_report",
        "forget_words",
        "delete_reports",
    }  # nobody waits for them in a conversation
    assert {row.activity for row in TABLE} == {*served, "invoke_model_activity", "issue_refund"} - jobs
    assert {row.waits for row in TABLE} == {"customer", "nobody", "end"}
