"""How a history is recorded, whichever framework its agents are of: a script, a worker, and what is kept.

A recording is `{"about": what it is for, "truth": [[activity, hand, turn], …], "runs": [history, …]}`: the truth
is written by the workflow's code while it ran, a run is as the server has it. The names of the machine and of the
process are taken out. Ids and times differ from recording to recording; what the tests compare does not.
"""

import asyncio
import json
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHandle, WorkflowHistory, WorkflowUpdateStage
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from tests.histories import activities
from tests.histories.ledger import LedgerInterceptor

SERVER = str(Path(sysconfig.get_path("scripts")) / "temporal")
IDENTITY = "recorder"


def script(*steps: str | list) -> str:
    """What a scripted model is told to do: lists of tool calls, `["look_up", {"order": 1}]`, then the answer."""
    return json.dumps(steps)


def next_step(conversation: Iterable[str | None]) -> Any:
    """What a script says next, by what was said so far: a list of calls, or the answer.

    Args:
        conversation: The customer's texts, each a script, and None for every result of a tool.
    """
    steps, answered = [], 0
    for said in conversation:
        steps, answered = (steps, answered + 1) if said is None else (json.loads(said), 0)
    for step in steps:
        if isinstance(step, str) or answered < len(step):
            return step
        answered -= len(step)
    return "Done."


def call(tool: str, **arguments: Any) -> list:
    return [tool, arguments]


ONE, TWO, X = call("look_up", order=1), call("look_up", order=2), call("record", text="x")
REFUND = call("refund", order=1)
PACKED, REFUNDED = script([ONE], "Packed."), script([REFUND], "Refunded.")


@dataclass
class Stage:
    """What a workflow is played on."""

    environment: WorkflowEnvironment
    handle: WorkflowHandle

    async def send(self, *args: Any, update: str = "send") -> Any:
        return await self.handle.execute_update(update, args=args)

    async def begin(self, *args: Any) -> Any:
        accepted = WorkflowUpdateStage.ACCEPTED
        return await self.handle.start_update("send", args=args, wait_for_stage=accepted)

    async def lines(self, count: int) -> None:
        """Wait until the workflow has written so many lines, and a moment for the last to end."""
        async with asyncio.timeout(20):
            while len(await self.handle.query("ledger")) < count:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)


async def record(
    environment: WorkflowEnvironment, path: Path, code: type, plugin: Any, about: str = "", **options: Any
) -> None:
    """Plays a workflow, on a worker of its own, and writes the recording. `options` are the client's."""
    client = Client(**environment.client.config() | {"plugins": [plugin], **options})
    name = path.stem
    async with Worker(
        client,
        task_queue=name,
        workflows=[code, *code.children],
        activities=activities.ALL,
        interceptors=[LedgerInterceptor()],
        graceful_shutdown_timeout=timedelta(0),
    ):
        await client.start_workflow(code.__name__, args=code.arguments, id=name, task_queue=name)
        handle = client.get_workflow_handle(name)
        await code.play(Stage(environment, handle))
        if code.closes:
            await handle.signal("close")
            await handle.result()
        truth, runs = await handle.query("ledger"), await runs_of(client, name)
        if not code.closes:
            await handle.terminate()
    write(path, runs, about=about or code.__doc__, truth=truth)
    print(f"{name}: {len(truth)} activities")


async def runs_of(client: Client, id: str) -> list[WorkflowHistory]:
    """The histories of all runs, the first first."""
    last = await client.get_workflow_handle(id).fetch_history()
    runs = [last]
    while before := runs[0].events[0].workflow_execution_started_event_attributes.continued_execution_run_id:
        runs.insert(0, await client.get_workflow_handle(id, run_id=before).fetch_history())
    return runs


def scrub(node: Any) -> Any:
    """The same without the names of machine and process, and without stack traces: they hold paths."""
    if isinstance(node, dict):
        return {
            key: IDENTITY if key in ("identity", "binaryChecksum", "buildId") else scrub(value)
            for key, value in node.items()
            if key != "stackTrace"
        }
    return [scrub(item) for item in node] if isinstance(node, list) else node


def write(path: Path, runs: Sequence[WorkflowHistory], **about: Any) -> None:
    """One event a line: small, and a person can read the difference between two recordings."""

    def compact(value: Any) -> str:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)

    def lines(values: Iterable[str]) -> str:
        return "[\n" + ",\n".join(values) + "\n]"

    events = [lines(map(compact, scrub(run.to_json_dict())["events"])) for run in runs]
    parts = {
        key: lines(map(compact, value)) if isinstance(value, list) else compact(value)
        for key, value in about.items()
    }
    parts["runs"] = lines(f'{{"events":{one}}}' for one in events)
    path.parent.mkdir(exist_ok=True)
    path.write_text("{" + ",\n".join(f'"{key}":{part}' for key, part in parts.items()) + "}\n")
