"""What bad input gets: a sentence that says what happened and what to do, and the next normal turn works."""

import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from typing import Any

import anyio
import pytest
from agents import Model
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from course import Lab, LabError
from course.lab.conversation import Conversation
from course.models import OfflineModel
from course.models.offline import status_error
from course.services.mail import Mailbox, one_line
from course.workflows import ConversationWorkflow, ToolsWorkflow
from course.workflows.answering import APOLOGY
from course.workflows.messages import MAX_MESSAGE, check_message
from tests.lab_helpers import attempts, scheduled, until

THREE_MB = "x" * 3_000_000


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
    async with await Lab.start(model=Switched(), ui=False) as lab:
        yield lab


@pytest.fixture
def model(lab: Lab) -> Iterator[Switched]:
    yield lab.model
    lab.model.now = OfflineModel()


@pytest.fixture
async def chat(lab: Lab) -> Conversation:
    return await lab.converse(ConversationWorkflow, f"c{uuid.uuid4().hex[:8]}")


async def works(chat: Conversation) -> None:
    """The next normal turn."""
    assert "Order 1042: 1 × Monstera" in await chat.send("Where is order 1042?")


def rows(lab: Lab, chat: Conversation) -> list[dict[str, Any]]:
    found = lab.table("turns").to_dict("records")
    return [row for row in found if row["conversation"] == chat.id]


# Refused before anything is sent


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("", r"The message is empty. Nothing was sent: write a question"),
        (" \n\t ", r"The message is empty"),
        (None, r"A message is text, and this is NoneType: None. Nothing was sent"),
        (3, r"A message is text, and this is int: 3"),
        (b"x", r"A message is text, and this is bytes: b'x'"),
        (["Hello"], r"A message is text, and this is list"),
        (
            THREE_MB,
            r"has 3,000,000 characters, and a conversation takes 20,000. Nothing was sent: shorten it",
        ),
        ("half \ud83d", r"a lone surrogate.*text.encode\(errors='replace'\).decode\(\) mends it"),
    ],
    ids=["empty", "blank", "none", "number", "bytes", "list", "3 MB", "surrogate"],
)
async def test_what_cannot_be_sent_is_refused_before_it_leaves(
    lab: Lab, chat: Conversation, message: Any, says: str
) -> None:
    for refuse in (lambda: chat.send(message), lambda: anyio.sleep(0, chat.begin(message))):
        with pytest.raises(ValueError, match=says) as refused:
            await refuse()
        assert len(str(refused.value)) < 300
    history = await chat.history()
    assert not any(e.HasField("workflow_execution_update_accepted_event_attributes") for e in history.events)
    await works(chat)
    assert [row["turn"] for row in rows(lab, chat)] == [1]


@pytest.mark.parametrize("message", ["", " ", "x" * (MAX_MESSAGE + 1)], ids=["empty", "blank", "long"])
async def test_the_validator_refuses_the_same_from_other_senders(
    lab: Lab, chat: Conversation, message: str
) -> None:
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await chat.handle.execute_update("send", message)
    assert isinstance(refused.value.cause, ApplicationError)
    assert "Nothing was sent" in str(refused.value.cause)
    await works(chat)
    assert [row["turn"] for row in rows(lab, chat)] == [1]


async def test_the_longest_message_that_is_taken(chat: Conversation) -> None:
    longest = "Where is order 1042? " + "ä" * (MAX_MESSAGE - 21)
    assert check_message(longest) == longest
    assert await chat.send(longest)
    await works(chat)


async def test_a_conversation_of_the_longest_messages_lives(lab: Lab, chat: Conversation) -> None:
    """Every model call carries all of it: 2 MiB of model input would fail the workflow's tasks."""
    for number in range(3):
        assert await chat.send(f"{number} " + "水" * (MAX_MESSAGE - 10))
    await works(chat)


# Odd, and taken as it is


ODD = {
    "NUL": "Where is order 1042?\0 And \0?",
    "right to left": "Where is \u202eorder 1042\u202c? \u200f\u2066",
    "HTML": "<script>alert(1)</script><b>Where is order 1042?</b> &amp;",
    "SQL": "'; DROP TABLE turns;-- Where is order 1042?",
    "CR LF": "Where is order 1042?\r\nBcc: everybody@example.com\r\nSubject: pwned\r\n\r\nbody",
    "line separators": "Where is order 1042?\u2028Bcc: everybody@example.com\u2029\x0b\x0c\x85",
    "a lone dot": ".\r\n.\r\nMAIL FROM:<x@example.com>\r\nWhere is order 1042?",
    "format": "%s %(x)s {0} {} ${x} Where is order 1042?",
    "emoji": "🪴👩‍🌾🇪🇺 Where is order 1042? é\u0301",
}


