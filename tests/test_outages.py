"""What an outage of the lab is: whose it is, how long, and who meets it.

What the desk does in one, activity by activity: test_policies.py.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from course import Lab, LabError
from course.desk import ConversationWorkflow
from tests.lab_helpers import mails, rows, until_failed

HOURS = timedelta(hours=1)


@pytest.fixture(autouse=True)
def outages_end(lab: Lab) -> Iterator[None]:
    """One lab for most of these tests: none leaves an outage behind."""
    yield
    for one in lab.outages():
        one.end()


async def test_an_outage_ends_for_each_conversation_by_its_own_clock(lab: Lab) -> None:
    ahead, behind = (
        await lab.converse(ConversationWorkflow, "ahead"),
        await lab.converse(ConversationWorkflow, "behind"),
    )
    await ahead.fast_forward(48 * HOURS)
    await lab.outage("database", hours=6)
    late = await lab.converse(ConversationWorkflow, "late")
    replies = [chat.begin("Hello!", timeout=3600) for chat in (ahead, behind, late)]
    for chat in (ahead, behind, late):
        await until_failed(chat, "save_to_database")
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
        chat = await other.converse(ConversationWorkflow, "ada")
        await chat.send("Hello!")
        assert (await chat.activities()).attempts.max() == 1
        assert len(mails(other, "ada")) == 1


async def test_a_proxy_makes_no_refusal_for_good_retryable(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # nobody is there, and nobody is asked
    chat = await lab.converse(ConversationWorkflow, "ada")
    with await lab.outage("model", permanent=True):
        await chat.send("Hello!")
        record = await chat.activities(times=True)
    row = record[record.activity == "invoke_model_activity"].iloc[0]
    assert (row.attempts, row.status) == (1, "failed")
    assert "401" in row.failure
    assert len(rows(lab, chat)) == 1
    assert "Welcome" in await chat.send("Hello!")


async def test_a_worker_process_meets_the_outage_too(lab: Lab) -> None:
    chat = await lab.converse(ConversationWorkflow, "ada")
    process = await lab.worker_process()
    with await lab.outage("database", hours=6):
        reply = chat.begin("Hello!")
        await until_failed(chat, "save_to_database")
        process.kill()
        await process.died()
        await chat.fast_forward(7 * HOURS)
        await reply
    record = await chat.activities()
    assert record[record.activity == "invoke_model_activity"].status.tolist() == ["completed"]
    assert len(rows(lab, chat)) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"service": "fax"}, "There is no service 'fax' to take away: choose one of database, mail"),
        ({"service": "mail", "hours": -1}, "An outage has a length in hours, such as hours=6, and not -1"),
        ({"service": "mail", "hours": "six"}, "and not 'six'"),
        ({"service": "mail", "hours": float("nan")}, "and not nan"),
        ({"service": "database", "permanent": True}, "A database refuses for a while"),
        ({"service": "database", "silent": True}, "cannot be silent here: silent= is for mail"),
        (
            {"service": "mail", "permanent": True, "silent": True},
            "cannot be silent here: silent= is for mail",
        ),
    ],
)
async def test_an_outage_that_makes_no_sense(lab: Lab, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(LabError, match=says):
        await lab.outage(**arguments)


async def test_an_outage_that_is_over_ends_no_other(lab: Lab) -> None:
    first = await lab.outage("mail", permanent=True)
    first.end()
    second = await lab.outage("mail", permanent=True)
    first.end()
    chat = await lab.converse(ConversationWorkflow, "ben")
    await chat.send("Hello!")
    record = await chat.activities()
    assert record.loc[record.activity == "send_notification", "status"].tolist() == ["failed"]
    second.end()
    await chat.send("Hello!")
    assert (await chat.activities()).status.iloc[-1] == "completed"
    assert len(mails(lab, "ben")) == 1


async def test_a_server_without_a_file_is_not_restarted(lab: Lab) -> None:
    with pytest.raises(LabError, match=r"keeps its history in memory.*persist='juniper.db'"):
        await lab.restart_server()
    chat = await lab.converse(ConversationWorkflow, "ada")
    await chat.send("Hello!")
