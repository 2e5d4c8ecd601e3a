"""Labs that share a server or a database: nobody is mixed up, and who finds a backend away is told so."""

import asyncio
import os
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.mysql.base import MySQLTypeCompiler
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from temporalio import workflow

from course import Lab, LabError
from course.desk.activities import TurnRecord, save_to_database, send_notification
from course.desk.services import database
from course.lab.life import Life
from course.lab.world import World
from course.lessons.lesson_01 import HelloWorkflow

LEARNERS = 30
ENGINES = ["sqlite", "postgresql"] if os.environ.get("SOAK") else ["sqlite"]


@workflow.defn(sandboxed=False)  # a test's workflow, in a file that imports the lab
class NotedWorkflow:
    """Keeps what it is told, and tells the team: a turn without an agent."""

    @workflow.run
    async def run(self, customer: str) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.update
    async def send(self, text: str) -> str:
        limit = {"start_to_close_timeout": timedelta(seconds=30)}
        key, record = f"{workflow.info().workflow_id}/turn-1", TurnRecord(message=text, answer="Noted.")
        await workflow.execute_activity(save_to_database, args=[key, record], **limit)
        await workflow.execute_activity(send_notification, args=[key, text, "email"], **limit)
        return record["answer"]


@pytest.mark.parametrize("database_url", ENGINES, indirect=True)
async def test_thirty_learners_on_two_servers_and_one_database_see_their_own(database_url: str) -> None:
    shared: dict[str, Any] = {
        "workflows": [NotedWorkflow],
        "database_url": database_url,
        "ui": False,
    }
    host = await Lab.start(**shared)
    labs = [host]
    try:
        elsewhere = Lab.start(**shared)  # a server that knows nothing of the others' ids
        guests = [Lab.start(address=host.address, **shared) for _ in range(LEARNERS - 2)]
        labs += await asyncio.gather(elsewhere, *guests)
        assert len({(lab.address, lab.task_queue) for lab in labs}) == LEARNERS
        chats = await asyncio.gather(*(lab.converse(NotedWorkflow, "tw") for lab in labs))
        assert {chat.id for chat in chats} == {f"tw-{number + 1}" for number in range(LEARNERS)}
        messages = [f"Hello, I am learner {number}!" for number in range(LEARNERS)]
        await asyncio.gather(
            *(chat.send(text, timeout=60) for chat, text in zip(chats, messages, strict=True))
        )
        for lab, chat, text in zip(labs, chats, messages, strict=True):
            turns = lab.table("turns")
            assert turns[["task_id", "message"]].values.tolist() == [[f"{chat.id}/turn-1", text]]
            assert list(lab.inbox()["text"]) == [text]
        everybodys = host.world.services.database.rows("turns")
        assert sorted(row["message"] for row in everybodys) == sorted(messages)
    finally:
        await asyncio.gather(*(lab.stop() for lab in labs))


async def test_an_id_is_claimed_against_rows_from_before_and_given_back_when_nothing_began(
    database_url: str,
) -> None:
    shared: dict[str, Any] = {
        "workflows": [HelloWorkflow, NotedWorkflow],
        "database_url": database_url,
        "ui": False,
    }
    async with await Lab.start(**shared) as lab:
        row = {"task_id": "tw-1/turn-1", "conversation": "tw-1", "turn": 1, "message": "Hello from outside!"}
        lab.world.services.database.insert_once(database.turns, row)
        assert (await lab.converse(HelloWorkflow, "tw")).id == "tw-2"
        assert list(lab.table("turns")["task_id"]) == ["tw-1/turn-1"]  # no lab's, so everybody's
        start, type(lab.client).start_workflow = type(lab.client).start_workflow, fails
        try:
            with pytest.raises(ConnectionError):
                await lab.converse(HelloWorkflow, "tw")
        finally:
            type(lab.client).start_workflow = start
        assert (await lab.converse(HelloWorkflow, "tw")).id == "tw-3"
        assert lab.world.claim("ben-1")
        await (await lab.converse(NotedWorkflow, "ada")).send("Hello!")
    async with await Lab.start(**shared) as lab:
        assert (await lab.converse(HelloWorkflow, "tw")).id == "tw-4"
        assert (await lab.converse(HelloWorkflow, "ben")).id == "ben-2"
        again = await lab.converse(NotedWorkflow, "ada")
        await again.send("Thank you!")
        assert lab.table("turns")["task_id"].tolist() == ["tw-1/turn-1", "ada-2/turn-1"]
        everybodys = lab.world.services.database.rows("turns")
        assert [row["message"] for row in everybodys] == ["Hello from outside!", "Hello!", "Thank you!"]


