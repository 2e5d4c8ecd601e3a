"""The desk: a conversation's turn, its duties, and what becomes of failures."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import anyio
import pandas as pd
import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError

from course import Lab, LabError
from course.desk import ConversationWorkflow
from course.desk.answering import APOLOGY
from course.desk.memory import NOTES
from course.desk.services import database
from course.lab.running import beside_the_cells
from course.models import ToolCall
from course.models.offline import status_error
from tests.lab_helpers import accepted, count, mails, requests, rows, scheduled, until, until_failed
from tests.lab_strangers import AsksOnce

pytestmark = pytest.mark.usefixtures("own_rules")


@pytest.fixture(scope="module")
async def lab() -> AsyncIterator[Lab]:
    async with await Lab.start(workflows=[ConversationWorkflow, AsksOnce], ui=False) as lab:
        yield lab


# The turn


async def test_three_messages_and_the_end(lab: Lab) -> None:
    chat = await lab.converse(ConversationWorkflow, "ada")
    asked = ["Where is order 1042?", "Do you have a Ficus?", "Thanks"]
    answers = [await chat.send(text) for text in asked]
    assert "Order 1042: 1 × Monstera, 34.00 EUR, shipped." in answers[0]
    assert "Ficus: 12 in stock" in answers[1]

    saved = rows(lab, chat)
    assert [row["task_id"] for row in saved] == [f"ada-1/turn-{n}" for n in (1, 2, 3)]
    assert [row["message"] for row in saved] == asked
    assert [row["answer"] for row in saved] == answers
    assert {(row["customer"], row["outcome"], row["conversation"]) for row in saved} == {
        ("ada", "answered", "ada-1")
    }

    await chat.transcript()  # quiet
    state = await chat.handle.query("state")
    assert state == {"customer": "ada", "turns": 3, "answered": 3, "duties_running": 0, "closing": False}
    summary = await chat.close()
    assert (summary.customer, summary.turns, summary.answered) == ("ada", 3, 3)
    assert sorted(mails(lab, "ada")) == sorted(f"ada wrote, and was answered: {text}" for text in asked)
    [batch] = rows(lab, chat, "batches")
    assert (batch["batch_num"], batch["messages"], batch["questions"], batch["orders"]) == (1, 3, 2, "1042")
    [report] = rows(lab, chat, "reports")
    assert (report["turns"], report["answered"], report["file"]) == (3, 3, summary.report)
    page = (lab.reports / summary.report).read_text(encoding="utf-8")
    assert all(text in page for text in ("Where is order 1042?", "Monstera", "<table>", "<img src="))

    told = await chat.transcript()
    assert list(told.columns) == ["turn", "role", "text"]
    assert [tuple(line) for line in told.itertuples(index=False)] == [
        (1, "customer", asked[0]), (1, "agent", answers[0]), (1, "system", "saved"), (1, "system", "sent by email"),
        (2, "customer", asked[1]), (2, "agent", answers[1]), (2, "system", "saved"), (2, "system", "sent by email"),
        (3, "customer", asked[2]), (3, "agent", answers[2]), (3, "system", "saved"), (3, "system", "sent by email"),
        (3, "system", "learned from turns up to 3"),
        (pd.NA, "system", f"report written: {summary.report}"),
    ]  # fmt: skip
    assert count(await chat.history()) == {
        "invoke_model_activity": 5, "look_up_order": 1, "check_stock": 1, "save_to_database": 3,
        "send_notification": 3, "process_batch": 1, "generate_report": 1,
    }  # fmt: skip
    assert "clean" in await chat.replay(ConversationWorkflow)


async def test_the_reply_waits_for_the_record_and_for_nothing_else(lab: Lab) -> None:
    chat = await lab.converse(ConversationWorkflow, "waits")
    mail = lab.world.mailbox
    await beside_the_cells(mail.stop())
    try:
        await chat.send("Hello")
        assert [row["turn"] for row in rows(lab, chat)] == [1]
        assert scheduled(await chat.history())[:2] == ["invoke_model_activity", "save_to_database"]
        waiting = await until_failed(chat, "send_notification")
        assert waiting["attempt"] >= 2
        assert "Connection refused" in waiting["last failure"]
        assert mails(lab, "waits") == []
        assert await chat.send("Are you there?")
    finally:
        await beside_the_cells(mail.start())
    await chat.fast_forward(timedelta(minutes=10))
    assert (await chat.pending()).empty
    await chat.close()
    assert len(mails(lab, "waits")) == 2


async def test_memory_goes_from_turn_to_turn(lab: Lab) -> None:
    chat = await lab.converse(ConversationWorkflow, "memory")
    await chat.send("My name is Ada")
    await chat.send("Where is order 1043?")
    assert await chat.send("What is my name?") == "Your name is Ada."
    assert "1043" in await chat.send("Which order did I ask about?")


# Who is who: message identity


async def test_a_signal_beside_the_update_and_a_repeat_is_one_turn(lab: Lab) -> None:
    chat = await lab.converse(ConversationWorkflow, "signal")
    for text in ("Where is order 1042?", "Where is order 1042?", "something else under the same id"):
        await chat.handle.signal("post", args=["mail-7", text])
    await chat.handle.signal("post", args=["mail-8", " "])  # refused: dropped
    await chat.handle.signal("post", args=["mail-9", "Do you have a Ficus?"])
    await until(lambda: len(rows(lab, chat)) == 2, "two rows")
    await chat.send("What is my name?")
    saved = rows(lab, chat)
    assert [row["message"] for row in saved[:2]] == ["Where is order 1042?", "Do you have a Ficus?"]
    assert [row["turn"] for row in saved] == [1, 2, 3]
    await chat.close()
    assert len(mails(lab, "signal")) == 3


async def test_the_same_update_id_twice_is_one_turn(lab: Lab) -> None:
    chat = await lab.converse(ConversationWorkflow, "twice")
    replies: list[str] = []

    async def send() -> None:
        replies.append(await chat.handle.execute_update("send", "Where is order 1042?", id="message-1"))

    async with anyio.create_task_group() as group:
        group.start_soon(send)
        group.start_soon(send)
    await send()
    assert len(replies) == 3
    assert len(set(replies)) == 1
    assert len(rows(lab, chat)) == 1
    assert count(await chat.history())["invoke_model_activity"] == 2
    await chat.handle.signal("post", args=["message-1", "the same id by the other way"])
    await chat.close()
    assert len(rows(lab, chat)) == 1


async def test_twenty_five_messages_at_once(lab: Lab) -> None:
    chat = await lab.converse(ConversationWorkflow, "many")
    answers: dict[int, str] = {}

    async def send(number: int) -> None:
        answers[number] = await chat.send(f"Where is order {2000 + number}?", timeout=60)

    async with anyio.create_task_group() as group:
        for number in range(25):
            group.start_soon(send, number)
    assert {n: str(2000 + n) in text for n, text in answers.items()} == dict.fromkeys(range(25), True)

    summary = await chat.close(timeout=60)
    history = await chat.history()
    messages = accepted(history)
    saved = sorted(rows(lab, chat), key=lambda row: row["turn"])
    assert [row["turn"] for row in saved] == list(range(1, 26))
    assert [row["message"] for row in saved] == messages  # numbered in the order of acceptance
    assert all(row["message"][-5:-1] in row["answer"] for row in saved)
    assert (summary.turns, summary.answered) == (25, 25)
    learned = sorted(rows(lab, chat, "batches"), key=lambda row: row["batch_num"])
    assert [row["batch_num"] for row in learned] == list(range(1, 9))
    covered = [order for row in learned for order in row["orders"].split(", ")]
    assert covered == [o for k in range(8) for o in sorted(m[-5:-1] for m in messages[3 * k : 3 * k + 3])]
    assert len(mails(lab, "many")) == 25
    # No overlap: each turn's first model call holds the messages right before it, and no more. (From the
    # twentieth on, the oldest of them are notes.)
    told = told_before(history)
    assert [len(before) for before in told[:20]] == list(range(20))
    assert min(len(before) for before in told[20:]) >= 10
    assert told == [messages[n - len(before) : n] for n, before in enumerate(told)]


def told_before(history: Any) -> list[list[str]]:
    """For each turn's first model call, in order: the customer's messages that it was given before."""
    found = []
    for call in requests(history):
        if call.activity_type.name == "invoke_model_activity":
            given = json.loads(call.input.payloads[0].data)
            if given["input"][-1].get("role") == "user" and given["tools"]:  # not the note-taker's
                said = [item["content"] for item in given["input"] if item.get("role") == "user"]
                found.append([text for text in said if not text.startswith(NOTES)][:-1])
    return found


# The agent fails: the desk does not


FAILURES = {
    "refuses for good": [status_error(403, "no")],
    "out of turns": [ToolCall("look_up_order", {"order_id": "1042"})] * 30,
    "invents a tool": [ToolCall("consult_the_gardener", {})],
    "malformed arguments": [ToolCall("look_up_order", '{"order_id": ')],
    "mistyped arguments": [ToolCall("look_up_order", {"order_id": {"x": [1]}})],
    "arguments missing": [ToolCall("look_up_order", {})],
    "no words": [""],
    "arguments no object": [ToolCall("look_up_order", "[1042]")],
}


@pytest.mark.parametrize("kind", FAILURES)
async def test_business_steps_run_when_the_agent_fails(lab: Lab, kind: str) -> None:
    lab.model.script = FAILURES[kind]
    chat = await lab.converse(ConversationWorkflow, kind)
    assert await chat.send("Where is order 1042?") == APOLOGY
    [row] = rows(lab, chat)
    assert (row["outcome"], row["answer"], row["message"]) == ("apologised", APOLOGY, "Where is order 1042?")
    lab.model.script = []
    assert "1043" in await chat.send("Where is order 1043?")
    summary = await chat.close()
    assert (summary.turns, summary.answered) == (2, 1)
    assert [row["outcome"] for row in rows(lab, chat)] == ["apologised", "answered"]
    assert mails(lab, kind)[0] == f"{kind} wrote, and was apologised: Where is order 1042?"
    assert len(mails(lab, kind)) == 2


# One step fails: the others do not


async def test_a_records_permanent_failure_costs_the_others_nothing(lab: Lab) -> None:
    lab.world.services.database.insert_once(
        database.turns, {"task_id": "taken-1/turn-1", "message": "somebody else's", "details": None}
    )
    chat = await lab.converse(ConversationWorkflow, "taken")
    assert "1042" in await chat.send("Where is order 1042?")
    assert "Ficus" in await chat.send("Do you have a Ficus?")
    await chat.send("Thanks")
    await chat.close()
    told = await chat.transcript()
    [failed] = [text for text in told["text"] if text.startswith("saved failed")]
    assert "turns already holds 'taken-1/turn-1' with another" in failed
    assert {row["message"] for row in rows(lab, chat)} == {
        "somebody else's", "Do you have a Ficus?", "Thanks",
    }  # fmt: skip
    assert len(mails(lab, "taken")) == 3
    assert [row["batch_num"] for row in rows(lab, chat, "batches")] == [1]
    assert len(rows(lab, chat, "reports")) == 1


@pytest.mark.filterwarnings("ignore:.*TMPRL1102")
async def test_cancellation_is_not_swallowed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def never(*_: Any, **__: Any) -> None:
        asked.append("in flight")
        await anyio.sleep_forever()

    monkeypatch.setattr(lab.model, "get_response", never)
    for workflow in (ConversationWorkflow, AsksOnce):
        asked.clear()
        chat = await lab.converse(workflow, "cancel")
        reply = chat.begin("Hello")
        await until(lambda: asked, "a model call in flight")
        await chat.handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await chat.handle.result()
        assert (await chat.handle.describe()).status == WorkflowExecutionStatus.CANCELED
        assert "save_to_database" not in scheduled(await chat.history())
        if workflow is ConversationWorkflow:
            with pytest.raises(LabError):
                await reply
