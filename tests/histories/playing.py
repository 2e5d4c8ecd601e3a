"""How a history is recorded, whichever framework its agents are of: a script, a worker, and what is kept.

A recording is `{"about": what it is for, "truth": [[activity, hand, turn], …], "runs": [history, …]}`: the truth
is written by the workflow's code while it ran, a run is as the server has it. The names of the machine and of the
process are taken out. Ids and times differ from recording to recording; what the tests compare does not.
"""

import json
import sysconfig
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from tests.histories import activities
from tests.histories.ledger import LedgerInterceptor

SERVER = str(Path(sysconfig.get_path("scripts")) / "temporal")
IDENTITY = "recorder"


def script(*steps: str | list) -> str:
    """What a scripted model is told to do: lists of tool calls, `["look_up", {"order": 1}]`, then the answer."""
    return json.dumps(steps)


def next_step(steps: Sequence[Any], answered: int) -> Any:
    """What comes next in a script, after so many results of tools: a list of calls, or the answer."""
    for step in steps:
        if isinstance(step, str) or answered < len(step):
            return step
        answered -= len(step)
    return "Done."


async def record(
    client: Client,
    name: str,
    about: str,
    workflows: Sequence[type],
    play: Callable[[WorkflowHandle], Awaitable[None]],
    args: Sequence[Any] = (),
    closes: bool = True,
) -> dict[str, Any]:
    """Plays the first of the workflows, on a worker of its own, and returns the recording."""
    async with Worker(
        client,
        task_queue=name,
        workflows=workflows,
        activities=activities.ALL,
        interceptors=[LedgerInterceptor()],
        graceful_shutdown_timeout=timedelta(0),
    ):
        await client.start_workflow(workflows[0].__name__, args=args, id=name, task_queue=name)
        handle = client.get_workflow_handle(name)
        await play(handle)
        if closes:
            await handle.signal("close")
            await handle.result()
        truth, runs = await handle.query("ledger"), await runs_of(client, name)
        if not closes:
            await handle.terminate()
    return {"about": about, "truth": truth, "runs": runs}


async def runs_of(client: Client, id: str) -> list[dict[str, Any]]:
    """The histories of all runs, the first first."""
    last = await client.get_workflow_handle(id).fetch_history()
    runs = [last]
    while before := runs[0].events[0].workflow_execution_started_event_attributes.continued_execution_run_id:
        runs.insert(0, await client.get_workflow_handle(id, run_id=before).fetch_history())
    return [scrub(run.to_json_dict()) for run in runs]


def scrub(node: Any) -> Any:
    """The same without the names of machine and process, and without stack traces: they hold paths."""
    if isinstance(node, dict):
        return {
            key: IDENTITY if key in ("identity", "binaryChecksum", "buildId") else scrub(value)
            for key, value in node.items()
            if key != "stackTrace"
        }
    return [scrub(item) for item in node] if isinstance(node, list) else node


def write(path: Path, recording: dict[str, Any]) -> None:
    """One event a line: small, and a person can read the difference between two recordings."""

    def compact(value: Any) -> str:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)

    def laid_out(value: Any) -> str:
        if not isinstance(value, list):
            return compact(value)
        lines = [
            '{"events":[\n' + ",\n".join(map(compact, one["events"])) + "\n]}"
            if "events" in one
            else compact(one)
            for one in value
        ]
        return "[\n" + ",\n".join(lines) + "\n]"

    path.parent.mkdir(exist_ok=True)
    path.write_text(
        "{" + ",\n".join(f'"{key}":{laid_out(value)}' for key, value in recording.items()) + "}\n"
    )
