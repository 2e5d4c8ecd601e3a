"""Where a turn's milliseconds go: CPU time by thread, of one conversation that writes as soon as it is answered.

The desk's worker runs in this process, on a thread of its own, beside a lab that has the server, the database and the mailbox.
What is CPU time of what:

- server: of its process.
- SDK core: of the threads that are not Python's: polling, the state machines, gRPC. The customer's calls pass through it, too.
- workflow: of the threads that run workflow tasks: the desk's workflow, the Agents SDK's loop, and the SDK's Python. Measured in
  the sandbox and, in another round, without it: the difference is the sandbox.
- database, mail: of the calls of `Database` and `Mail`, in the threads that run activities. Most of their time they wait, so
  what a clock on the wall says is told beside it.
- model: of the offline model's call, which stands in for a live one that would be waited for.
- memory: of `RunResult.to_input_list`, with which the desk takes a turn out of a run; a part of the workflow's.
- heartbeats: of their thread. What they cost the worker's event loop is among the next.
- activities: the rest of the activities' threads, and of the worker's event loop: tasks decoded and encoded, interceptors.
"""

import asyncio
import functools
import inspect
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import psutil
from agents import RunResult
from temporalio.client import Client
from temporalio.worker import Worker, WorkflowRunner

from course import Lab
from course.desk import ConversationWorkflow
from course.desk.heartbeats import Heartbeats, thread
from course.desk.plugin import agents_plugin
from course.desk.services import Database, Mail, ServicesInterceptor
from course.desk.worker import ACTIVITIES, OPTIONS, WORKFLOWS
from course.models import OfflineModel, model_provider

WARM = 25
THREADS = {
    "temporal_workflow": "workflow",
    "activity": "activities",
    "desk": "activities",
    "heart": "heartbeats",
}
"""What a thread's time belongs to, by the beginning of its name."""
OURS = ("database", "mail", "memory", "heartbeats")


class Spent(Counter[str]):
    """Milliseconds, by part; `database (wall)` and `mail (wall)` by a clock on the wall."""

    @contextmanager
    def calls_of(self, part: str, owner: type, *methods: str) -> Iterator[None]:
        """Counts what they take, in the thread that calls them."""
        with ExitStack() as stack:
            for method in methods:
                stack.enter_context(patch.object(owner, method, self._timed(part, getattr(owner, method))))
            yield

    def _timed(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def counted() -> Iterator[None]:
            cpu, wall = time.thread_time(), time.perf_counter()
            yield
            self[part] += 1000 * (time.thread_time() - cpu)
            self[f"{part} (wall)"] += 1000 * (time.perf_counter() - wall)

        async def waited_for(*args: Any, **more: Any) -> Any:
            with counted():
                return await call(*args, **more)

        def called(*args: Any, **more: Any) -> Any:
            with counted():
                return call(*args, **more)

        return functools.wraps(call)(waited_for if inspect.iscoroutinefunction(call) else called)

    @contextmanager
    def threads_and(self, server: psutil.Process) -> Iterator[None]:
        """Counts what this process's threads and a server take within the block."""
        before = _milliseconds(server)
        yield
        self.update(_milliseconds(server) - before)


def _milliseconds(server: psutil.Process) -> Counter[str]:
    names = {one.native_id: one.name for one in threading.enumerate()}
    used: Counter[str] = Counter()
    for one in psutil.Process().threads():
        name = names.get(one.id)
        known = (part for start, part in THREADS.items() if name and name.startswith(start))
        used[next(known, "customer" if name else "SDK core")] += 1000 * (one.user_time + one.system_time)
    times = server.cpu_times()
    return used + Counter({"server": 1000 * (times.user + times.system)})


@asynccontextmanager
async def desk(lab: Lab, queue: str, runner: WorkflowRunner) -> AsyncIterator[Client]:
    """A worker as `course.desk.worker` makes it, on a thread of its own. Yields the customers' client."""
    _, provider = model_provider(None)
    client = await Client.connect(lab.address, plugins=[agents_plugin(provider)])
    stop = asyncio.Event()

    async def serve() -> None:
        with ThreadPoolExecutor(100, thread_name_prefix="activity") as threads:
            async with Worker(
                client,
                task_queue=queue,
                workflows=WORKFLOWS,
                activities=ACTIVITIES,
                activity_executor=threads,
                interceptors=[Heartbeats(client), ServicesInterceptor(lab.world.services)],
                workflow_runner=runner,
                **OPTIONS,
            ):
                await stop.wait()

    serving = asyncio.run_coroutine_threadsafe(serve(), loop := thread("desk"))
    yield client
    loop.call_soon_threadsafe(stop.set)
    await asyncio.wrap_future(serving)


async def spent_a_turn(lab: Lab, runner: WorkflowRunner, turns: int) -> dict[str, float]:
    """Milliseconds a turn, by part. `turn` is how long its customer waits for the reply."""
    queue, spent, mails = f"desk-{uuid4()}", Spent(), lab.world.mailbox.mails
    async with desk(lab, queue, runner) as client:
        handle = await client.start_workflow(
            ConversationWorkflow.run, "ada", id=f"ada-{uuid4()}", task_queue=queue
        )

        async def talk(turns: int) -> None:
            expected = len(mails) + turns
            for _ in range(turns):
                began = time.perf_counter()
                text, id = "Where is order 1042?", str(uuid4())
                await handle.execute_update(ConversationWorkflow.send, text, id=id)
                spent["turn"] += 1000 * (time.perf_counter() - began)
            while len(mails) < expected:
                await asyncio.sleep(0.005)

        await talk(WARM)
        spent.clear()
        with (
            spent.threads_and(psutil.Process(lab.temporal.server.process.pid)),
            spent.calls_of("database", Database, "insert_once", "find"),
            spent.calls_of("mail", Mail, "send"),
            spent.calls_of("model", OfflineModel, "get_response"),
            spent.calls_of("memory", RunResult, "to_input_list"),
        ):
            await talk(turns)
    for part in ("database", "mail", "model"):
        spent["activities"] -= spent[part]
    return {part: milliseconds / turns for part, milliseconds in spent.items()}
