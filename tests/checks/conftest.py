"""Each check of these tests is asked for in an empty folder, and leaves nothing behind."""

import contextlib
import json
import multiprocessing
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from course.checks import runner
from course.lab.server import labs_folder

runner.warm_up()


@pytest.fixture(autouse=True)
def beside_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "_hints_shown", {})


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    before = set(labs_folder().glob("lab-*"))
    yield
    assert not multiprocessing.active_children()
    end = time.monotonic() + 10
    while left := orphans(set(labs_folder().glob("lab-*")) - before):
        # Another test's, perhaps, whose check has just ended: its runner ends its server at once.
        assert time.monotonic() < end, f"servers without an owner: {left}"
        time.sleep(0.05)


def orphans(folders: set[Path]) -> list[int]:
    """The processes that are noted in labs' folders, and whose parent is gone."""
    noted = []
    for folder in folders:
        with contextlib.suppress(OSError):  # the folder goes with its lab
            noted += [json.loads(line)["pid"] for line in (folder / "processes").read_text().splitlines()]
    alive = psutil.process_iter(["ppid"]) if noted else ()
    return [process.pid for process in alive if process.pid in noted and process.info["ppid"] == 1]
