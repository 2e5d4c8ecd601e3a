"""What the tests of the desk's program share: a Temporal server, an environment, the program as a process."""

import asyncio
import contextlib
import os
import runpy
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from temporalio.client import WorkflowHandle

from course.desk import messages
from course.desk.__main__ import main
from course.lab.processes import FORKS
from course.lab.receivers import Mailbox
from tests import dev_server

ROOT = Path(__file__).parents[1]
Place = tuple[dict[str, str], Path]
"""A process's environment and its folder."""
SETTINGS = (
    "TASK_QUEUE",
    "DATABASE_URL",
    "SMTP_ADDRESS",
    "WEBHOOK_URL",
    "REPORTS",
    "MODEL",
    "METRICS_ADDRESS",
    "TRACES_URL",
    "TEMPORAL_DEPLOYMENT_NAME",
    "TEMPORAL_WORKER_BUILD_ID",
)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a Temporal server that is nobody's lab."""
    with asyncio.Runner() as runner:
        environment = runner.run(dev_server.start())
        yield dev_server.address_of(environment)
        runner.run(environment.shutdown())


@pytest.fixture
def here(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, and an environment that says where the server is and nothing else."""
    for name in [*SETTINGS, *(name for name in os.environ if name.startswith("TEMPORAL_"))]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TEMPORAL_ADDRESS", server)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextlib.contextmanager
def locked(file: str) -> Iterator[None]:
    """A database that another process holds: SQLite's way to be away."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        yield


class SlowMailbox(Mailbox):
    """Says that a mail is delivered when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.begun.set()
        await self.go_on.wait()
        return await super().handle_DATA(server, session, envelope)


def desk(
    *arguments: str, python: str = sys.executable
) -> contextlib.AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """The program in a process of its own."""
    return running(python, "-m", "course.desk", *arguments, here=python == sys.executable)


@contextlib.asynccontextmanager
async def running(
    *command: str, here: bool = True, stderr: int | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that finds the course where it is, unless it is not `here`. It ends with the block at the latest."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)} if here else os.environ
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=stderr
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def port_to_serve_at() -> int:
    """A free port that no client of this machine gets meanwhile: those of connections lie above 32,767."""
    first = 20_000 + os.getpid() * 10 % 10_000
    for port in range(first, first + 10):
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port
    raise OSError(f"The ports from {first} to {first + 9} are taken.")


class Forked:
    """A program, forked from what has imported everything already: `with ForkedDesk(file) as process`.

    What it says goes to a file.
    """

    def __init__(
        self, said: Path, work: Callable[..., int], *arguments: Any, place: Place | None = None
    ) -> None:
        place = place or (dict(os.environ), Path.cwd())
        self.said = said
        self.process = FORKS.Process(target=_run, args=(*place, said, work, *arguments))

    def __enter__(self) -> Self:
        self.process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.join()

    def says(self, sentence: str) -> bool:
        return self.said.exists() and sentence in self.said.read_text()

    @property
    def code(self) -> int | None:
        """Its exit code, when it has ended."""
        return self.process.exitcode


class ForkedDesk(Forked):
    """The desk. With `interrupted=True` it gets SIGTERM in the middle of a workflow task: while it checks the first
    message.
    """

    def __init__(self, said: Path, interrupted: bool = False, place: Place | None = None) -> None:
        super().__init__(said, _desk, interrupted, place=place)


class ForkedProgram(Forked):
    """What `python FILE` does, in this folder."""

    def __init__(self, said: Path, file: str) -> None:
        super().__init__(said, _program, file)


def _run(
    environment: dict[str, str], folder: Path, said: Path, work: Callable[..., int], *arguments: Any
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    sys.stdout = sys.stderr = said.open("w", buffering=1)
    code = work(*arguments)
    sys.stdout.flush()
    os._exit(code)


def _desk(interrupted: bool) -> int:
    if interrupted:
        check = messages.check_message

        def check_message(text: object) -> str:
            messages.check_message = check
            os.kill(os.getpid(), signal.SIGTERM)
            return check(text)

        messages.check_message = check_message
    return main([])


def _program(file: str) -> int:
    sys.argv = [file]
    sys.path.insert(0, str(Path(file).resolve().parent))
    runpy.run_path(file, run_name="__main__")
    return 0


@contextlib.contextmanager
def forked_desk(environment: dict[str, str], folder: Path, log: Path) -> Iterator[Any]:
    """A `ForkedDesk` with an environment and a folder of its own. Yields the process, which serves."""
    with ForkedDesk(log, place=(environment, folder)) as desk:
        end = time.monotonic() + 60
        while not desk.says("Serving"):
            assert desk.process.is_alive(), log.read_text()
            assert time.monotonic() < end
            time.sleep(0.02)
        yield desk.process


async def says(process: asyncio.subprocess.Process, sentence: str) -> list[str]:
    """The lines up to the one with this sentence."""
    lines: list[str] = []
    while not lines or sentence not in lines[-1]:
        line = (await asyncio.wait_for(process.stdout.readline(), 120)).decode()
        assert line, f"It ended without {sentence!r}: {lines}"
        lines.append(line)
    return lines


async def retried(chat: WorkflowHandle[Any, Any], name: str) -> bool:
    pending = (await chat.describe()).raw_description.pending_activities
    return any(one.activity_type.name == name and one.attempt > 1 for one in pending)
