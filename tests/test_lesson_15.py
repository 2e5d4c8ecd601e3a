"""Lesson 15: its desks, and what runs a suite against them. What `noticed` finds, the notebook's outputs show."""

import asyncio
import os
import re
from pathlib import Path

import nbformat
import psutil
import pytest

from course.checks.under_test import mutants, noticed, noticing
from tests.desk_process import ROOT
from tests.lab_helpers import until

LESSON = nbformat.read(ROOT / "notebooks" / "15_test_it.ipynb", as_version=4)


def test_the_lesson_writes_the_files_that_the_exercise_stands_on() -> None:
    written: dict[str, str] = {}
    for cell in LESSON.cells:
        if named := re.match(r"%%writefile (?:-a )?my_work/tested/(\w+\.py)\n", cell.source):
            written[named[1]] = written.get(named[1], "") + cell.source.removeprefix(named[0]) + "\n"
    for name in ("desk.py", "effects.py", "conftest.py"):
        assert written[name] == (mutants.FOLDER / name).read_text(), name


def test_a_reader_can_take_the_desk_home() -> None:
    for name, text in mutants.right().items():
        assert len(text.splitlines()) <= 100
        assert not re.search(r"^\s*(import|from) course", text, re.M), name


@pytest.mark.parametrize("name", mutants.MUTANTS)
def test_a_mutant_is_the_right_desk_with_a_small_change(name: str) -> None:
    files, right = mutants.MUTANTS[name].files(), mutants.right()
    [changed] = [file for file, text in files.items() if text != right[file]]
    compile(files[changed], changed, "exec")
    lines = [text[changed].splitlines() for text in (right, files)]
    assert len(set(lines[1]) - set(lines[0])) <= 4


async def test_a_suite_that_hangs_is_stopped_and_its_test_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noticing, "LIMIT_SECONDS", 2.0)
    (tmp_path / "test_it.py").write_text(
        "import time\n\ndef test_a():\n    pass\n\ndef test_b():\n    time.sleep(1000)\n"
    )
    found = await noticed(tmp_path, "the right desk")
    assert list(found["first red test"]) == ["test_b, which did not end"]


async def test_what_was_forked_for_a_suite_ends_with_the_process_that_forked_it(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    (tmp_path / "test_it.py").write_text(f"""
import os, pathlib, subprocess
def test_a():
    child = subprocess.Popen(["sleep", "1000"])
    pathlib.Path({str(pid)!r}).write_text(f"{{os.getpid()}} {{child.pid}}\\n")
    while True:
        pass
""")
    trying = asyncio.create_task(noticed(tmp_path, "the right desk"))
    await until(lambda: pid.exists() and pid.read_text().endswith("\n"), "the test has begun", 60)
    trying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trying
    both = {int(number) for number in pid.read_text().split()}
    await until(lambda: not both & set(psutil.pids()), "both have ended", 10)


async def test_a_desk_that_nobody_knows_is_refused() -> None:
    with pytest.raises(KeyError, match="no such desk"):
        await noticed(os.curdir, "no such desk")
