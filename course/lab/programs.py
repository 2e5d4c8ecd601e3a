"""A reader's own programs, run as processes: what a terminal does, for a notebook (01b)."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from course.lab.chat import Conversation
from course.lab.errors import LabError
from course.lab.server import note_process, until

if TYPE_CHECKING:
    from course.lab.lab import Lab

PATIENCE = 60  # seconds, for a program on a busy machine
UNTIL_NOBODY_POLLS = 20  # seconds without a failure: then the work waits, and nobody takes it


class Program:
    """A process that runs one program. It ends with its lab at the latest; if the kernel is killed, the next lab ends it."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, lab: "Lab") -> None:
        self._process, self._log = process, log
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended already
            note_process(lab.world.folder, process.pid)
        lab._life.must_end.callback(self._kill)

    @property
    def output(self) -> str:
        """All that it has said so far."""
        return self._log.read_text(errors="replace").strip()

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    async def says(self, word: str) -> str | None:
        """The first line of its output with this word. Waits for it; None if the program ends without it."""
        await until(lambda: word in self.output or not self.runs, PATIENCE)
        return next((line for line in self.output.splitlines() if word in line), None)

    async def ends(self) -> int:
        """Waits for its end; returns the exit code. Raises `LabError` if it does not end within a minute."""
        if not await until(lambda: not self.runs, PATIENCE):
            raise LabError(
                f"The program still runs after {PATIENCE} s. It has said: {self.output or 'nothing'}"
            )
        return self._process.returncode

    def stop(self) -> None:
        """Sends SIGTERM, as an operator does."""
        self._process.terminate()

    def _kill(self) -> None:
        if self.runs:
            self._process.kill()

    async def stopped(self) -> int:
        """Sends SIGTERM and waits for the end; returns the exit code. Raises `LabError` if it does not end within a minute."""
        self.stop()
        return await self.ends()


class Programs:
    """The programs of one folder, with the lab's server in their environment.

    The variable that turns tracing off is not there: the lab has set it in the kernel, and a worker of one's own
    has to do that itself.
    """

    def __init__(self, folder: str | Path, lab: "Lab") -> None:
        self._folder, self._lab = Path(folder), lab

    def start(self, program: str, *arguments: str) -> Program:
        """Runs a program of the folder in a process of its own. Raises `LabError` if there is no such file."""
        if not (self._folder / program).exists():
            raise LabError(f"There is no {program} in {self._folder}: run the cell that writes it.")
        environment = {**os.environ, "TEMPORAL_ADDRESS": self._lab.address}
        environment["PYTHON_COLORS"] = "0"  # a kernel asks for colours, and this is a file
        environment.pop("OPENAI_AGENTS_DISABLE_TRACING", None)
        log = self._folder / f"{program}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, program, *arguments],
                cwd=self._folder,
                env=environment,
                stdout=output,
                stderr=output,
            )
        return Program(process, log, self._lab)

    async def changed_worker(self, line: str, instead: str, customer: str) -> str:
        """Starts worker.py with one line changed, and a client of this customer, and waits until something is wrong.

        Returns what the client does, what the server has pending, and the first error in the worker's log. Ends
        both programs and the conversation. Raises `LabError` if worker.py has no such line.
        """
        code = (self._folder / "worker.py").read_text()
        if line not in code:
            raise LabError(f"worker.py has no line with {line.strip()!r}. Run the cells that write it again.")
        (self._folder / "changed_worker.py").write_text(code.replace(line, instead))
        worker = self.start("changed_worker.py")
        await worker.says("Serving")
        client = self.start("client.py", customer, "How often do I water a Monstera?")
        await client.says("waits")
        chat = self._lab.conversation(customer)
        deadline, failing = time.monotonic() + UNTIL_NOBODY_POLLS, False
        while (
            client.runs and not (failing := await _is_failing(worker, chat)) and time.monotonic() < deadline
        ):
            await asyncio.sleep(0.05)
        found = {
            "client": "waits" if client.runs else client.output,
            "pending": ", ".join((await chat.pending()).activity) or "nothing",
            "worker": (await worker.says("Error: ") if failing else None) or "says no error",
        }
        for program in (client, worker):
            program.stop()
            await program.ends()
        await chat.handle.terminate()
        return "\n".join(f"{who + ':':8} {what}" for who, what in found.items())


async def _is_failing(worker: Program, chat: Conversation) -> bool:
    return not worker.runs or bool((await chat.pending()).attempt.gt(1).any())
