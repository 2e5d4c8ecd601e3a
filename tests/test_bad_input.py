"""What bad input gets: a sentence that says what happened and what to do, and the next normal turn works."""

import json
import uuid
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import anyio
import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from course import Lab, LabError
from course.desk import ConversationWorkflow
from course.desk.answering import APOLOGY
from course.desk.messages import MAX_MESSAGE, check_message
from course.desk.services.mail import one_line
from course.lab import replay
from course.lab.chat import Conversation
from course.lab.receivers import Mailbox
from course.lessons.lesson_02 import ToolsWorkflow
from course.models.offline import status_error
from tests.lab_helpers import accepted, attempts, rows, scheduled, until, until_failed, works

pytestmark = pytest.mark.usefixtures("own_rules")

THREE_MB = "x" * 3_000_000


@pytest.fixture
async def chat(lab: Lab) -> Conversation:
    return await lab.converse(ConversationWorkflow, f"c{uuid.uuid4().hex[:8]}")


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
        ("half \ud83d", r"a lone surrogate.*text.encode\(errors='replace'\).decode\(\) replaces it"),
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
    assert accepted(await chat.history()) == []
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
    assert "There is no order '1042'" in await chat.send(message)  # understood; it is ada's
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
    normal = f"{customer} wrote, and was answered: Do you have a Ficus?"
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

    from course.desk.services import Mail

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


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("<script>x</script>", "script-x-script"),
        ("Robert'); DROP TABLE turns;--", "robert-drop-table-turns"),
        ("%s{0}", "s-0"),
        ("Zoë O'Neil", "zo-o-neil"),
        ("名前", "customer"),
        ("-", "customer"),
        ("a" * 100, "a" * 100),
    ],
)
async def test_strange_names(lab: Lab, name: str, id: str) -> None:
    chat = await lab.converse(ConversationWorkflow, name)
    assert chat.id.rpartition("-")[0] == id
    await works(chat)
    summary = await chat.close()
    assert summary.customer == name
    assert rows(lab, chat)[0]["customer"] == name
    assert "<script" not in (lab.reports / summary.report).read_text(encoding="utf-8")


# Something is not there


async def test_a_database_file_that_is_moved_away_in_mid_turn(lab: Lab, chat: Conversation) -> None:
    await works(chat)
    kept = lab.world.folder / "desk.db"
    away = kept.with_name("away")
    lab.world.services.database.close()  # the connections that hold the old file open
    kept.rename(away)
    kept.mkdir()  # nothing can be opened there
    try:
        reply = chat.begin("Do you have a Ficus?", timeout=60)
        assert "OperationalError" in (await until_failed(chat, "check_stock"))["last failure"]
        assert not reply.done()
        with pytest.raises(LabError, match=r"No reply to .* Still pending: .*check_stock.*Nothing is lost"):
            await chat.send("Hello", timeout=0.5)
        with pytest.raises(
            LabError, match=r"The database sqlite:.* does not answer: .*What was written is kept"
        ):
            lab.table("turns")
    finally:
        kept.rmdir()
        away.rename(kept)
    await chat.fast_forward(timedelta(seconds=40))
    assert "Ficus: 12 in stock" in await reply
    await works(chat)
    assert [row["turn"] for row in rows(lab, chat)] == [1, 2, 3, 4]


async def test_a_model_whose_code_is_broken_ends_in_an_apology(lab: Lab, chat: Conversation) -> None:
    lab.model.script = [RuntimeError("the model's own bug")] * 3
    assert await chat.send("Where is order 1042?") == APOLOGY
    assert attempts(await chat.history())[0] == ("invoke_model_activity", 4)
    assert rows(lab, chat)[0]["outcome"] == "apologised"
    lab.model.script = []
    await works(chat)


async def test_a_model_that_is_away_is_named_with_what_to_do(lab: Lab, chat: Conversation) -> None:
    lab.model.script = [status_error(503, "overloaded")] * 3
    with pytest.raises(
        LabError,
        match=r"No reply to 'Where is order 1042\?' after 2 s. Still pending: invoke_model_activity "
        r"\(attempt \d+, last failure: .*overloaded\). Nothing is lost: Temporal goes on trying. Fix the cause",
    ):
        await chat.send("Where is order 1042?", timeout=2)
    assert scheduled(await chat.history()) == ["invoke_model_activity"]
    lab.model.script = []
    await chat.fast_forward(timedelta(minutes=2))  # the message was kept, and is answered now
    await until(lambda: len(rows(lab, chat)) == 1, "the kept message's row")
    assert "1042" in rows(lab, chat)[0]["answer"]
    await works(chat)


async def test_the_plain_workflows_live_through_it_too(lab: Lab) -> None:
    chat = await lab.converse(ToolsWorkflow, "plain")
    lab.model.script = [status_error(403, "no")]
    assert await chat.send("Hello") == APOLOGY
    lab.model.script = []
    with pytest.raises(ValueError, match="empty"):
        await chat.send("")
    with pytest.raises(WorkflowUpdateFailedError):
        await chat.handle.execute_update("send", "")
    await works(chat)


# A replay of what is no history


async def test_what_cannot_be_replayed_is_named(lab: Lab, chat: Conversation, tmp_path: Path) -> None:
    await works(chat)
    await chat.activities()
    whole = json.loads((await chat.history()).to_json())
    file = tmp_path / "history.json"
    file.write_text(json.dumps(whole))
    headless = {"events": [whole["events"][1] | {"eventId": "1"}]}
    strange = json.loads(json.dumps(whole))
    strange["events"][4]["eventType"] = "EVENT_TYPE_OF_TOMORROW"
    for history, says in (
        (
            file,
            r"cannot be replayed\. This is no workflow history, but of type \w+\. Read the file first: path.read_text",
        ),
        (str(file), r"This text is not JSON"),
        ('{"cells": []}', r"This JSON is not a workflow history"),
        ("[1]", r"This is no workflow history, but of type int\. Hand in"),
        (headless, r"This history is not whole: a replay needs every event from the first on"),
        (
            strange,
            r"Event 5 of this history is of no kind that this library \(temporalio \S+\) knows, so nothing was",
        ),
    ):
        with pytest.raises(LabError, match=says):
            await replay(history, ConversationWorkflow)
    for code in ("ConversationWorkflow", works, Lab):
        with pytest.raises(LabError, match=r"is not a workflow, so nothing was replayed: hand in a class"):
            await chat.replay(code)
    assert await replay(file.read_text(), ConversationWorkflow) == await chat.replay(ConversationWorkflow)
