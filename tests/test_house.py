"""The order of the house: who may import whom, what the environment files pin, what a notebook must be."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import nbformat
import pytest

from course.desk import worker
from tests.tools.conda import pip_part

ROOT = Path(__file__).parents[1]
COURSE = ROOT / "course"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]*_*.ipynb"))

# From the bottom of the house to its top: a part imports only from parts below it.
MAY_IMPORT = {
    "models": set(),
    "history": set(),
    "desk": {"models"},
    "lessons": {"desk"},
    "lab": {"desk", "lessons", "models", "history"},
    "checks": {"desk", "lessons", "models", "history", "lab"},
}


def imports_of(code: str, package: str) -> set[str]:
    """The parts of `course` that a module imports, its own included. A string that is a module's name, or begins one,
    counts: somebody imports it by that name."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*base, node.module or ""]).strip(".")
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "course" else [module]
        elif isinstance(node, ast.Constant) and re.fullmatch(r"course\.\w[\w.]*", str(node.value)):
            names = [node.value]
        found |= {name.split(".")[1] for name in names if name.startswith("course.")}
    return found


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_arrows_go_one_way(part: str) -> None:
    files = sorted((COURSE / part).rglob("*.py"))
    assert files
    for file in files:
        package = ".".join(file.relative_to(ROOT).parent.parts)
        foreign = imports_of(file.read_text(), package) - {part} - MAY_IMPORT[part]
        assert not foreign, f"{file.relative_to(ROOT)} imports course.{', course.'.join(sorted(foreign))}"


@pytest.mark.parametrize(
    "code",
    [
        'import_module("course.checks.child")',
        'import_module(f"course.checks.lesson_{lesson}")',
        'FORKS.set_forkserver_preload(["course.checks.preloaded"])',
        'MODULE = "course.checks"',
    ],
)
def test_an_import_by_string_is_an_import(code: str) -> None:
    assert imports_of(code, "course.lab") == {"checks"}
    assert imports_of(f'def f():\n    """Not {code}, and not course.checks."""', "course.lab") == set()


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


LOADS_NO = {
    # Workflows import it in the sandbox: an eager import of the lab would make every one fail.
    "course": "temporalio pandas",
    # It only copies files, and `make lab` waits for it.
    "course.copying": "temporalio pandas IPython agents nbformat",
    # No more than the desk needs.
    "course.models": "IPython aiosmtpd ipykernel matplotlib pandas psutil",
    "course.history": "matplotlib",
}


@pytest.mark.parametrize("name", LOADS_NO)
def test_importing_a_part_loads_no_more_than_it_needs(name: str) -> None:
    loaded = run(f"import sys, {name}; print(*sys.modules)").stdout.split()
    assert name in loaded
    assert not set(LOADS_NO[name].split()) & {module.partition(".")[0] for module in loaded}
    if name == "course":
        assert not [module for module in loaded if module.startswith("course.")]


def test_windows_is_told_at_once_to_use_wsl() -> None:
    code = "import sys; sys.platform = 'win32'; from course import Lab"
    done = run(code)
    assert done.returncode == 1
    assert "ImportError: This course runs under WSL on Windows" in done.stderr


def test_no_name_of_a_file_stands_for_two_things() -> None:
    """A lesson's code and its exercise's check share the lesson's number, and nothing else does."""
    names = Counter(file.stem for file in COURSE.rglob("*.py") if not file.stem.startswith(("__", "lesson_")))
    assert not [name for name, files in names.items() if files > 1]


@pytest.mark.parametrize("file", sorted(COURSE.rglob("*.py")), ids=lambda file: str(file.relative_to(COURSE)))
def test_a_file_and_a_class_are_short_enough_to_read(file: Path) -> None:
    text = file.read_text()
    assert len(text.splitlines()) <= 450
    for node in ast.walk(ast.parse(text)):
        assert not isinstance(node, ast.ClassDef) or node.end_lineno - node.lineno < 300, node.name


def test_the_desk_can_be_read_in_an_evening() -> None:
    """2,400 lines, 200 more since lesson 14 for what the desk tells of itself (metrics, traces, the server's list), and 100
    since lesson 16 for the versions of its worker: two settings, what they make of it, and what `--check` says of it."""
    assert sum(len(file.read_text().splitlines()) for file in (COURSE / "desk").rglob("*.py")) <= 2_700


