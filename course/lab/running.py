"""The worker of a lab: runs workflows and activities in the kernel, beside the cells.

Beside them means in a thread of its own, with an event loop of its own. A cell that computes or draws for seconds
holds up the kernel's loop: a worker in it would not hear of the work that the server has handed to it, could not
say that it lives, and would be taken for dead. What it was doing would be done twice.
"""

import asyncio
import functools
import gc
import logging
import warnings
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from weakref import WeakSet

from agents import Model, ModelProvider, set_trace_provider
from agents.run import get_default_agent_runner, set_default_agent_runner
from agents.tracing import get_trace_provider
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import Client, ClientConfig
from temporalio.common import WorkerDeploymentVersion
from temporalio.converter import DataConverter, StorageDriverStoreContext
from temporalio.openai_agents import ModelActivityParameters, OpenAIAgentsPlugin, OpenAIPayloadConverter
from temporalio.worker import Interceptor, Worker, WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import UnfinishedSignalHandlersWarning, UnfinishedUpdateHandlersWarning

from course.desk.heartbeats import Heartbeats, thread
from course.desk.plugin import MODEL_CALLS
from course.desk.worker import OPTIONS, versioned
from course.lab import compat
from course.lab.runtime import tracing

SILENCED = (
    "temporalio.activity",  # a traceback for every attempt that fails: the tables show the attempts
    "temporalio.workflow",
    "temporalio.worker.workflow_sandbox",  # a line beside the error that it raises
    compat.WORKFLOW_LOGGER,  # a traceback for every time that a frozen workflow is tried again
    "openai.agents",
)

EXITS = "sys.exit() in a workflow would end the whole worker. Return, or raise an error."

SECONDS_TO_STOP = 15
"""An activity that hangs in a blocking call cannot be ended; the lab does not wait for it."""

PAYLOADS = DataConverter(payload_converter_class=OpenAIPayloadConverter)
"""The plugin's own. It keeps what it has built to read a model call with, which takes it a tenth of a second."""

NO_STORAGE = StorageDriverStoreContext()


class AgentsPlugin(OpenAIAgentsPlugin):
    """With one converter for all clients of a process, where the plugin makes one for each."""

    def configure_client(self, config: ClientConfig) -> ClientConfig:
        return ClientConfig(**super().configure_client(config) | {"data_converter": PAYLOADS})


def lab_plugin(
    provider: ModelProvider, model_calls: ModelActivityParameters | None = None, **options: Any
) -> OpenAIAgentsPlugin:
    traced = {"use_otel_instrumentation": True, "add_temporal_spans": False} if tracing() else {}
    return AgentsPlugin(model_params=model_calls or MODEL_CALLS, model_provider=provider, **traced, **options)


@dataclass(frozen=True)
class Sandbox(SandboxedWorkflowRunner):
    """Temporal's sandbox. A worker tries every workflow in it before it starts: here, each class once a process."""

    def prepare_workflow(self, defn: Any) -> None:
        if defn.cls not in _TRIED:
            super().prepare_workflow(defn)
            _TRIED.add(defn.cls)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """A `sys.exit()` in a workflow fails its task, as any exception does: it would end the workers' event loop."""
        instance = super().create_instance(det)
        activate = instance.activate

        def survive(activation: WorkflowActivation) -> WorkflowActivationCompletion:
            try:
                return activate(activation)
            except SystemExit as error:
                raise RuntimeError(EXITS).with_traceback(error.__traceback__) from None

        instance.activate = survive  # type: ignore[method-assign]
        # Whose payload is it? Only a codec or an external storage wants to know, and a lab has neither. The SDK asks in
        # the sandbox, some sixty times a turn, which is a fifteenth of all that a turn costs the worker.
        instance.get_serialization_context = lambda command_info: None  # type: ignore[method-assign]
        instance.get_external_store_context = lambda command_info: NO_STORAGE  # type: ignore[method-assign]
        return instance


_TRIED: WeakSet[type] = WeakSet()

Result = TypeVar("Result")


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    """The event loop of all the process's workers. It is never closed: a live model's connections belong to it."""
    # What has been imported stays. Python's garbage collector would look through all of it again and again, and no
    # thread runs meanwhile: for a fifth of a second, which on a busy machine becomes the silence of a dead worker.
    gc.freeze()
    return thread("workers")


