"""The desk: a conversation's turn, its duties, what becomes of failures, and effects that happen once."""

import base64
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from agents import Model
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.openai_agents import OpenAIAgentsPlugin
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Replayer

from course import Lab, LabError
from course.desk import ConversationWorkflow, activities
from course.desk.answering import APOLOGY
from course.desk.memory import NOTES
from course.desk.services import (
    Database,
    KeyReused,
    Mail,
    Services,
    Shop,
    Webhook,
    _current,
    database,
)
from course.desk.services.insight import learn_from
from course.desk.services.report import write_report
from course.lab import everything
from course.lab.chat import Conversation
from course.lab.receivers import Mailbox, WebhookReceiver
from course.lessons import money, records, till
from course.models import OfflineModel, ToolCall
from course.models.offline import status_error
from tests.lab_helpers import count, scheduled, until
from tests.lab_strangers import AsksOnce


class Switched(Model):
    """Hands every call to the model that stands in it at the moment."""

    def __init__(self) -> None:
        self.now: Model = OfflineModel()

    async def get_response(self, *args: Any, **kwargs: Any) -> Any:
        return await self.now.get_response(*args, **kwargs)

    def stream_response(self, *args: Any, **kwargs: Any) -> Any:
        return self.now.stream_response(*args, **kwargs)


@pytest.fixture(scope="module")
async def lab() -> AsyncIterator[Lab]:
    async with await Lab.start(
        workflows=[*everything.workflows(), AsksOnce], model=Switched(), ui=False
    ) as lab:
        yield lab


@pytest.fixture
def model(lab: Lab) -> Any:
    lab.model.now = OfflineModel()
    yield lab.model
    lab.model.now = OfflineModel()


def rows(lab: Lab, table: str, chat: Conversation) -> list[dict[str, Any]]:
    found = lab.table(table).to_dict("records")
    return [row for row in found if row["task_id"].split("/")[0] == chat.id]


def mails(lab: Lab, customer: str) -> list[str]:
    return [text for text in lab.inbox()["text"] if text.startswith(f"{customer} wrote")]


# The turn


async def test_three_messages_and_the_end(lab: Lab) -> None:
    chat = await lab.converse(ConversationWorkflow, "three")
    asked = ["Where is order 1042?", "Do you have a Ficus?", "Thanks"]
    answers = [await chat.send(text) for text in asked]
    assert "Order 1042: 1 × Monstera, 34.00 EUR, shipped." in answers[0]
    assert "Ficus: 12 in stock" in answers[1]

    saved = rows(lab, "turns", chat)
    assert [row["task_id"] for row in saved] == [f"three-1/turn-{n}" for n in (1, 2, 3)]
    assert [row["message"] for row in saved] == asked
    assert [row["answer"] for row in saved] == answers
    assert {(row["customer"], row["outcome"], row["conversation"]) for row in saved} == {
        ("three", "answered", "three-1")
    }

    summary = await chat.close()
    assert (summary.customer, summary.turns, summary.answered) == ("three", 3, 3)
    assert sorted(mails(lab, "three")) == sorted(f"three wrote, and was answered: {text}" for text in asked)
    [batch] = rows(lab, "batches", chat)
    assert (batch["batch_num"], batch["messages"], batch["questions"], batch["orders"]) == (1, 3, 2, "1042")
    [report] = rows(lab, "reports", chat)
    assert (report["turns"], report["answered"], report["file"]) == (3, 3, summary.report)
    page = (lab.reports / summary.report).read_text(encoding="utf-8")
    assert all(text in page for text in ("Where is order 1042?", "Monstera", "<table>", "<img src="))

    told = await chat.transcript()
    assert list(told.columns) == ["turn", "role", "text"]
    assert [(None if line.turn is told["turn"].dtype.na_value else int(line.turn), line.role, line.text) for line in told.itertuples()] == [
        (1, "customer", asked[0]), (1, "agent", answers[0]), (1, "system", "saved"), (1, "system", "sent by email"),
        (2, "customer", asked[1]), (2, "agent", answers[1]), (2, "system", "saved"), (2, "system", "sent by email"),
        (3, "customer", asked[2]), (3, "agent", answers[2]), (3, "system", "saved"), (3, "system", "sent by email"),
        (3, "system", "learned from turns up to 3"),
        (None, "system", f"report written: {summary.report}"),
    ]  # fmt: skip
    assert count(await chat.history()) == {
        "invoke_model_activity": 5, "look_up_order": 1, "check_stock": 1, "save_to_database": 3,
        "send_notification": 3, "process_batch": 1, "generate_report": 1,
    }  # fmt: skip


