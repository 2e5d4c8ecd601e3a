"""A reader's own programs, started from a notebook. What 01b and 16 do with them, their outputs show."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from course import LabError
from course.lab.life import Life
from course.lab.programs import Program, Programs
from course.lab.releases import Releases
from course.lab.server import own_folder

PROGRAM = """import os, time
print("Serving", os.environ["TEMPORAL_ADDRESS"], flush=True)
time.sleep(60)"""
NO_TRACES = 'import os; print("traces off:", "OPENAI_AGENTS_DISABLE_TRACING" in os.environ)'


@pytest.fixture
async def lab() -> AsyncIterator[Any]:
    """What a lab's programs need of it: a life and a folder. Its address is nobody's."""
    life = Life()
    yield SimpleNamespace(address="localhost:1", world=SimpleNamespace(folder=own_folder(life)), _life=life)
    await life.stack.aclose()


async def test_a_program_is_told_of_the_server_and_ends_in_order_or_by_a_signal(
    lab: Any, tmp_path: Path
) -> None:
    (tmp_path / "worker.py").write_text(PROGRAM)
    (tmp_path / "client.py").write_text(NO_TRACES)
    programs = Programs(tmp_path, lab)
    worker, client = programs.start("worker.py"), programs.start("client.py")
    assert await worker.says("Serving") == "Serving localhost:1"
    assert worker.runs
    worker.stop()
    assert (await worker.ends(), await client.ends()) == (-15, 0)
    assert client.output == "traces off: False"
    assert await client.says("Serving") is None


async def test_a_program_that_is_not_there_and_a_line_that_is_not(lab: Any, tmp_path: Path) -> None:
    programs = Programs(tmp_path, lab)
    with pytest.raises(LabError, match=r"There is no worker.py in .*: run the cell that writes it"):
        programs.start("worker.py")
    (tmp_path / "worker.py").write_text(PROGRAM)
    with pytest.raises(LabError, match=r"worker.py has no line with 'activities=\[\]'"):
        await programs.changed_worker("activities=[]", "", "nora")


async def started(lab: Any, project: Path) -> list[Program]:
    """A worker as 01b starts it, and one as 16 does."""
    project.mkdir()
    (project / "worker.py").write_text(PROGRAM)
    program = Programs(project, lab).start("worker.py")
    await program.says("Serving")
    return [program, await Releases(project, lab).start("1", versioned=False)]


async def test_a_program_ends_with_its_lab_or_is_ended_by_the_next(lab: Any, tmp_path: Path) -> None:
    programs = await started(lab, tmp_path / "project")
    notes = (lab.world.folder / "processes").read_text().splitlines()
    assert [json.loads(note)["pid"] for note in notes] == [program._process.pid for program in programs]
    assert all(program.runs for program in programs)
    await lab._life.stack.aclose()
    assert [await program.ends() for program in programs] == [-9, -9]
