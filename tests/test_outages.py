"""What an outage of the lab is: whose it is, how long, and who meets it; a server that is killed.

What the desk does in one, activity by activity: test_policies.py.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from course import Lab, LabError
from course.desk import ConversationWorkflow
from course.lab import Conversation
from course.lab.outages import OutageUnderWay

HOURS = timedelta(hours=1)


@pytest.fixture(scope="module")
async def shared_lab() -> AsyncIterator[Lab]:
    async with await Lab.start(workflows=[ConversationWorkflow], ui=False) as lab:
        yield lab


@pytest.fixture
def lab(shared_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """One lab for most of these tests: each ends the outages that it has begun."""
    begun = []

    async def outage(*args: Any, **options: Any) -> OutageUnderWay:
        begun.append(await Lab.outage(shared_lab, *args, **options))
        return begun[-1]

    monkeypatch.setattr(shared_lab, "outage", outage)
    yield shared_lab
    for one in begun:
        one.end()


async def talk(lab: Lab, name: str = "ada") -> Conversation:
    return await lab.converse(ConversationWorkflow, f"{name}-{uuid.uuid4().hex[:6]}")


def rows(lab: Lab, table: str, chat: Conversation) -> pd.DataFrame:
    found = lab.table(table)
    return found[found.task_id.str.split("/").str[0] == chat.id]


def mails(lab: Lab, chat: Conversation) -> list[str]:
    return [text for text in lab.inbox()["text"] if text.startswith(f"{chat.id.rpartition('-')[0]} ")]


async def until_refused(chat: Conversation, activity: str) -> pd.Series:
    """Waits until an activity waits for its second attempt at least, and returns its row of `pending()`."""
    async with asyncio.timeout(20):
        while True:
            table = await chat.pending()
            rows = table[(table.activity == activity) & table["last failure"].notna()]
            if len(rows):
                return rows.iloc[0]
            await asyncio.sleep(0.02)


def model_calls(record: pd.DataFrame) -> int:
    return int(((record.activity == "invoke_model_activity") & (record.status == "completed")).sum())


async def test_an_outage_ends_for_each_conversation_by_its_own_clock(lab: Lab) -> None:
    ahead, behind = await talk(lab, "ahead"), await talk(lab, "behind")
    await ahead.fast_forward(48 * HOURS)
    await lab.outage("database", hours=6)
    late = await talk(lab, "late")
    replies = [chat.begin("Hello!") for chat in (ahead, behind, late)]
    for chat in (ahead, behind, late):
        await until_refused(chat, "save_to_database")
    await ahead.fast_forward(7 * HOURS)
    await replies[0]
    assert not replies[1].done()
    await late.fast_forward(7 * HOURS)
    await replies[2]
    assert not replies[1].done()
    await behind.fast_forward(7 * HOURS)
    await replies[1]


async def test_an_outage_does_not_leak_into_another_lab(lab: Lab) -> None:
    await lab.outage("database", hours=6)
    await lab.outage("mail", hours=6)
    async with await Lab.start(ui=False) as other:
        chat = await talk(other)
        await chat.send("Hello!")
        assert (await chat.activities()).attempts.max() == 1
        assert len(mails(other, chat)) == 1


async def test_a_proxy_makes_no_refusal_for_good_retryable(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # nobody is there, and nobody is asked
    chat = await talk(lab)
    with await lab.outage("model", permanent=True):
        await chat.send("Hello!")
        record = await chat.activities(times=True)
    row = record[record.activity == "invoke_model_activity"].iloc[0]
    assert (row.attempts, row.status) == (1, "failed")
    assert "401" in row.failure
    assert len(rows(lab, "turns", chat)) == 1
    assert "Welcome" in await chat.send("Hello!")


async def test_a_worker_process_meets_the_outage_too(lab: Lab) -> None:
    chat = await talk(lab)
    process = await lab.worker_process()
    with await lab.outage("database", hours=6):
        reply = chat.begin("Hello!")
        await until_refused(chat, "save_to_database")
        process.kill()
        await process.died()
        await chat.fast_forward(7 * HOURS)
        await reply
    assert model_calls(await chat.activities()) == 1
    assert len(rows(lab, "turns", chat)) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"service": "fax"}, "There is no service 'fax' to take away: choose one of database, mail"),
        ({"service": "mail", "hours": -1}, "An outage has a length in hours, such as hours=6, and not -1"),
        ({"service": "mail", "hours": "six"}, "and not 'six'"),
        ({"service": "mail", "hours": float("nan")}, "and not nan"),
        ({"service": "database", "permanent": True}, "A database refuses for a while"),
    ],
)
async def test_an_outage_that_makes_no_sense(lab: Lab, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(LabError, match=says):
        await lab.outage(**arguments)


async def test_a_service_is_out_once(lab: Lab) -> None:
    await lab.outage("mail", hours=2)
    with pytest.raises(LabError, match="The mail is out already: end that outage first"):
        await lab.outage("mail", hours=3)


async def test_an_outage_that_is_over_ends_no_other(lab: Lab) -> None:
    first = await lab.outage("mail", permanent=True)
    first.end()
    second = await lab.outage("mail", permanent=True)
    first.end()
    chat = await talk(lab)
    await chat.send("Hello!")
    record = await chat.activities()
    assert record.loc[record.activity == "send_notification", "status"].tolist() == ["failed"]
    second.end()
    await chat.send("Hello!")
    assert (await chat.activities()).status.iloc[-1] == "completed"
    assert len(mails(lab, chat)) == 1


async def test_the_server_is_killed_with_a_turn_in_flight(tmp_path: Path) -> None:
    async with await Lab.start(persist=tmp_path / "juniper.db") as lab:
        chat = await talk(lab)
        outage = await lab.outage("database")
        reply = chat.begin("Hello!")
        await until_refused(chat, "save_to_database")
        address, ui_url = lab.address, lab.ui_url
        await lab.restart_server()
        assert (lab.address, lab.ui_url) == (address, ui_url)
        outage.end()
        await chat.fast_forward(HOURS)
        assert "Welcome" in await reply
        assert model_calls(await chat.activities()) == 1
        assert len(rows(lab, "turns", chat)) == 1


async def test_a_server_without_a_file_is_not_restarted(lab: Lab) -> None:
    with pytest.raises(LabError, match=r"keeps its history in memory.*persist='juniper.db'"):
        await lab.restart_server()
    chat = await talk(lab)
    await chat.send("Hello!")