async def test_the_reply_waits_for_the_record_and_for_nothing_else(lab: Lab) -> None:
    chat = await lab.converse(ConversationWorkflow, "waits")
    mail = lab.world.mailbox
    await mail.stop()
    try:
        await chat.send("Hello")
        assert [row["turn"] for row in rows(lab, "turns", chat)] == [1]
        assert scheduled(await chat.history())[:2] == ["invoke_model_activity", "save_to_database"]
        await until(lambda: has_failed(chat, "send_notification"), "a failed notice")
        assert mails(lab, "waits") == []
        assert await chat.send("Are you there?")
    finally:
        await mail.start()
    await chat.close(timeout=40)
    assert len(mails(lab, "waits")) == 2


async def has_failed(chat: Conversation, activity: str) -> bool:
    waiting = await chat.pending()
    return bool((waiting["activity"].eq(activity) & waiting["last failure"].notna()).any())


async def test_state_can_be_asked(lab: Lab) -> None:
    chat = await lab.converse(ConversationWorkflow, "state")
    await chat.send("Hello")
    await chat.transcript()  # quiet
    state = await chat.handle.query("state")
    assert state == {"customer": "state", "turns": 1, "answered": 1, "duties_running": 0, "closing": False}


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
    await until(lambda: len(rows(lab, "turns", chat)) == 2, "two rows")
    await chat.send("What is my name?")
    saved = rows(lab, "turns", chat)
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
    assert len(rows(lab, "turns", chat)) == 1
    assert count(await chat.history())["invoke_model_activity"] == 2
    await chat.handle.signal("post", args=["message-1", "the same id by the other way"])
    await chat.close()
    assert len(rows(lab, "turns", chat)) == 1


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
    accepted = [
        json.loads(
            event.workflow_execution_update_accepted_event_attributes.accepted_request.input.args.payloads[
                0
            ].data
        )
        for event in history.events
        if event.HasField("workflow_execution_update_accepted_event_attributes")
    ]
    saved = sorted(rows(lab, "turns", chat), key=lambda row: row["turn"])
    assert [row["turn"] for row in saved] == list(range(1, 26))
    assert [row["message"] for row in saved] == accepted  # numbered in the order of acceptance
    assert all(row["message"][-5:-1] in row["answer"] for row in saved)
    assert (summary.turns, summary.answered) == (25, 25)
    learned = sorted(rows(lab, "batches", chat), key=lambda row: row["batch_num"])
    assert [row["batch_num"] for row in learned] == list(range(1, 9))
    covered = [order for row in learned for order in row["orders"].split(", ")]
    assert covered == [o for k in range(8) for o in sorted(m[-5:-1] for m in accepted[3 * k : 3 * k + 3])]
    assert len(mails(lab, "many")) == 25
    # No overlap: each turn's first model call holds the messages right before it, and no more. (From the
    # twentieth on, the oldest of them are notes.)
    told = told_before(history)
    assert [len(before) for before in told[:20]] == list(range(20))
    assert min(len(before) for before in told[20:]) >= 10
    assert told == [accepted[n - len(before) : n] for n, before in enumerate(told)]


def told_before(history: Any) -> list[list[str]]:
    """For each turn's first model call, in order: the customer's messages that it was given before."""
    found = []
    for event in history.events:
        call = event.activity_task_scheduled_event_attributes
        if call.activity_type.name == "invoke_model_activity":
            given = json.loads(call.input.payloads[0].data)
            if given["input"][-1].get("role") == "user" and given["tools"]:  # not the note-taker's
                said = [item["content"] for item in given["input"] if item.get("role") == "user"]
                found.append([text for text in said if not text.startswith(NOTES)][:-1])
    return found


# The agent fails: the desk does not


FAILURES = {
    "refuses for good": OfflineModel(script=[status_error(403, "no")]),
    "out of turns": OfflineModel(script=[ToolCall("look_up_order", {"order_id": "1042"})] * 30),
    "invents a tool": OfflineModel(script=[ToolCall("consult_the_gardener", {})]),
    "malformed arguments": OfflineModel(script=[ToolCall("look_up_order", '{"order_id": ')]),
    "mistyped arguments": OfflineModel(script=[ToolCall("look_up_order", {"order_id": {"x": [1]}})]),
    "arguments missing": OfflineModel(script=[ToolCall("look_up_order", {})]),
    "arguments no object": OfflineModel(script=[ToolCall("look_up_order", "[1042]")]),
}


