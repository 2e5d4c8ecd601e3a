"""The desk as a program, `python -m course.desk`: what it says, what it waits for, and that it needs nothing else."""

import asyncio
import contextlib
import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from course.desk.__main__ import main
from course.lab.receivers import Mailbox, WebhookReceiver
from course.lab.releases import HeldModel
from course.lab.runtime import samples
from course.lab.server import temporal_binary
from course.lab.spans import TraceReceiver
from course.models import ModelEndpoint
from tests.desk_process import (
    ROOT,
    ForkedDesk,
    SlowMailbox,
    desk,
    here,
    locked,
    port_to_serve_at,
    retried,
    says,
    server,
)
from tests.lab_helpers import attempts, attributes, until

__all__ = ["here", "server"]  # fixtures


# What is asked before it serves


def test_the_tables_are_made_twice_as_once(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [main(["--setup"]), main(["--setup"])] == [0, 0]
    said = capsys.readouterr().out
    assert "The tables are there, and the shop is filled: sqlite:///desk.db." in said
    assert said.endswith("The Temporal server knows the search attributes.\n")
    with contextlib.closing(sqlite3.connect("desk.db")) as database:
        assert database.execute("SELECT count(*) FROM orders").fetchone() == (30,)


def test_no_tables_are_made_where_none_can_be(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with locked("desk.db"):
        assert main(["--setup"]) == 1
    monkeypatch.setenv("DATABASE_URL", "sqlite:///none/desk.db")
    assert main(["--setup"]) == 2
    away, wrong = capsys.readouterr().err.splitlines()
    assert away == "Nothing was set up. The database sqlite:///desk.db does not answer (database is locked)."
    assert wrong.startswith(
        "Nothing was set up. The desk's tables cannot be made in sqlite:///none/desk.db: "
    )


def test_tables_of_an_earlier_version_are_named_and_left_alone(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--setup"]) == 0
    with contextlib.closing(sqlite3.connect("desk.db")) as database:
        database.execute("ALTER TABLE orders DROP COLUMN customer")
        rows = database.execute("SELECT * FROM orders").fetchall()
    assert [main(["--setup"]), main(["--check"]), main([])] == [2, 1, 2]
    said = capsys.readouterr()
    sentence = (
        "The database sqlite:///desk.db was made by an earlier version of the desk, and has no orders.customer. It was "
        "left as it is: add the column and fill it, or set DATABASE_URL to another database."
    )
    assert said.err.splitlines() == [f"Nothing was set up. {sentence}", f"The desk did not start. {sentence}"]
    assert sentence in said.out.splitlines()
    with contextlib.closing(sqlite3.connect("desk.db")) as database:
        assert database.execute("SELECT * FROM orders").fetchall() == rows


def test_a_check_says_of_each_what_does_not_answer(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SMTP_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("WEBHOOK_URL", "http://127.0.0.1:1/")
    assert main(["--check"]) == 1
    queue, database, mail, webhook = capsys.readouterr().out.splitlines()
    assert "and no worker serves the task queue 'juniper': start one with python -m course.desk." in queue
    assert "answers, and has no table turns, batches, reports, orders, stock: python -m" in database
    assert mail.startswith("The mail server at 127.0.0.1:1 does not answer (")
    assert webhook.startswith("The webhook at http://127.0.0.1:1/ does not answer (")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    assert main(["--check"]) == 1
    assert capsys.readouterr().out.startswith(
        "No Temporal server answers at 127.0.0.1:1 (Connection refused)"
    )
    monkeypatch.setenv("SMTP_ADDRESS", "mail")
    assert main(["--check"]) == 2


# What is waited for


async def test_what_is_away_is_waited_for(here: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox, webhooks = SlowMailbox(), WebhookReceiver()
    await mailbox.start()
    await mailbox.stop()
    monkeypatch.setenv("SMTP_ADDRESS", f"127.0.0.1:{mailbox.port}")
    monkeypatch.setenv("WEBHOOK_URL", "http://127.0.0.1:1/")
    monkeypatch.setenv("TASK_QUEUE", "waiting")
    port = port_to_serve_at()
    monkeypatch.setenv("METRICS_ADDRESS", f"127.0.0.1:{port}")
    monkeypatch.setenv("TRACES_URL", "http://127.0.0.1:1/v1/traces")  # away, which costs nothing
    client = await Client.connect(server)
    async with desk() as process:
        with locked("desk.db"):
            away = "".join(await says(process, "Serving 'waiting' at"))
            for what in ("The database sqlite:///desk.db", "The mail server at", "The webhook at"):
                assert re.search(rf"{what}.* does not answer \(.*\)\. The desk waits for it", away)
            chat = await client.start_workflow("ConversationWorkflow", "ada", id="ada", task_queue="waiting")
            reply = asyncio.create_task(chat.execute_update("send", "Thanks!"))
            await until(lambda: retried(chat, "save_to_database"), "the record is tried again")
            assert not reply.done()
        await says(process, "The database sqlite:///desk.db answers, and has the desk's tables.")
        assert "welcome" in await reply
        await mailbox.start()
        monkeypatch.setenv("WEBHOOK_URL", webhooks.url)
        assert await asyncio.to_thread(main, ["--check"]) == 0
        webhooks.stop()
        turns = await samples(f"http://127.0.0.1:{port}/metrics", "desk_turns_total")
        assert turns[["outcome", "value"]].values.tolist() == [["answered", 1]]

        # A signal lets what runs come to its end: here, a mail.
        await asyncio.wait_for(mailbox.begun.wait(), 120)
        process.terminate()
        await says(process, "Stopping: running activities have 30 s to finish")
        mailbox.go_on.set()
        assert await asyncio.wait_for(process.wait(), 30) == 0
    await mailbox.stop()
    assert [mail["subject"] for mail in mailbox.mails] == ["ada wrote, and was answered: Thanks!"]
    assert mailbox.repeats == 0
    tried = dict(attempts(await chat.fetch_history()))
    assert tried["invoke_model_activity"] == 1
    with contextlib.closing(sqlite3.connect("desk.db")) as database:
        assert database.execute("SELECT message FROM turns").fetchall() == [("Thanks!",)]


async def test_a_second_signal_ends_it_at_once(
    here: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = SlowMailbox()
    await mailbox.start()
    monkeypatch.setenv("SMTP_ADDRESS", f"127.0.0.1:{mailbox.port}")
    monkeypatch.setenv("TASK_QUEUE", "twice")
    traces = TraceReceiver()
    monkeypatch.setenv("TRACES_URL", traces.url)
    client = await Client.connect(server)
    async with desk("--grace", "60") as process:
        await says(process, "Serving 'twice' at")
        chat = await client.start_workflow("ConversationWorkflow", "ben", id="ben", task_queue="twice")
        await chat.execute_update("send", "Thanks!")
        await asyncio.wait_for(mailbox.begun.wait(), 120)
        await until(lambda: has_spans(traces, "HandleUpdate:send"), "the turn's spans")
        process.terminate()
        await says(
            process, "Stopping: running activities have 60 s to finish. A second signal stops at once."
        )
        assert process.returncode is None
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 10) == 128 + signal.SIGTERM
    mailbox.go_on.set()
    await mailbox.stop()


async def test_a_signal_in_a_workflow_task_and_in_a_model_call_repeats_nothing(
    here: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three workers, one after the other, of one version: each but the last is asked to end in the middle of a turn."""
    mailbox = Mailbox()
    await mailbox.start()
    monkeypatch.setenv("SMTP_ADDRESS", f"127.0.0.1:{mailbox.port}")
    monkeypatch.setenv("TASK_QUEUE", "interrupted")
    monkeypatch.setenv("TEMPORAL_DEPLOYMENT_NAME", "interrupted")
    monkeypatch.setenv("TEMPORAL_WORKER_BUILD_ID", "v1")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("MODEL", "held")
    client = await Client.connect(server)
    model = HeldModel()
    with ModelEndpoint(model) as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        with ForkedDesk(here / "first.txt", interrupted=True) as first:
            await until(lambda: first.says("Serving 'interrupted' at"), "it serves", 60)
            await until(is_current, "its version is current", 60)
            chat = await client.start_workflow(
                "ConversationWorkflow", "ada", id="eve", task_queue="interrupted"
            )
            reply = asyncio.create_task(chat.execute_update("send", "Thanks!"))
            await until(lambda: first.code is not None, "it ends", 60)
            assert first.code == 0
        with ForkedDesk(here / "second.txt") as second:
            assert "welcome" in await reply  # some of it, the first one may have done in its grace
            model.hold()
            reply = asyncio.create_task(chat.execute_update("send", "Thank you!"))
            await asyncio.wait_for(model.asked(), 60)
            second.process.terminate()
            await until(lambda: second.says("Stopping: running activities have 30 s"), "it is asked to end")
            model.release()
            await until(lambda: second.code is not None, "it ends", 60)
            assert second.code == 0
        with ForkedDesk(here / "third.txt") as third:
            assert "welcome" in await reply
            await chat.signal("close")
            assert (await chat.result())["turns"] == 2
            third.process.terminate()
            await until(lambda: third.code is not None, "it ends", 60)
            assert third.code == 0
        assert endpoint.requests == 2
    await mailbox.stop()
    assert [mail["subject"] for mail in mailbox.mails] == [
        "ada wrote, and was answered: Thanks!",
        "ada wrote, and was answered: Thank you!",
    ]
    history = await chat.fetch_history()
    assert set(dict(attempts(history)).values()) == {1}
    # A workflow task may have waited for a worker that had gone, or been handed to one that was going: it was late, no more.
    assert attributes(history, "workflow_task_failed") == []
    assert {one.deployment_version.build_id for one in attributes(history, "workflow_task_completed")} == {
        "v1"
    }
    with contextlib.closing(sqlite3.connect("desk.db")) as database:
        assert database.execute("SELECT task_id FROM turns").fetchall() == [
            ("eve/turn-1",),
            ("eve/turn-2",),
        ]


async def is_current() -> bool:
    """Makes the worker's version current, by hand; False as long as the server has not heard of it."""
    version = ["--deployment-name", "interrupted", "--build-id", "v1", "--yes"]
    command = [temporal_binary(), "worker", "deployment", "set-current-version", *version]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return await process.wait() == 0


async def has_spans(traces: TraceReceiver, name: str) -> bool:
    return name in (await traces.spans()).name.to_list()


# The desk alone

NOT_THE_DESKS = [
    "IPython",
    "ipykernel",
    "jupyterlab",
    "pandas",
    "matplotlib",
    "psutil",
    "aiosmtpd",
    "nest_asyncio2",
]


def texts_in(folder: Path) -> set[Path]:
    """The files of a package that are no code, and that its code reads."""
    kinds = {".html", ".json", ".md", ".toml", ".yml"}
    return {
        file.relative_to(folder)
        for file in folder.rglob("*")
        if file.suffix in kinds and file.name != "ruff.toml"
    }


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A fresh environment with what `pip install ".[desk]"` installs, in the lock's versions. Returns its Python.

    `make setup` has left every package of it in uv's cache: nothing is downloaded, and it takes seconds.
    """
    source, python = tmp_path / "source", tmp_path / "alone" / "bin" / "python"
    shutil.copytree(ROOT / "course", source / "course", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    uv = str(Path(sysconfig.get_path("scripts")) / "uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, python.parents[1]], check=True)
    constraints = ["--constraints", ROOT / "requirements.lock", "--offline"]
    install = [uv, "pip", "install", "--quiet", "--python", python, *constraints, ".[desk]"]
    subprocess.run(install, check=True, cwd=source)
    return python


async def test_the_desk_alone_holds_a_conversation(
    here: Path, server: str, alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = Mailbox()
    await mailbox.start()
    monkeypatch.setenv("SMTP_ADDRESS", f"127.0.0.1:{mailbox.port}")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")  # the offline desk asks no proxy
    code = f"import importlib.util as i; print([n for n in {NOT_THE_DESKS} if i.find_spec(n)])"
    found = subprocess.run([alone, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
    [installed] = alone.parents[1].glob("lib/*/site-packages/course")
    assert texts_in(installed) == texts_in(ROOT / "course") != set()

    async def temporal(*arguments: str) -> Any:
        command = [*arguments, "--address", server, "--output", "json"]
        process = await asyncio.create_subprocess_exec(
            temporal_binary(), "workflow", *command, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert process.returncode == 0
        return json.loads(out) if out.startswith(b"{") else None

    async with desk(python=str(alone)) as process:
        await says(process, "Serving 'juniper' at")
        start = ["--type", "ConversationWorkflow", "--task-queue", "juniper", "--input", '"cleo"']
        await temporal("start", "--workflow-id", "cleo", *start)
        replies = []
        for text in ("Where is order 1062?", "Do you have a Ficus?", "Thanks!"):
            send = ["--workflow-id", "cleo", "--name", "send", "--input", json.dumps(text)]
            replies.append((await temporal("update", "execute", *send))["result"])
        await temporal("signal", "--workflow-id", "cleo", "--name", "close")
        ended = (await temporal("result", "--workflow-id", "cleo"))["result"]
        process.terminate()
        assert await process.wait() == 0
    await mailbox.stop()

    assert "Order 1062: 1 × Monstera" in replies[0]
    assert "Ficus: 12 in stock" in replies[1]
    assert (ended["customer"], ended["turns"], ended["answered"]) == ("cleo", 3, 3)
    [report] = (here / "reports").iterdir()
    assert report.name == ended["report"]
    page = report.read_text()
    assert "Do you have a Ficus?" in page
    assert "There is no figure: the worker that wrote this report has no Matplotlib." in page
    with contextlib.closing(sqlite3.connect("desk.db")) as database:
        rows = database.execute("SELECT task_id, message, outcome FROM turns ORDER BY turn").fetchall()
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        batches = database.execute("SELECT task_id, messages FROM batches").fetchall()
    assert rows == [
        ("cleo/turn-1", "Where is order 1062?", "answered"),
        ("cleo/turn-2", "Do you have a Ficus?", "answered"),
        ("cleo/turn-3", "Thanks!", "answered"),
    ]
    assert batches == [("cleo/turn-3", 3)]
    assert tables == {"turns", "batches", "reports", "orders", "stock"}  # no lesson's
    assert len(mailbox.mails) == 3