@pytest.mark.parametrize("kind", ODD)
async def test_odd_text_is_answered_kept_and_told_as_it_is(lab: Lab, chat: Conversation, kind: str) -> None:
    message = ODD[kind]
    assert "Monstera" in await chat.send(message)
    [row] = rows(lab, chat)
    assert row["message"] == message.replace("\0", "\ufffd")  # not every database takes NUL
    await works(chat)
    summary = await chat.close()
    customer = chat.id.removesuffix("-1")
    mails = lab.inbox()
    mine = mails[mails["text"].str.startswith(customer)].to_dict("records")
    assert len(mine) == 2
    assert all(character.isprintable() for mail in mine for character in mail["subject"])
    assert {mail["to"] for mail in mine} == {"team@juniper.example"}
    normal = f"{customer} wrote, and was answered: Where is order 1042?"
    assert sorted(mail["text"] == normal for mail in mine) == [False, True]
    said = await chat.transcript()
    assert message in set(said["text"])
    page = (lab.reports / summary.report).read_text(encoding="utf-8")
    assert "<script" not in page
    assert len(lab.table("turns")) >= 2  # the table is still there


async def test_no_header_is_made_of_a_message() -> None:
    raw: list[bytes] = []

    class Keeps(Mailbox):
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            raw.append(envelope.content)
            assert envelope.rcpt_tos == ["team@juniper.example"]
            return await super().handle_DATA(server, session, envelope)

    from course.services import Mail

    mailbox = Keeps()
    await mailbox.start()
    try:
        for text in [*ODD.values(), "\r\nBcc: x@example.com", "ä" * 500, "\x7f\x1b[31m"]:
            await anyio.to_thread.run_sync(
                lambda text=text: Mail("127.0.0.1", mailbox.port).send(
                    f"key\r\nBcc: y@example.com {text}", text, text
                )
            )
    finally:
        await mailbox.stop()
    assert len(raw) == len(ODD) + 3
    for content in raw:
        mail = message_from_bytes(content, policy=policy.default)
        assert {name.lower() for name in mail} <= {
            "from", "to", "subject", "message-id", "content-type", "content-transfer-encoding", "mime-version",
            "x-peer", "x-mailfrom", "x-rcptto",
        }  # fmt: skip
        assert "\n" not in mail["Subject"]
        assert "\r" not in mail["Subject"]


def test_a_subject_is_one_short_line() -> None:
    assert one_line("a\r\nb\u2028c\td") == "a b c d"
    assert one_line("x" * 100) == "x" * 77 + "…"
    assert one_line("\r\n") == ""


async def test_an_order_that_does_not_exist(lab: Lab, chat: Conversation) -> None:
    assert "There is no order '9999'" in await chat.send("Where is order 9999?")
    await works(chat)
    assert {row["outcome"] for row in rows(lab, chat)} == {"answered"}


async def test_a_message_after_the_end(lab: Lab, chat: Conversation) -> None:
    await works(chat)
    await chat.close()
    with pytest.raises(
        LabError, match=r"has ended and takes no more messages. Its record is kept: .*lab.converse"
    ):
        await chat.send("Hello?")
    assert len(rows(lab, chat)) == 1
    await works(await lab.converse(ConversationWorkflow, chat.id.removesuffix("-1")))


@pytest.mark.parametrize(
    "name", ["<script>x</script>", "Robert'); DROP TABLE turns;--", "%s{0}", "名前", "-", "a" * 100]
)
async def test_strange_names(lab: Lab, name: str) -> None:
    chat = await lab.converse(ConversationWorkflow, name)
    await works(chat)
    summary = await chat.close()
    assert summary.customer == name
    assert rows(lab, chat)[0]["customer"] == name
    assert "<script" not in (lab.reports / summary.report).read_text(encoding="utf-8")


# Something is not there