@pytest.mark.parametrize("kind", FAILURES)
async def test_business_steps_run_when_the_agent_fails(lab: Lab, model: Switched, kind: str) -> None:
    model.now = FAILURES[kind]
    chat = await lab.converse(ConversationWorkflow, kind)
    assert await chat.send("Where is order 1042?") == APOLOGY
    [row] = rows(lab, "turns", chat)
    assert (row["outcome"], row["answer"], row["message"]) == ("apologised", APOLOGY, "Where is order 1042?")
    model.now = OfflineModel()
    assert "1043" in await chat.send("Where is order 1043?")
    summary = await chat.close()
    assert (summary.turns, summary.answered) == (2, 1)
    assert [row["outcome"] for row in rows(lab, "turns", chat)] == ["apologised", "answered"]
    assert mails(lab, kind)[0] == f"{kind} wrote, and was apologised: Where is order 1042?"
    assert len(mails(lab, kind)) == 2


async def test_an_answer_without_words_is_no_answer(lab: Lab, model: Switched) -> None:
    model.now = OfflineModel(script=[""])
    chat = await lab.converse(ConversationWorkflow, "wordless")
    assert await chat.send("Where is order 1042?") == APOLOGY
    assert rows(lab, "turns", chat)[0]["outcome"] == "apologised"
    model.now = OfflineModel()
    assert "1042" in await chat.send("Where is order 1042?")


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
    assert [row["message"] for row in rows(lab, "turns", chat)] == [
        "somebody else's", "Do you have a Ficus?", "Thanks",
    ]  # fmt: skip
    assert len(mails(lab, "taken")) == 3
    assert [row["batch_num"] for row in rows(lab, "batches", chat)] == [1]
    assert len(rows(lab, "reports", chat)) == 1


async def test_a_batchs_and_a_reports_permanent_failure_is_noted(lab: Lab) -> None:
    kept = lab.world.services.database
    kept.insert_once(database.batches, {"task_id": "spoilt-1/turn-3", "batch_num": 99})
    kept.insert_once(database.reports, {"task_id": "spoilt-1", "turns": 99})
    chat = await lab.converse(ConversationWorkflow, "spoilt")
    for text in ("one", "two", "three"):
        await chat.send(text)
    summary = await chat.close()
    assert (summary.turns, summary.report) == (3, None)
    said = list((await chat.transcript())["text"])
    assert [text for text in said if text.startswith("batch failed: ") and "already holds" in text]
    assert [text for text in said if text.startswith("report failed: ") and "already holds" in text]
    assert len(mails(lab, "spoilt")) == 3


@pytest.mark.filterwarnings("ignore:.*TMPRL1102")
async def test_cancellation_is_not_swallowed(lab: Lab, model: Switched) -> None:
    class Never(OfflineModel):
        async def get_response(self, *args: Any, **kwargs: Any) -> Any:
            self.attempts += 1
            await anyio.sleep_forever()

    model.now = Never()
    chat = await lab.converse(ConversationWorkflow, "cancel")
    reply = chat.begin("Hello")
    await until(lambda: model.now.attempts, "a model call in flight")
    await chat.handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await chat.handle.result()
    assert (await chat.handle.describe()).status == WorkflowExecutionStatus.CANCELED
    assert "save_to_database" not in scheduled(await chat.history())
    with pytest.raises(LabError):
        await reply

    model.now = Never()
    once = await lab.converse(AsksOnce, "once")
    await until(lambda: model.now.attempts, "a model call in flight")
    await once.handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await once.handle.result()
    assert (await once.handle.describe()).status == WorkflowExecutionStatus.CANCELED


# Effects happen once


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    kept, mailbox, receiver = Database(f"sqlite:///{tmp_path / 'desk.db'}"), Mailbox(), WebhookReceiver()
    kept.create()
    shop = Shop(kept)
    shop.open()
    await mailbox.start()
    services = Services(kept, shop, Mail("127.0.0.1", mailbox.port), Webhook(receiver.url), tmp_path)
    token = _current.set(services)
    services_and = services
    object.__setattr__(services_and, "mailbox", mailbox)
    object.__setattr__(services_and, "receiver", receiver)
    yield services_and
    _current.reset(token)
    receiver.stop()
    await mailbox.stop()
    kept.close()