async def fails(*_: Any, **__: Any) -> None:
    raise ConnectionError("the line is dead")


async def test_a_lab_goes_on_with_the_queue_of_one_that_has_ended_in_its_namespace() -> None:
    async with await Lab.start(workflows=[HelloWorkflow], namespace="garden", ui=False) as host:
        assert (host.task_queue, host.client.namespace) == ("juniper", "garden")
        where: dict[str, Any] = {"address": host.address, "workflows": [HelloWorkflow]}
        async with await Lab.start(**where, namespace="garden") as first:
            queue = first.task_queue
            chat = await first.converse(HelloWorkflow, "ada")
            assert "Welcome" in await chat.send("Hello!")
        async with await Lab.start(**where, namespace="garden", task_queue=queue) as second:
            again = second.conversation(chat.id)
            assert "Welcome" in await again.send("Hello!")
            assert chat.id in await second.cli("workflow", "list")
        with pytest.raises(
            LabError, match=r"has no namespace 'nowhere'\. Name one that it has in namespace="
        ):
            await Lab.start(**where, namespace="nowhere")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"address": 7233}, r"address= is host:port in a text, such as '127.0.0.1:7233', and not 7233"),
        ({"address": ""}, r"address= is host:port in a text"),
        ({"namespace": ""}, r"namespace= is a name, such as 'juniper', and not ''"),
        ({"task_queue": 3}, r"task_queue= is a name, such as 'juniper', and not 3"),
        (
            {"mcp_servers": {"plants": object}},
            r"The Agents plugin does not take these options: .*install temporalio-openai-agents\[mcp\]",
        ),
    ],
)
async def test_options_that_make_no_sense(options: dict[str, Any], says: str) -> None:
    with pytest.raises(LabError, match=says):
        await Lab.start(**options)


# A database that is away, and one that the desk's tables do not fit


async def test_a_table_of_a_database_that_is_away(tmp_path: Path) -> None:
    file = tmp_path / "desk.db"
    async with await Lab.start(workflows=[HelloWorkflow], database_url=f"sqlite:///{file}", ui=False) as lab:
        assert lab.table("orders")["order_id"][0] == "1042"
        lab.world.services.database.engine.dispose()
        away = file.rename(tmp_path / "away")
        file.mkdir()  # nothing can be opened there
        sentence = (
            r"^The database sqlite:///\S+desk.db does not answer: .*What was written is kept\. Ask again"
        )
        with pytest.raises(LabError, match=sentence):
            lab.table("orders")
        with pytest.raises(LabError, match=sentence):
            await lab.converse(HelloWorkflow, "ada")
        file.rmdir()
        away.rename(file)
        assert lab.table("orders")["order_id"][0] == "1042"
        assert (await lab.converse(HelloWorkflow, "ada")).id == "ada-1"


async def test_labs_that_open_a_new_database_at_the_same_moment(database_url: str) -> None:
    life, together = Life(), threading.Barrier(4, timeout=20)

    def open_it(world: World) -> int:
        together.wait()
        return len(world.open(database_url).rows("orders"))

    try:
        worlds = [World(life) for _ in range(4)]
        opened = await asyncio.gather(*(asyncio.to_thread(open_it, world) for world in worlds))
    finally:
        await life.stack.aclose()
    assert opened == [30] * 4


async def test_a_database_of_an_earlier_version_is_named_and_left_alone(database_url: str) -> None:
    old = database.Database(database_url)
    old.create()
    with old.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE orders DROP COLUMN customer")
    old.close()
    with pytest.raises(
        LabError, match=r"made by an earlier version of the course, and has no orders\.customer"
    ):
        await Lab.start(database_url=database_url, ui=False)


class WantsLengths(SQLiteDialect_pysqlite):
    """An engine as MySQL and MariaDB are: their VARCHAR has to have a length."""

    name = "wants_lengths"
    type_compiler_cls = MySQLTypeCompiler


async def test_a_database_that_the_tables_do_not_fit_is_told_which_do(tmp_path: Path) -> None:
    registry.impls["wants_lengths"] = lambda: WantsLengths
    with pytest.raises(
        LabError,
        match=r"^The desk's tables cannot be made in wants_lengths:///\S+x\.db: CompileError: .*VARCHAR requires a length"
        r".* The course has been tried on SQLite and PostgreSQL: name a database of one of these",
    ):
        await Lab.start(database_url=f"wants_lengths:///{tmp_path / 'x.db'}", ui=False)
