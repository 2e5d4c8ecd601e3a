"""A reader's project in several releases, each with processes of its own, on one lab's server (lesson 16)."""

import asyncio
import os
import runpy
import shutil
import sys
import threading
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from agents import Model, ModelResponse
from temporalio.common import VersioningBehavior

from course.lab.errors import LabError
from course.lab.processes import FORKS
from course.lab.programs import PATIENCE, Program
from course.lab.record import TASK_HAS_FAILED
from course.models import OfflineModel

if TYPE_CHECKING:
    from course.lab.lab import Lab

PINNED = VersioningBehavior.PINNED.value
NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.db*")
# The course's own tests have these; a project of one's own does not know them.
PYTEST = ("-m", "pytest", "-p", "no:nbval", "-p", "no:hypothesispytest", "-p", "no:xdist")


class Releases:
    """Copies of a project's folder, by the build id that each has as a version.

    Their programs run in processes that are forked from one in which the SDKs are imported, so they are there at once.
    Otherwise they are like those of a terminal, each with a folder and an environment of its own.
    """

    def __init__(self, project: str | Path, lab: "Lab") -> None:
        """Removes the copies that an earlier run has left beside `project`."""
        self._project, self._lab, self._logs = Path(project).absolute(), lab, 0
        self._folder = self._project.with_name(f"{self._project.name}_releases")
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()

    async def start(self, build: str, *, versioned: bool = True, **settings: str) -> Program:
        """Copies the project, unless there is a release of this build, and starts `worker.py` in the copy.

        Args:
            build: The release's name, and its version's build id.
            versioned: Whether the worker is told its version, by TEMPORAL_DEPLOYMENT_NAME and TEMPORAL_WORKER_BUILD_ID.
            settings: More variables of its environment.

        Returns:
            The worker, once it serves, and once the server knows its version.

        Raises LabError if it ends before that.
        """
        if not (self._folder / build).exists():
            shutil.copytree(self._project, self._folder / build, ignore=NOT_COPIED)
        if versioned:
            settings |= {
                "TEMPORAL_DEPLOYMENT_NAME": self._lab.task_queue,
                "TEMPORAL_WORKER_BUILD_ID": build,
            }
        worker = await self._run(["worker.py"], self._folder / build, settings)
        if await worker.says("Serving") is None:
            raise LabError(f"The worker of release {build} ended. It has said: {worker.output or 'nothing'}")
        if versioned:
            await self._lab.known(build)
        return worker

    async def ask(self, customer: str, text: str) -> Program:
        """Starts the project's `client.py`."""
        self._lab._talks.setdefault(customer, {})  # for `lab.versions()`: it has begun here
        return await self._run(["client.py", customer, text], self._project, {})

    async def send(self, text: str, *customers: str) -> pd.DataFrame:
        """Sends a message of each customer's, and waits for the reply; returns `ran` of them.

        A workflow that was frozen refuses messages until it has been tried again, which may take a moment under the right
        code, too. So a refused message is sent again, for `PATIENCE` seconds. Raises LabError when there is no reply.
        """
        for customer in customers:
            end = time.monotonic() + PATIENCE
            while await (client := await self.ask(customer, text)).ends():
                if TASK_HAS_FAILED not in client.output or time.monotonic() > end:
                    raise LabError(f"{customer} got no reply: {client.output}")
        return await self.ran(*customers)

    async def tests(self) -> Program:
        """Starts pytest in the project's folder."""
        return await self._run(PYTEST, self._project, {})

    async def ran(self, *customers: str) -> pd.DataFrame:
        """Which version has run each turn: columns `conversation`, `turn`, `run` and `version`, from the histories.

        Each completed workflow task names the version of its worker; a turn's is that of the task with its reply.
        """
        rows: list[tuple[str, int, int, str]] = []
        for customer in customers:
            turn, version = 0, ""
            for run, history in enumerate(await self._lab.conversation(customer).record.histories(), 1):
                for event in history.events:
                    if event.HasField("workflow_task_completed_event_attributes"):
                        task = event.workflow_task_completed_event_attributes
                        version = task.deployment_version.build_id or "none"
                    if event.HasField("workflow_execution_update_completed_event_attributes"):
                        turn += 1
                        rows.append((customer, turn, run, version))
        return pd.DataFrame(rows, columns=["conversation", "turn", "run", "version"])

    async def wake(self, build: str) -> list[str]:
        """Sends the signal `wake` to each open conversation that is pinned to a version; returns their ids."""
        version = f"{self._lab.task_queue}:{build}"
        open_there = f"TemporalWorkerDeploymentVersion = '{version}' AND ExecutionStatus = 'Running'"
        ids = sorted([found.id async for found in self._lab.client.list_workflows(open_there)])
        ids = [id for id in ids if await self._is_pinned(id, build)]
        for id in ids:
            await self._lab.client.get_workflow_handle(id).signal("wake")
        return ids

    async def _is_pinned(self, id: str, build: str) -> bool:
        """The list lags behind: who has just gone over may still be in it."""
        found = await self._lab.client.get_workflow_handle(id).describe()
        where = found.raw_description.workflow_execution_info.versioning_info
        return (where.behavior, where.deployment_version.build_id) == (PINNED, build)

    async def _run(self, command: Sequence[str], folder: Path, settings: dict[str, str]) -> Program:
        """What `python` does with this command in this folder."""
        if not command[0].startswith("-") and not (folder / command[0]).exists():
            raise LabError(f"There is no {command[0]} in {folder}: run the cell that writes it.")
        self._logs += 1
        log = self._folder / f"{self._logs}.log"
        log.touch()
        environment = {**os.environ, "TEMPORAL_ADDRESS": self._lab.address, **settings}
        environment |= {
            "PYTHON_COLORS": "0",
            "PY_COLORS": "0",
        }  # a kernel asks for colours, and this is a file
        environment.pop("OPENAI_AGENTS_DISABLE_TRACING", None)  # the worker has to do that itself
        arguments = (list(command), str(folder), str(log), environment)
        process: Any = FORKS.Process(target=_become, args=arguments, daemon=True)
        await asyncio.to_thread(process.start)
        return Program(_Forked(process), log, self._lab)


class _Forked:
    """A forked process, as `Program` knows one."""

    def __init__(self, process: Any) -> None:
        self._process, self.pid = process, process.pid
        self.terminate, self.kill = process.terminate, process.kill

    def poll(self) -> int | None:
        return None if self._process.is_alive() else self._process.exitcode

    @property
    def returncode(self) -> int:
        return self._process.exitcode


def _become(command: list[str], folder: str, log: str, environment: dict[str, str]) -> None:
    """In the new process: does what a terminal's Python does."""
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path.insert(0, folder)
    if command[0] == "-m":
        sys.argv = command[1:]
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = command
        runpy.run_path(command[0], run_name="__main__")


class HeldModel(Model):
    """The offline model behind a gate: from `hold` to `release`, whoever asks it waits (simulated)."""

    def __init__(self) -> None:
        self._model = OfflineModel()
        self._open, self._asked = threading.Event(), threading.Event()
        self.release = self._open.set
        self.release()

    def hold(self) -> None:
        self._asked.clear()
        self._open.clear()

    async def asked(self) -> None:
        """Waits until somebody has asked since `hold`."""
        await asyncio.to_thread(self._asked.wait)

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        self._asked.set()
        await asyncio.to_thread(self._open.wait)
        return await self._model.get_response(*args, **kwargs)

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        raise NotImplementedError("This model does not stream.")