async def test_no_mail_server_then_one_again(lab: Lab, chat: Conversation) -> None:
    await lab._mailbox.stop()
    try:
        await works(chat)  # the customer does not wait for it
        waiting = await until(lambda: failed(chat, "send_notification"), "a failed attempt")
        assert waiting["attempt"] >= 2
        assert "Connection refused" in waiting["last failure"]
        await works(chat)
    finally:
        await lab._mailbox.start()
    await chat.fast_forward(timedelta(minutes=10))
    assert (await chat.pending()).empty
    mails = lab.inbox()
    assert mails["text"].str.startswith(chat.id.removesuffix("-1")).sum() == 2
    notices = [n for name, n in attempts(await chat.history()) if name == "send_notification"]
    assert notices[0] >= 2


async def failed(chat: Conversation, activity: str) -> dict[str, Any] | None:
    for waiting in (await chat.pending()).to_dict("records"):
        if waiting["activity"] == activity and isinstance(waiting["last failure"], str):
            return waiting
    return None


async def test_no_database_then_one_again(lab: Lab, chat: Conversation) -> None:
    await works(chat)
    kept = lab._folder.path / "desk.db"
    engine = lab._services.database.engine
    engine.dispose()
    away = kept.with_name("away")
    kept.rename(away)
    kept.mkdir()  # nothing can be opened there
    try:
        reply = chat.begin("Do you have a Ficus?", timeout=60)
        waiting = await until(lambda: failed(chat, "check_stock"), "a failed look-up")
        assert "OperationalError" in waiting["last failure"]
        assert not reply.done()
        with pytest.raises(LabError, match=r"No reply to .* Still pending: .*Nothing is lost"):
            await chat.send("Hello", timeout=0.5)
    finally:
        kept.rmdir()
        away.rename(kept)
    await chat.fast_forward(timedelta(seconds=40))
    assert "Ficus: 12 in stock" in await reply
    await works(chat)
    assert [row["turn"] for row in rows(lab, chat)] == [1, 2, 3, 4]


async def test_a_model_whose_code_is_broken_ends_in_an_apology(
    lab: Lab, chat: Conversation, model: Switched
) -> None:
    model.now = OfflineModel(script=[RuntimeError("the model's own bug")] * 3)
    assert await chat.send("Where is order 1042?") == APOLOGY
    assert attempts(await chat.history())[0] == ("invoke_model_activity", 4)
    assert rows(lab, chat)[0]["outcome"] == "apologised"
    model.now = OfflineModel()
    await works(chat)


async def test_a_model_that_is_away_is_named_with_what_to_do(
    lab: Lab, chat: Conversation, model: Switched
) -> None:
    model.now = OfflineModel(script=[status_error(503, "overloaded")] * 3)
    with pytest.raises(
        LabError,
        match=r"No reply to 'Where is order 1042\?' after 2 s. Still pending: invoke_model_activity "
        r"\(attempt \d+, last failure: .*overloaded\). Nothing is lost: Temporal goes on trying. Mend the cause",
    ):
        await chat.send("Where is order 1042?", timeout=2)
    assert scheduled(await chat.history()) == ["invoke_model_activity"]
    model.now = OfflineModel()
    await chat.fast_forward(timedelta(minutes=2))  # the message was kept, and is answered now
    await until(lambda: len(rows(lab, chat)) == 1, "the kept message's row")
    assert "Monstera" in rows(lab, chat)[0]["answer"]
    await works(chat)


async def test_a_model_that_never_comes_back_is_given_up_after_ten_minutes(
    lab: Lab, chat: Conversation, model: Switched
) -> None:
    model.now = OfflineModel(script=[status_error(503, "overloaded")] * 3)
    reply = chat.begin("Where is order 1042?")
    await until(lambda: failed(chat, "invoke_model_activity"), "a failed attempt")
    await chat.fast_forward(timedelta(minutes=11))
    assert await reply == APOLOGY
    model.now = OfflineModel()
    await works(chat)
    assert [row["outcome"] for row in rows(lab, chat)] == ["apologised", "answered"]


async def test_the_plain_workflows_live_through_it_too(lab: Lab, model: Switched) -> None:
    chat = await lab.converse(ToolsWorkflow, "plain")
    model.now = OfflineModel(script=[status_error(403, "no")])
    assert await chat.send("Hello") == APOLOGY
    model.now = OfflineModel()
    with pytest.raises(ValueError, match="empty"):
        await chat.send("")
    with pytest.raises(WorkflowUpdateFailedError):
        await chat.handle.execute_update("send", "")
    await works(chat)
