"""The machinery of the checks: a cell becomes a module, a process judges it, a short text comes back."""

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from course.checks import cell, check, child, exercises, hint, lesson_01, progress, runner, talking, work
from course.checks.verdict import NotYet
from course.lab import LabError


async def judged(lesson: str, code: str, **options: float) -> str:
    cell.exercise(lesson, code)
    return str(await check(lesson, **options))


# The cell


def test_a_cell_becomes_a_module_and_an_older_one_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell.exercise("01", "x = 1\n")
    assert capsys.readouterr().out == 'Saved as my_work/lesson_01.py. Now run: await check("01")\n'
    cell.exercise("01", "x = 1\n")
    assert "previous" not in capsys.readouterr().out
    cell.exercise(' "01" ', "x = (\n")  # a syntax error is saved, too
    assert "kept as lesson_01.previous.py" in capsys.readouterr().out
    assert (tmp_path / "my_work/lesson_01.py").read_text() == "x = (\n"
    assert (tmp_path / "my_work/lesson_01.previous.py").read_text() == "x = 1\n"


def test_a_notebook_that_is_run_anew_does_not_cost_the_work(tmp_path: Path) -> None:
    starter = exercises.load("01").starter
    for text in ("mine = 1\n", starter, starter, "mine = 2\n"):
        cell.exercise("01", text)
    assert (tmp_path / "my_work/lesson_01.py").read_text() == "mine = 2\n"
    assert (tmp_path / "my_work/lesson_01.previous.py").read_text() == "mine = 1\n"


def test_the_work_may_lie_in_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COURSE_MY_WORK", f"{tmp_path}/class of today")
    cell.exercise("01", "x = 1\n")
    assert (tmp_path / "class of today/lesson_01.py").read_text() == "x = 1\n"
    assert "Saved as class of today/lesson_01.py. " in capsys.readouterr().out
    assert not (tmp_path / "my_work").exists()


def test_a_cell_of_an_unknown_lesson_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell.exercise("99", "x = 1\n")
    there_are = ", ".join(map(repr, exercises.IDS))
    assert capsys.readouterr().out == f"There is no exercise '99'. There are: {there_are}.\n"
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my_work").write_text("a file stands where the folder would be made")
    cell.exercise("01", "x = 1\n")
    assert "could not be written: File exists. Nothing was saved." in capsys.readouterr().out