async def run(activity: Any, *args: Any) -> Any:
    """As a worker runs a sync activity: on a thread, in a copy of the context."""
    return await anyio.to_thread.run_sync(lambda: ActivityEnvironment().run(activity, *args))


async def test_a_mail_and_a_post_with_the_same_key_are_delivered_once(services: Any) -> None:
    for _ in range(2):
        assert await run(activities.send_notification, "a/turn-1", "Hello", "email") == "sent by email"
        assert await run(activities.send_notification, "a/turn-1", "Hello", "webhook") == "sent by webhook"
    assert await run(activities.send_notification, "a/turn-2", "Hello", "email") == "sent by email"
    assert [mail["text"] for mail in services.mailbox.mails] == ["Hello", "Hello"]
    assert services.mailbox.repeats == 1
    assert services.receiver.posts == [{"text": "Hello"}]
    assert services.receiver.repeats == 1


async def test_an_unknown_channel_is_refused_for_good(services: Any) -> None:
    with pytest.raises(
        ApplicationError, match=r"no channel 'pigeon': choose 'email' or 'webhook'. Nobody was"
    ) as e:
        await run(activities.send_notification, "a/turn-1", "Hello", "pigeon")
    assert e.value.non_retryable
    assert services.mailbox.mails == services.receiver.posts == []


async def test_services_that_are_not_there_raise_what_is_retried(services: Any) -> None:
    await services.mailbox.stop()
    services.receiver.stop()
    for channel in ("email", "webhook"):
        with pytest.raises(Exception) as e:  # noqa: PT011
            await run(activities.send_notification, "a/turn-1", "Hello", channel)
        assert not isinstance(e.value, ApplicationError)
    await services.mailbox.start()
    services.receiver.__init__()


@pytest.mark.parametrize(
    ("activity", "first", "changed", "table"),
    [
        (activities.save_to_database, ["k", {"message": "a", "turn": 1}], ["k", {"message": "b", "turn": 1}], "turns"),
        (activities.save_to_database, ["k", {"mood": "glad"}], ["k", {"mood": "sad"}], "turns"),
        (records.record_tool_call, ["k", "t", "{}"], ["k", "t", '{"a": 1}'], "tool_calls"),
        (activities.process_batch, ["k", ["order 1042?"], 1], ["k", ["order 1043?"], 1], "batches"),
        (activities.generate_report, ["k", {"turns": []}], ["k", {"turns": [{"turn": 1}]}], "reports"),
        (money.issue_refund, ["k", "1042", 100], ["k", "1042", 200], "refunds"),
        (money.put_back, ["k", "1043"], ["k", "1046"], "stock_moves"),
    ],
)  # fmt: skip
async def test_the_same_key_once_and_changed_content_refused(
    services: Any, activity: Any, first: list[Any], changed: list[Any], table: str
) -> None:
    await run(activity, *first)
    [kept] = services.database.rows(table)
    await run(activity, *first)
    with pytest.raises(ApplicationError, match="already") as refused:
        await run(activity, *changed)
    assert (refused.value.type, refused.value.non_retryable) == ("KeyReused", True)
    assert services.database.rows(table) == [kept]


@pytest.mark.parametrize(
    ("order", "amount", "says"),
    [
        ("1042", 3401, "was paid with 34.00 EUR; refunds of 34.01 EUR would be more. Nothing was paid"),
        ("9999", 100, "There is no order '9999', so nothing was refunded"),
        ("1042", 0, "makes no sense. Nothing was paid"),
        ("1042", -5, "makes no sense. Nothing was paid"),
        ("'; DROP TABLE refunds;--", 5, "There is no order"),
    ],
)
async def test_a_refund_that_the_rules_refuse(services: Any, order: str, amount: int, says: str) -> None:
    with pytest.raises(ApplicationError, match=says) as refused:
        await run(money.issue_refund, "r-1", order, amount)
    assert (refused.value.type, refused.value.non_retryable) == ("RefundRefused", True)
    assert services.database.rows("refunds") == []


async def test_refunds_of_one_order_never_exceed_what_was_paid(services: Any) -> None:
    assert "of 20.00 EUR for order 1042 is paid" in await run(money.issue_refund, "r-1", "1042", 2000)
    with pytest.raises(ApplicationError, match="would be more"):
        await run(money.issue_refund, "r-2", "1042", 1401)
    await run(money.issue_refund, "r-3", "1042", 1400)
    results: list[str] = []

    async def pay(number: int) -> None:
        try:
            results.append(await run(money.issue_refund, f"p-{number}", "1045", 2700))
        except ApplicationError as error:
            assert "would be more" in str(error)  # noqa: PT017

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(pay, number)
    assert len(results) == 1
    assert sum(row["amount_cents"] for row in services.database.rows("refunds")) == 3400 + 2700