async def beside_the_cells(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Runs a coroutine where the workers run, and waits for it."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, _loop()))


@dataclass(frozen=True)
class WorkerSettings:
    """All that a worker needs, also one in another process, to do the same work."""

    address: str
    namespace: str
    task_queue: str
    workflows: Sequence[type]
    activities: Sequence[Callable[..., Any]]
    model: Model | str | None
    model_calls: ModelActivityParameters | None
    plugin_options: Mapping[str, Any]
    database_url: str
    mail_port: int
    webhook_url: str
    reports: Path
    outages: Path
    tracing: str | None = None
    """Where traces are sent to, also by a worker in another process. That one serves no metrics."""
    version: WorkerDeploymentVersion | None = None
    """Of which version the worker is, if of any."""


class RunningWorker:
    """A worker that has been started.

    The Agents plugin puts Temporal's runner and trace provider in place of the SDK's own, for the whole
    process, and takes them away when its worker stops. With two labs in one kernel the first to stop would
    take them from the other: so whoever is left gets its own back.
    """

    _running: ClassVar[list["RunningWorker"]] = []
    _before: ClassVar[tuple[Any, Any]] = (None, None)

    def __init__(
        self,
        client: Client,
        settings: WorkerSettings,
        interceptors: Sequence[Interceptor],
        runner: SandboxedWorkflowRunner | None = None,
    ) -> None:
        self._threads = ThreadPoolExecutor(100, thread_name_prefix="activity")
        self._worker = Worker(
            client,
            task_queue=settings.task_queue,
            workflows=settings.workflows,
            activities=settings.activities,
            activity_executor=self._threads,
            interceptors=[Heartbeats(client), *interceptors],
            workflow_runner=runner or Sandbox(),
            graceful_shutdown_timeout=timedelta(seconds=2),
            # Forked processes have no script of their own to make a build id from.
            **(versioned(settings.version) or {"build_id": "course"}),
            **OPTIONS,
        )
        self._task: asyncio.Task[None] | None = None
        self._mine: tuple[Any, Any] = (None, None)

    async def start(self) -> None:
        """Raises what `temporalio.worker.Worker` raises when a workflow or an activity is not valid."""
        for name in SILENCED:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        # A workflow that fails leaves its handlers unfinished: its history says so.
        warnings.simplefilter("ignore", UnfinishedUpdateHandlersWarning)
        warnings.simplefilter("ignore", UnfinishedSignalHandlersWarning)
        await beside_the_cells(self._start())

    async def _start(self) -> None:
        if not RunningWorker._running:
            RunningWorker._before = (get_default_agent_runner(), get_trace_provider())
        RunningWorker._running.append(self)
        self._task = asyncio.create_task(self._worker.run())
        while not self._worker.is_running:
            if self._task.done():
                await self._stop()
                self._task.result()
            await asyncio.sleep(0.002)
        self._mine = (get_default_agent_runner(), get_trace_provider())

    @property
    def failure(self) -> BaseException | None:
        """Why the worker ended by itself, if it did."""
        if self._task and self._task.done() and not self._task.cancelled():
            return self._task.exception()
        return None

    async def stop(self) -> None:
        """Lets running activities end (two seconds, then they are cancelled), and ends the worker."""
        await beside_the_cells(self._stop())

    async def _stop(self) -> None:
        if self not in RunningWorker._running or not self._task:
            return
        RunningWorker._running.remove(self)
        if not self._task.done():
            shutdown = asyncio.create_task(self._worker.shutdown())
            await asyncio.wait([self._task, shutdown], timeout=SECONDS_TO_STOP)
            shutdown.cancel()
        self._task.cancel()
        await asyncio.wait([self._task], timeout=1)
        rest = RunningWorker._running
        runner, traces = rest[-1]._mine if rest else RunningWorker._before
        set_default_agent_runner(runner)
        set_trace_provider(traces)
        self._threads.shutdown(wait=False, cancel_futures=True)


def stop_workers_with_python() -> None:
    """One that runs, or a call under way, would crash Python while it ends. No other loop must run for it."""
    for worker in list(RunningWorker._running):
        asyncio.run_coroutine_threadsafe(worker._stop(), _loop()).result()
