"""How a recording is kept: which runs, without what names a machine, and in which layout."""

import json
from pathlib import Path
from typing import Any

from temporalio.client import Client

IDENTITY = "recorder"


async def runs_of(client: Client, id: str) -> list:
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


def write(path: Path, recording: dict[str, Any]) -> None:
    """One event a line: small, and a person can read the difference between two recordings."""

    def compact(value: Any) -> str:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)

    runs = ['{"events":[\n' + ",\n".join(map(compact, run["events"])) + "\n]}" for run in recording["runs"]]
    path.write_text(
        "{"
        + f'"about":{compact(recording["about"])},\n"truth":[\n'
        + ",\n".join(map(compact, recording["truth"]))
        + '\n],\n"runs":[\n'
        + ",\n".join(runs)
        + "\n]}\n"
    )
