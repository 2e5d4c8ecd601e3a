"""Processes of the lab's own: forked, in a few milliseconds, from one that has imported everything.

A fresh Python needs seconds to import Temporal and the Agents SDK. The fork server imports them once; what
must be able to die alone (a worker that is killed on purpose, a reader's code that loops for ever) is forked
from it.
"""

import asyncio
import copyreg
import io
import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from openai import APIError
from temporalio.client import Client, GrpcCompression

from course.desk.services import Database
from course.lab.errors import LabError
from course.lab.moments import DyingRunner, KillAt, Moment
from course.lab.outages import OutageInterceptor, OutageProvider, Outages
from course.lab.running import RunningWorker, Sandbox, WorkerSettings, lab_plugin
from course.lab.runtime import choose, runtime, tracing
from course.lab.server import until
from course.lab.world import services_at
from course.models import model_provider

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["course.lab.preloaded"])


class WorkerProcess:
    """A worker in a process of its own. It can be killed as a power cut would kill it.

    Attributes:
        pid: The process's number.
    """

    def __init__(self, process: Any) -> None:
        self._process = process
        self.pid: int = process.pid

    @classmethod
    async def start(
        cls, settings: WorkerSettings, kill: str | Sequence[str] | None = None
    ) -> "WorkerProcess":
        moments = Moment.read_all(kill, settings.activities)
        parcel = io.BytesIO()
        try:
            # The helper's environment is that of the moment at which it was started: the kernel's own goes along.
            Parcel(parcel).dump((dict(os.environ), moments, settings))
        except Exception as error:
            raise LabError(_not_handed_over(error)) from None
        here, there = FORKS.Pipe()
        process = FORKS.Process(target=_main, args=(there,), daemon=True)
        await asyncio.to_thread(process.start)
        there.close()
        try:
            await asyncio.to_thread(here.send_bytes, parcel.getbuffer())
            problem = await asyncio.to_thread(here.recv)
        except (EOFError, OSError):  # it has ended: before it had read everything, or before it could say why
            process.join(5)
            problem = f"The worker process did not start: it ended with exit code {process.exitcode}."
            if hasattr(sys.modules["__main__"], "__file__"):  # it has to do what a notebook has not
                problem += (
                    " A process that a script starts reads the script again: put what yours does under "
                    "`if __name__ == '__main__':`."
                )
        if problem:
            raise LabError(problem)
        return cls(process)

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    async def died(self, *, timeout: float = 30) -> int:
        """Waits until the process has ended; returns its exit code (-9: killed). Raises `LabError`."""
        # Not in a thread: whoever asks for the exit code first reads it away from the others.
        if not await until(lambda: not self.alive, timeout):
            raise LabError(
                f"The worker process still lives after {timeout:g} s: the moment at which it is to be killed has "
                "not come. process.kill() ends it now."
            )
        return self._process.exitcode

    def kill(self) -> None:
        """SIGKILL, now. A second time does nothing."""
        self._process.kill()


class Parcel(pickle.Pickler):
    """Pickles what a worker process is handed, errors of the OpenAI client among it: a model's script may have some.

    Python makes an error again by calling its class with its message, and these want more than a message.
    """

    def reducer_override(self, one: Any) -> Any:
        if isinstance(one, APIError):
            return copyreg.__newobj__, (type(one), *one.args), vars(one)  # type: ignore[attr-defined]
        return NotImplemented


def _not_handed_over(error: Exception) -> str:
    return (
        f"A worker process cannot be given this lab's workflows, activities or model: {error}. "
        "They must be importable from a module, and the model picklable."
    )


def _main(kernel: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt of the kernel is not for this process
    try:
        environment, kill, settings = pickle.loads(kernel.recv_bytes())
    except Exception as error:
        return kernel.send(_not_handed_over(error))
    os.environ.clear()
    os.environ.update(environment)
    asyncio.run(_work(settings, kill, kernel))


async def _work(settings: WorkerSettings, kill: Sequence[Moment], kernel: Connection) -> None:
    try:
        choose(False, settings.tracing)
        database = Database(settings.database_url)
        services = services_at(database, settings.mail_port, settings.webhook_url, settings.reports)
        outages = Outages(settings.outages)
        _, provider = model_provider(settings.model)
        refusable = OutageProvider(provider, outages)
        plugin = lab_plugin(refusable, settings.model_calls, **settings.plugin_options)
        client = await Client.connect(
            settings.address,
            namespace=settings.namespace,
            plugins=[plugin, *tracing()],
            runtime=runtime(),
            grpc_compression=GrpcCompression.NONE,
        )
        interceptors, runner = [OutageInterceptor(services, outages)], Sandbox()
        if kill:
            interceptors.append(kill_at := KillAt(kill))
            runner = DyingRunner(kill_at=kill_at)
        await RunningWorker(client, settings, interceptors, runner).start()
    except Exception as error:
        kernel.send(f"The worker process did not start: {type(error).__name__}: {error}")
        raise
    kernel.send(None)
    await asyncio.Event().wait()
