"""Lesson 16: the reader's project, read by what knows its formats, and run in another place without the course."""

import asyncio
import json
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from pathlib import Path

import nbformat
import pytest
import yaml

from course import desk
from course.models import ModelEndpoint, OfflineModel
from tests import desk_process
from tests.desk_process import ROOT, here, says, server

__all__ = ["here", "server"]  # fixtures

LESSON = nbformat.read(ROOT / "notebooks" / "16_ship_it.ipynb", as_version=4)
COPIED = ("answering", "heartbeats", "messages", "policies")
GRACE = 30
"""Seconds, the worker's own."""

WITHOUT_THE_COURSE = """
import runpy, sys
sys.modules["course"] = None  # an import of it fails
sys.path.insert(0, "")
runpy.run_path("worker.py", run_name="__main__")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files that the lesson writes, in a folder somewhere else."""
    folder = tmp_path / "elsewhere"
    (folder / "tests").mkdir(parents=True)
    for cell in LESSON.cells:
        if named := re.match(r"%%writefile (?:-a )?my_work/juniper/(\S+)\n", cell.source):
            with (folder / named[1]).open("a") as file:
                file.write(cell.source.removeprefix(named[0]) + "\n")
    assert f"in {COPIED}:".replace("'", '"') in LESSON.cells[1].source
    for part in COPIED:
        shutil.copy(Path(desk.__file__).with_name(f"{part}.py"), folder)
    return folder


def test_nothing_in_it_imports_the_course(project: Path) -> None:
    for file in project.rglob("*.py"):
        assert not re.search(r"^\s*(import|from) course", file.read_text(), re.M), file.name


def test_its_packages_are_those_of_the_course(project: Path) -> None:
    own = tomllib.loads((project / "pyproject.toml").read_text())
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = {
        *extras["dependencies"],
        *(one for extra in extras["optional-dependencies"].values() for one in extra),
    }
    of_the_desk = [one for one in own["project"]["dependencies"] if not one.startswith("psycopg")]
    assert set(of_the_desk) <= known
    modules = {file.stem for file in project.glob("*.py")} - {"client"}
    assert set(own["tool"]["setuptools"]["py-modules"]) == modules


def test_whoever_stops_the_worker_waits_longer_than_it_takes(project: Path) -> None:
    assert f'os.environ.get("GRACE", "{GRACE}")' in (project / "worker.py").read_text()
    unit = (project / "juniper@.service").read_text()
    compose = yaml.safe_load((project / "compose.yml").read_text())
    assert int(re.search(r"^TimeoutStopSec=(\d+)$", unit, re.M)[1]) > GRACE
    assert int(compose["services"]["worker"]["stop_grace_period"].removesuffix("s")) > GRACE


def test_the_container_holds_the_worker_and_starts_it_without_a_shell(project: Path) -> None:
    lines = (project / "Containerfile").read_text().splitlines()
    steps = {line.split()[0]: line.partition(" ")[2] for line in lines}
    assert json.loads(steps["CMD"]) == ["python", "worker.py"]
    *taken, _ = steps["COPY"].split()
    assert {"worker.py", "desk.py", "pyproject.toml"} <= {
        file.name for one in taken for file in project.glob(one)
    }
    build = yaml.safe_load((project / "compose.yml").read_text())["services"]["worker"]["build"]
    assert (project / build["dockerfile"]).exists()
    assert set(build["args"]) == {steps["ARG"]}


def test_systemd_can_read_the_unit(project: Path) -> None:
    """As far as its form goes; where systemd is installed, it is its own reader that reads it."""
    text = (project / "juniper@.service").read_text()
    unit = ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text)
    assert unit["Service"]["ExecStart"].endswith("/python worker.py")
    if not shutil.which("systemd-analyze"):
        return
    text = text.replace("/srv/juniper/%i/.venv/bin/python", sys.executable).replace("User=juniper\n", "")
    (project / "juniper@1.service").write_text(text)
    command = ["systemd-analyze", "verify", str(project / "juniper@1.service")]
    read = subprocess.run(command, capture_output=True, text=True)
    assert (read.returncode, [line for line in read.stderr.splitlines() if "juniper" in line]) == (0, [])


async def test_it_runs_in_another_place_without_the_course_and_says_why_a_message_is_refused(
    project: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{here}/shop.db")
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-real-key")
    with ModelEndpoint(OfflineModel()) as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        async with desk_process.running(sys.executable, "-c", WITHOUT_THE_COURSE, here=False) as worker:
            await says(worker, "Serving juniper-desk.")
            send = runpy.run_path("client.py")["main"]
            assert await send("ada", "How often do I water an Aloe?") == 0
            assert "\nAloe: full light" in capsys.readouterr().out
            assert await send("ada", " ") == 1
            assert capsys.readouterr().err.startswith("No reply. ValueError: The message is empty.")
            worker.terminate()
            assert await asyncio.wait_for(worker.wait(), 60) == 0