def test_the_desks_worker_serves_what_the_desk_asks_for() -> None:
    """In a lab nobody would miss an activity: a lab serves every one that it finds."""
    asked = {
        node.attr
        for name in ("conversation.py", "jobs.py")
        for node in ast.walk(ast.parse((COURSE / "desk" / name).read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "activities"
    }
    assert {one.__name__ for one in worker.ACTIVITIES} == asked - {"Customer", "TurnRecord"}


# What the environment files pin


def locked() -> dict[str, set[str]]:
    pins: dict[str, set[str]] = {}
    text = (ROOT / "requirements.lock").read_text()
    for name, version in re.findall(r"^([a-z0-9._-]+)==([^\s;]+)", text, re.M):
        pins.setdefault(name, set()).add(version)
    return pins


def direct() -> set[str]:
    """What the lessons and the tests need, by name: the base, the extra `course` and those that it names, `dev`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    own, *course = extras["course"]
    [named] = re.findall(rf"{project['project']['name']}\[(.+)\]", own)
    parts = [project["project"]["dependencies"], *(extras[name] for name in named.split(",")), course]
    lines = [line for part in [*parts, project["dependency-groups"]["dev"]] for line in part]
    return {re.match(r"[A-Za-z0-9._-]+", line)[0].lower() for line in lines}


def test_the_base_needs_the_temporal_sdk_alone() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert [line.split(">")[0] for line in project["dependencies"]] == ["temporalio"]


def test_a_reader_of_histories_needs_no_more_than_its_extra() -> None:
    used = {
        name.split(".")[0].split("_")[0]  # pydantic_core comes with pydantic
        for file in (COURSE / "history").glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
        )
    }
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"][
        "history"
    ]
    assert used - sys.stdlib_module_names - {"course", "temporalio", "google", ""} <= {
        re.match(r"[a-z]+", line)[0] for line in extra
    }


def test_lock_is_hashed_and_names_no_address() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    for block in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in block, block.splitlines()[0]


def test_environment_yml_pins_what_the_lock_pins() -> None:
    lines = pip_part()
    assert "-e .[course]" in lines
    pins = dict(line.split("==") for line in lines if line != "-e .[course]")
    assert {name.lower() for name in pins} == direct() - {"uv"}
    for name, version in pins.items():
        assert {version} == locked()[name.lower()], name


def test_environment_yml_has_no_hashes_and_says_what_each_line_is_for() -> None:
    text = (ROOT / "environment.yml").read_text()
    assert "--hash" not in text
    for line in text.split("- pip:\n")[1].splitlines():
        assert re.search(r"# \w", line), line


# What a notebook must be


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_whole(path: Path) -> None:
    """nbval passes a cell without a count or outputs unchecked: so every cell has been run, in order."""
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert len([cell for cell in cells if not cell.source.startswith(("%%exercise", "await check("))]) <= 25
    for cell in cells:
        tags = cell.metadata.get("tags", [])
        if "nbval-ignore-output" in tags or "nbval-skip" in tags:
            assert "# not compared:" in cell.source, f"an uncompared cell says why: {cell.source[:60]}"
        if "raises-exception" not in tags:
            assert not [o for o in cell.outputs if o.output_type == "error"]
        assert not [o for o in cell.outputs if o.output_type == "stream" and o.name == "stderr"], cell.source
        assert "NBVAL" not in cell.source
        # JupyterLab shows so much at a width of 1280 pixels, its file browser open.
        assert not [line for line in cell.source.splitlines() if len(line) > 107]
    text = path.read_text()  # says nothing of this machine
    assert not re.search(r"/tmp/|/home/|/root/|/Users/", text)
    assert not re.search(r"127\.0\.0\.1:\d+", text)
    assert not re.search(r"\b[0-9a-f]{8}-[0-9a-f]{4}-", text)


def test_there_are_notebooks() -> None:
    ids = [path.stem.partition("_")[0] for path in NOTEBOOKS]
    lessons = [one for one in ids if one.isdigit()]
    assert lessons == [f"{n:02}" for n in range(len(lessons))]
    assert len(lessons) >= 5
    pages = set(ids) - set(lessons)  # such as 01b, after lesson 01
    assert {one[:2] for one in pages} <= set(lessons)
    assert all(re.fullmatch(r"\d\d[b-z]", one) for one in pages)


@pytest.mark.parametrize("answer", ["Python 3.10.13", "Python 2.7.18"])
def test_a_python_that_does_not_fit_is_refused_before_anything_happens(tmp_path: Path, answer: str) -> None:
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo {answer}\n')
    python.chmod(0o755)
    made = subprocess.run(
        ["make", "--no-print-directory", f"PYTHON={python}", "lab"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert made.returncode != 0
    assert made.stdout == (
        f"The course needs Python 3.11, 3.12 or 3.13. Asked for its version, {python} answers: {answer}. "
        "Nothing was changed. Name one that fits: make PYTHON=/path/to/python3.12 lab\n"
    )