def test_the_magic_is_registered_in_a_notebook_only(monkeypatch: pytest.MonkeyPatch) -> None:
    magics: list[tuple[object, ...]] = []
    shell = SimpleNamespace(register_magic_function=lambda *how: magics.append(how))
    monkeypatch.setitem(cell.sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert cell.register_magic()
    assert magics == [(cell.exercise, "cell", "exercise")]
    monkeypatch.setitem(cell.sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert not cell.register_magic()


# The answers


async def test_an_unknown_lesson_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    for lesson in ("99", 1.5, True, None):
        assert str(await check(lesson)).startswith(f"There is no exercise {lesson!r}.")
    hint("99")
    assert "There is no exercise '99'." in capsys.readouterr().out


async def test_a_number_is_taken_for_its_lesson(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Exercise 10 is not started" in str(await check(10))
    assert "Exercise 01 is not started" in str(await check(1))
    assert str(await check(99)).startswith("There is no exercise '99'.")
    hint(10)
    hint("10")
    told = capsys.readouterr().out
    assert "Hint 1 of 3" in told
    assert "Hint 2 of 3" in told


@pytest.mark.parametrize("exercise", exercises.IDS)
async def test_not_started(exercise: str) -> None:
    assert "is not started" in str(await check(exercise))  # no file
    starter = exercises.load(exercise).starter
    assert "is not started" in await judged(exercise, starter.replace("\n", "  \n"))  # the starter as it is
    assert "is not started" in await judged(exercise, "\n")
    assert progress().done.tolist() == ["not started"] * len(exercises.IDS)


async def test_a_syntax_error_names_the_line_and_its_text() -> None:
    assert await judged("01", "x = 1\ndef f(:\n") == (
        "Your code has a syntax error in line 2: invalid syntax: `def f(:`"
    )
    assert "line 1" in await judged("01", "x = (1,\n")


async def test_what_the_code_raises_comes_back_with_its_line() -> None:
    assert await judged("01", "import os\n\nprint(nothing)\n") == (
        "Your code raised: NameError: name 'nothing' is not defined (line 3)"
    )
    assert await judged("01", "import no_such_module\n") == (
        "Your code raised: ModuleNotFoundError: No module named 'no_such_module' (line 1)"
    )
    assert await judged("01", "from course import activitties\n") == (
        "Your code raised: ImportError: cannot import name 'activitties' from 'course' (line 1)"
    )


def test_a_fault_of_the_check_is_not_blamed_on_the_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(module: object) -> str:
        raise KeyError("ours")

    monkeypatch.setattr(lesson_01, "check", check)
    monkeypatch.setattr(child.sys, "path", [*child.sys.path])
    file = tmp_path / "my_work" / "reader_of_one_test.py"
    file.parent.mkdir()
    file.write_text("x = 1\n")
    assert "not your fault: KeyError: 'ours'" in str(child._judged("01", file))


async def test_an_endless_loop_is_stopped() -> None:
    assert "did not end in 0.5 s and was stopped" in await judged("01", "while True:\n    pass\n", limit=0.5)


async def test_a_busy_machine_is_no_endless_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (20.0 * os.cpu_count(), 0.0, 0.0))
    slow = "import time\n\ntime.sleep(3)\nprint(nothing)\n"
    assert "NameError: name 'nothing' is not defined" in await judged("01", slow, limit=1)


async def test_leaving_the_process_is_told_from_an_error() -> None:
    assert "calls sys.exit()" in await judged("01", "import sys\nsys.exit()\n")
    assert "ended the process that it ran in" in await judged("01", "import os\nos._exit(3)\n")


async def test_what_the_code_prints_is_shown_shortened() -> None:
    text = await judged("01", "for i in range(1000):\n    print('line', i)\n")
    assert "Your code printed: line 0 … (1000 lines)" in text


async def test_the_code_finds_the_environment_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    runner.warm_up()
    monkeypatch.setenv("SET_AFTERWARDS", "by a cell")
    assert "Your code printed: by a cell" in await judged(
        "01", "import os\nprint(os.environ['SET_AFTERWARDS'])\n"
    )


async def test_a_check_does_not_block_the_kernel_and_can_be_given_up() -> None:
    cell.exercise("01", "while True:\n    pass\n")
    checking = asyncio.create_task(check("01"))
    for _ in range(20):
        await asyncio.sleep(0.05)
    checking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await checking


# Hints and progress


async def test_hints_come_in_steps(capsys: pytest.CaptureFixture[str]) -> None:
    assert '`hint("01")` shows a hint.' in await judged("01", "x = 1\n")
    capsys.readouterr()
    hint("01")
    assert "Hint 1 of 3" in capsys.readouterr().out
    assert '`hint("01")` shows the next hint.' in await judged("01", "x = 1\n")
    capsys.readouterr()
    for expected in ("Hint 2 of 3", "Hint 3 of 3", "Hint 3 of 3"):
        hint("01")
        assert expected in capsys.readouterr().out
    assert "notebooks/solutions/lesson_01.py" in await judged("01", "x = 2\n")
    Path(".solutions").mkdir()
    Path(".solutions/lesson_01.py").touch()  # as in a reader's copy
    assert (await judged("01", "x = 1\n")).endswith("in a cell of its own:\n%load .solutions/lesson_01.py")
    capsys.readouterr()
    hint("01")
    assert capsys.readouterr().out.endswith(
        "a solution, in a cell of its own:\n%load .solutions/lesson_01.py\n"
    )


async def test_progress_counts_tries_and_survives_a_spoiled_file(tmp_path: Path) -> None:
    await judged("02", "x = 1\n")
    await judged("02", "x = (\n")
    table = progress()
    assert table.columns.tolist() == ["exercise", "title", "done", "tries"]
    assert table[table.exercise == "02"].values.tolist() == [["02", "A new tool", "not yet", 2]]
    work.count_try("02", True)
    work.count_try("02", False)  # what is passed stays passed
    assert progress()[progress().exercise == "02"].values.tolist() == [["02", "A new tool", "✓", 4]]
    assert not list((tmp_path / "my_work").glob(".*"))
    for spoiled in ("{", "[]", '{"02": 3, "99": {"tries": 1}}'):
        (tmp_path / "my_work/progress.json").write_text(spoiled)
        assert progress().tries.tolist() == [0] * len(exercises.IDS)


@pytest.mark.parametrize("name", exercises.IDS)
def test_every_exercise_has_its_parts(name: str) -> None:
    exercise = exercises.load(name)
    assert exercise.title
    assert len(exercise.hints) == 3
    assert (
        len([*filter(str.strip, exercise.starter.splitlines())]) <= 50
    )  # a reader overlooks so much at once
    assert "TODO" in exercise.starter
    compile(exercise.starter, "starter", "exec")


@pytest.mark.parametrize("missing", ["title", "starter", "hints"])
def test_a_part_that_an_exercise_lacks_is_named_and_so_is_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    parts = {
        "title": "# Another one",
        "starter": "```python\nanswer = 0\n```",
        "hints": "1. More.\n2. Less\n   of it.",
    }
    file = tmp_path / "08b.md"
    file.write_text("\n\n".join(parts.values()))
    monkeypatch.setattr(exercises, "FOLDER", tmp_path)
    assert exercises.load("08b") == exercises.Exercise(
        "Another one", "answer = 0\n", ("More.", "Less of it.")
    )
    file.write_text("\n\n".join(text for part, text in parts.items() if part != missing))
    with pytest.raises(ValueError, match=f"^course/checks/exercises/08b.md has no {missing}: "):
        exercises.load("08b")


# What the checks share


async def test_a_server_that_does_not_start_is_no_fault_of_the_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def start(**options: object) -> None:
        raise LabError("There is no Temporal server at 127.0.0.1:7233: Failed client connect")

    monkeypatch.setattr(talking.Lab, "start", start)
    with pytest.raises(LabError, match="^its Temporal server did not start") as raised:
        async with talking.lab_for(talking, [], talking.Scenes()):
            pass
    assert not isinstance(raised.value, NotYet)


def test_no_address_is_in_a_sentence() -> None:
    told = "The server at 127.0.0.1:56871 knows no workflow 'ada-1'."
    assert talking.own_part(told) == "The server knows no workflow 'ada-1'."
