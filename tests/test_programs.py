"""A reader's own programs, started from a notebook. What page 01b does with them, its outputs show."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from course import LabError
from course.lab.programs import Programs

LAB: Any = SimpleNamespace(address="localhost:1")
PROGRAM = """import os, time
print("Serving", os.environ["TEMPORAL_ADDRESS"], flush=True)
time.sleep(60)"""
NO_TRACES = 'import os; print("traces off:", "OPENAI_AGENTS_DISABLE_TRACING" in os.environ)'


async def test_a_program_is_told_of_the_server_and_ends_in_order_or_by_a_signal(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(PROGRAM)
    (tmp_path / "client.py").write_text(NO_TRACES)
    programs = Programs(tmp_path, LAB)
    worker, client = programs.start("worker.py"), programs.start("client.py")
    assert await worker.says("Serving") == "Serving localhost:1"
    assert worker.runs
    worker.stop()
    assert (await worker.ends(), await client.ends()) == (-15, 0)
    assert client.output == "traces off: False"
    assert await client.says("Serving") is None


async def test_a_program_that_is_not_there_and_a_line_that_is_not(tmp_path: Path) -> None:
    programs = Programs(tmp_path, LAB)
    with pytest.raises(LabError, match=r"There is no worker.py in .*: run the cell that writes it"):
        programs.start("worker.py")
    (tmp_path / "worker.py").write_text(PROGRAM)
    with pytest.raises(LabError, match=r"worker.py has no line with 'activities=\[\]'"):
        await programs.changed_worker("activities=[]", "", "nora")