async def test_the_services_themselves_refuse_a_changed_repeat(services: Any) -> None:
    till.refund(services.database, "r", "1042", 100)
    with pytest.raises(KeyReused):
        till.refund(services.database, "r", "1043", 100)
    with pytest.raises(till.RefundRefused):
        till.refund(services.database, "s", "1046", 1901)


async def test_orders_and_stock(services: Any) -> None:
    assert await run(activities.look_up_order, "1043") == "Order 1043: 2 × Ficus, 58.00 EUR, being packed."
    assert await run(activities.look_up_order, "1") == "There is no order '1'."
    assert await run(activities.check_stock, " monstera ") == "Monstera: 4 in stock, 34.00 EUR each."
    assert await run(activities.check_stock, "Calathea") == "Calathea is sold out."
    assert await run(activities.check_stock, "%") == "Juniper does not sell '%'."


async def test_a_batch_says_something_worth_having(services: Any) -> None:
    messages = ["Where is order 1042?", "Is my parcel 1043 lost? Order 1042 came.", "Water?"]
    learned = await run(activities.process_batch, "k", messages, 4)
    assert learned == {
        "batch_num": 4, "messages": 3, "questions": 3, "topics": ["order", "care"], "orders": ["1042", "1043"],
    }  # fmt: skip
    [row] = services.database.rows("batches")
    assert (row["batch_num"], row["topics"], row["orders"]) == (4, "order, care", "1042, 1043")
    assert learn_from([]) == {"messages": 0, "questions": 0, "topics": [], "orders": []}


def test_a_report_is_escaped_and_opens(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script><img src=x onerror=alert(1)>&\0\ud800"
    turns = [{"turn": 1, "message": evil, "answer": evil, "outcome": "answered"}]
    file = write_report(tmp_path, "../../etc/<b>", {"customer": evil, "turns": turns})
    assert file.parent == tmp_path
    page = file.read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<img src=x" not in page
    assert page.count("&lt;script&gt;") == 4  # title, heading, message, answer
    assert page.count("<table>") == page.count("<img ") == 1
    picture = base64.b64decode(page.split("data:image/png;base64,")[1].split('"')[0])
    assert picture.startswith(b"\x89PNG")
    assert write_report(tmp_path, "../../etc/<b>", {"turns": []}) == file
    assert len(list(tmp_path.iterdir())) == 1  # and no draft is left


async def test_an_activity_without_its_services_says_what_is_missing() -> None:
    with pytest.raises(RuntimeError, match=r"interceptors=\[ServicesInterceptor"):
        ActivityEnvironment().run(activities.look_up_order, "1042")


# Every workflow of the course: a turn, its end, and the same decisions when its history is replayed


# Without: one that is made not to repeat, and one that takes timeouts and no messages (`test_replay.py` has it).
async def test_what_was_just_said_replays(lab: Lab) -> None:
    """Of the other workflows test_replay.py replays recorded histories."""
    chat = await lab.converse(ConversationWorkflow, "replayed")
    for text in ("Where is order 1042?", "I want a refund of 5 EUR for order 1044", "Thanks"):
        assert await chat.send(text)
    await chat.close()
    history = await chat.history()
    assert scheduled(history).count("invoke_model_activity") >= 3
    replayer = Replayer(workflows=[ConversationWorkflow], plugins=[OpenAIAgentsPlugin()])
    assert (await replayer.replay_workflow(history)).replay_failure is None


CANCELLED = """
import contextvars, sys, threading
from pathlib import Path
from temporalio.testing import ActivityEnvironment
from course.desk import activities, services
from course.desk.services import Database, Services

database = Database("sqlite:///desk.db")
database.create()
services._current.set(Services(database, None, None, None, Path(".")))
report = ("k", {"customer": "ada", "turns": []})
first, here = ActivityEnvironment(), contextvars.copy_context()
thread = threading.Thread(target=here.run, args=(first.run, activities.generate_report, *report))
thread.start()
while "matplotlib.rcsetup" not in sys.modules:
    pass
first.cancel()
thread.join()
print(ActivityEnvironment().run(activities.generate_report, *report))
"""


def test_a_report_that_is_cancelled_while_it_imports_spoils_no_other(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CANCELLED], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.startswith("k-"), done.stderr
