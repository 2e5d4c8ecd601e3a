"""Every lesson at the pace of a reader who thinks for a while: `make soak` runs them.

Wherever a cell leaves something under way (a turn that was begun, an outage, a worker that is to be killed), the next one
waits for forty seconds; in lessons in which a conversation is frozen meanwhile, for more than five minutes. No output may
differ for it.
"""

import asyncio
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from traitlets.config import Config

from tests.tools.notebooks import NOTEBOOKS, clean

SECONDS = 40
"""Twice as long as the server waits for somebody to accept a message."""
LONG = {name: 330 for name in ("14_watch_it_run.ipynb", "16_ship_it.ipynb")}
"""Longer than the five minutes after which the server unloads a queue that nobody polls, with the task that waits there."""

LEAVES_SOMETHING = re.compile(
    r"\.(begin|signal|outage|worker_process|deploy|handle|trigger|restart_server)\("
)


def pauses(notebook: nbformat.NotebookNode) -> set[str]:
    """The ids of the cells before which a reader thinks."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return {after.id for before, after in pairwise(cells) if LEAVES_SOMETHING.search(before.source)}


class Reader(NotebookClient):
    pause = SECONDS

    async def async_execute_cell(self, cell: Any, cell_index: int, **options: Any) -> Any:
        if cell.id in pauses(self.nb):
            await asyncio.sleep(self.pause)
        return await super().async_execute_cell(cell, cell_index, **options)


def shown(notebook: nbformat.NotebookNode) -> list[list[Any]]:
    """What each code cell shows, without pictures; nothing of the cells that differ on every run."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for output in (output for cell in cells for output in cell.outputs):
        if output.get("data", {}).pop("image/png", None):
            output.pop("metadata", None)  # how large it is
        output.pop("traceback", None)
    return [
        [] if "nbval-ignore-output" in cell.metadata.get("tags", []) else [*cell.outputs] for cell in cells
    ]


def test_there_are_cells_that_leave_something_under_way() -> None:
    notebooks = [nbformat.read(path, as_version=4) for path in NOTEBOOKS.glob("[0-9]*.ipynb")]
    assert sum(len(pauses(notebook)) for notebook in notebooks) >= 25


@pytest.mark.parametrize("name", [path.name for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))])
async def test_a_lesson_waits_for_its_reader(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COURSE_MY_WORK", str(tmp_path / "my_work"))
    notebook, committed = (nbformat.read(NOTEBOOKS / name, as_version=4) for _ in range(2))
    where = {"metadata": {"path": str(NOTEBOOKS)}}
    no_ports = Config(KernelManager={"transport": "ipc", "connection_file": str(tmp_path / "kernel.json")})
    reader = Reader(notebook, timeout=180, kernel_name="python3", resources=where, config=no_ports)
    reader.pause = LONG.get(name, SECONDS)
    await reader.async_execute()
    clean(notebook)
    for number, (now, before) in enumerate(zip(shown(notebook), shown(committed), strict=True)):
        assert now == before, f"code cell {number + 1} of {name}"
