"""The reader's own copy of the lessons: what it holds, what it follows, and what it never touches."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from course import copying
from course.copying import PROJECT, for_reader, refresh

ANSWER = "You see two rows.\n\n<!-- answer: rows -->\nTwo, for\n\n| a | b |\n| --- | --- |\n<!-- /answer -->\nNow 02."


def cell(source: str, kind: str = "code", **more: Any) -> dict[str, Any]:
    made = {"cell_type": kind, "metadata": {}, "source": source.splitlines(keepends=True)}
    return made | ({"outputs": [], "execution_count": None} if kind == "code" else {}) | more


def write(file: Path, *cells: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))


def sources(file: Path) -> list[str]:
    return ["".join(one["source"]) for one in json.loads(file.read_text())["cells"]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A course of one lesson, and the copy of a reader who has read it."""
    seen = [{"output_type": "stream", "name": "stdout", "text": ["2\n"]}]
    write(
        tmp_path / "notebooks/01_a.ipynb",
        cell(ANSWER, "markdown"),
        cell("1 + 1", outputs=seen, execution_count=1),
    )
    for name in (
        "page.md",
        "figures/a.svg",
        "solutions/lesson_01.py",
        ".ipynb_checkpoints/01_a-checkpoint.ipynb",
    ):
        (tmp_path / "notebooks" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "notebooks" / name).write_text(name)
    bring(tmp_path)
    return tmp_path


def bring(project: Path) -> list[str]:
    return list(refresh(project / "notebooks", project / "my_course"))


def files(folder: Path) -> dict[str, bytes]:
    found = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in found}


def new_lesson(project: Path, source: str = "1 + 2") -> None:
    write(project / "notebooks/01_a.ipynb", cell(source))


def test_the_copy_has_no_outputs_and_its_solutions_are_out_of_sight(project: Path) -> None:
    assert set(files(project / "my_course")) == {
        ".copied.json",
        ".solutions/lesson_01.py",
        "01_a.ipynb",
        "figures/a.svg",
        "page.md",
    }
    [_, code] = json.loads((project / "my_course/01_a.ipynb").read_text())["cells"]
    assert code == cell("1 + 1")


def test_an_answer_is_folded_and_the_rest_of_its_cell_is_not(project: Path) -> None:
    assert sources(project / "my_course/01_a.ipynb")[0] == (
        "You see two rows.\n\n<details><summary>Compare with your prediction</summary>\n\n"
        "Two, for\n\n| a | b |\n| --- | --- |\n\n</details>\nNow 02."
    )


def test_two_answers_in_a_cell_are_two(tmp_path: Path) -> None:
    text = "<!-- answer: a -->\nA\n<!-- /answer -->\nbetween\n<!-- answer: b -->\nB\n<!-- /answer -->"
    write(tmp_path / "a.ipynb", cell(text, "markdown"))
    source = json.loads(for_reader(tmp_path / "a.ipynb"))["cells"][0]["source"]
    assert "".join(source).count("<details>") == 2


def test_a_second_time_changes_nothing(project: Path) -> None:
    before = files(project / "my_course")
    assert bring(project) == []
    assert files(project / "my_course") == before


def test_running_a_lesson_is_not_changing_it(project: Path) -> None:
    """JupyterLab saves outputs and metadata, and a blank cell below the last one that was run."""
    mine = project / "my_course/01_a.ipynb"
    notebook = json.loads(mine.read_text())
    notebook["metadata"] = {"kernelspec": {"name": "python3"}}
    notebook["cells"][1] |= {"outputs": [{"output_type": "stream"}], "execution_count": 7}
    notebook["cells"].append(cell(""))
    mine.write_text(json.dumps(notebook))
    assert bring(project) == []
    assert json.loads(mine.read_text()) == notebook, "what the reader's run has shown is gone"
    new_lesson(project)
    assert bring(project) == []
    assert sources(mine) == ["1 + 2"]


def test_what_the_reader_has_changed_stays_and_the_new_one_is_beside_it_and_named_once(project: Path) -> None:
    mine, new = project / "my_course/01_a.ipynb", project / "my_course/01_a.new.ipynb"
    write(mine, cell("mine"))
    assert bring(project) == []
    assert not new.exists()
    new_lesson(project)
    assert bring(project) == [
        "01_a.ipynb has a new version. You have changed yours, so it stays; the new one is 01_a.new.ipynb."
    ]
    assert (sources(mine), sources(new)) == (["mine"], ["1 + 2"])
    assert bring(project) == []
    new_lesson(project, "1 + 1 + 1")
    assert "the new one is 01_a.new.ipynb" in bring(project)[0]  # in place of the one that nobody touched
    write(new, cell("mine, too"))
    new_lesson(project, "1 + 3")
    assert "the new one is 01_a.new2.ipynb" in bring(project)[0]
    assert (sources(mine), sources(new)) == (["mine"], ["mine, too"])
    (project / "my_course/01_a.new2.ipynb").rename(mine)  # the reader takes it
    new_lesson(project, "1 + 4")
    assert bring(project) == []
    assert sources(mine) == ["1 + 4"]


def test_a_page_of_the_readers_stays_too(project: Path) -> None:
    (project / "my_course/page.md").write_text("mine")
    (project / "notebooks/page.md").write_text("new")
    assert "the new one is page.new.md" in bring(project)[0]
    assert (project / "my_course/page.md").read_text() == "mine"


def test_without_its_memory_the_copy_takes_what_differs_for_changed(project: Path) -> None:
    for spoiled in ("{", "[]", '{"01_a.ipynb": 3}'):
        (project / "my_course/.copied.json").write_text(spoiled)
        assert bring(project) == []
    (project / "my_course/.copied.json").unlink()
    new_lesson(project)
    assert "the new one is 01_a.new.ipynb" in bring(project)[0]


def test_a_deleted_lesson_comes_back(project: Path) -> None:
    (project / "my_course/01_a.ipynb").unlink()
    assert bring(project) == []
    assert (project / "my_course/01_a.ipynb").exists()


@pytest.mark.parametrize("spoiled", [b"{", b"", b"[]", b'{"cells": 3}', b"\xff"])
def test_what_is_not_a_notebook_is_kept_aside(project: Path, spoiled: bytes) -> None:
    mine = project / "my_course/01_a.ipynb"
    mine.write_bytes(spoiled)
    assert bring(project) == [
        "01_a.ipynb was not a notebook any more. It is kept as 01_a.broken.ipynb, and the lesson is there again."
    ]
    assert (project / "my_course/01_a.broken.ipynb").read_bytes() == spoiled
    assert sources(mine)[1] == "1 + 1"
    assert bring(project) == []


def test_a_lesson_that_is_no_longer_there_goes_unless_the_reader_has_changed_it(project: Path) -> None:
    mine, lesson = project / "my_course/01_a.ipynb", project / "notebooks/01_a.ipynb"
    lesson.rename(project / "notebooks/01_b.ipynb")
    assert bring(project) == []
    assert not mine.exists()
    write(project / "my_course/01_b.ipynb", cell("mine"))
    (project / "notebooks/01_b.ipynb").rename(lesson)
    assert bring(project) == [
        "01_b.ipynb is no longer part of the course. You have changed yours, so it stays."
    ]
    assert mine.exists()
    assert sources(project / "my_course/01_b.ipynb") == ["mine"]
    assert bring(project) == []


def test_an_older_my_work_moves_in_and_never_over_a_newer_one(project: Path) -> None:
    for text in ("old", "left"):
        (project / "notebooks/my_work").mkdir()
        (project / "notebooks/my_work/lesson_01.py").write_text(text)
        said = bring(project)
        assert said == (
            ["notebooks/my_work is now my_course/my_work: what you write is beside your lessons."]
            if text == "old"
            else []
        )
    assert (project / "my_course/my_work/lesson_01.py").read_text() == "old"
    assert (project / "notebooks/my_work/lesson_01.py").read_text() == "left"


# The program


def test_it_says_where_the_copy_is_once(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "my_course").rename(project / "elsewhere")
    copying.main(project)
    copying.main(project)
    said = "Your copy of the lessons is in my_course. What you change there stays yours.\n"
    assert capsys.readouterr().out == said


def test_a_file_in_its_place_is_named(project: Path) -> None:
    (project / "my_course").rename(project / "elsewhere")
    (project / "my_course").write_text("")
    with pytest.raises(SystemExit, match="needs a folder my_course, and there is a file of that name"):
        copying.main(project)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_a_full_or_locked_disk_costs_the_reader_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def half(file: Path, content: bytes) -> None:
        with file.open("wb") as opened:
            opened.write(content[: len(content) // 2])
        raise OSError(number, os.strerror(number), str(file))

    before = files(project / "my_course")
    new_lesson(project)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", half)
        with pytest.raises(SystemExit) as end:
            copying.main(project)
    assert end.value.code == (
        f"my_course could not be brought up to date: {os.strerror(number)}. Nothing of yours was changed."
    )
    assert files(project / "my_course") == before
    assert bring(project) == []
    assert sources(project / "my_course/01_a.ipynb") == ["1 + 2"]


def test_without_the_lessons_it_says_where_they_are(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="The lessons are in a clone of the course"):
        copying.main(tmp_path)


def test_binder_opens_the_copy_and_the_repository_if_there_can_be_none(project: Path) -> None:
    """`start` is what repo2docker runs in front of its server."""
    (project / "course").mkdir()
    (project / "course/copying.py").symlink_to(PROJECT / "course/copying.py")
    python = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "JUPYTER_CONFIG_PATH": "/own",
    }
    tell = ["sh", "-c", 'pwd; echo "$JUPYTER_CONFIG_PATH"']

    def started() -> list[str]:
        done = subprocess.run(
            [PROJECT / "start", *tell], cwd=project, env=python, capture_output=True, text=True
        )
        return done.stdout.split()

    assert started() == [f"{project}/my_course", f"{project}/course:/own"]
    (project / "my_course").rename(project / "elsewhere")
    (project / "my_course").write_text("")
    assert started() == [str(project), "/own"]


# The lessons themselves


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("project") / "my_course"
    notebooks = made.with_name("notebooks")
    notebooks.symlink_to(PROJECT / "notebooks")
    (made / "my_work").mkdir(parents=True)  # so that nobody's own is moved
    assert list(refresh(notebooks, made)) == []
    return made


def test_every_link_leads_to_something_in_the_copy(copy: Path) -> None:
    for file in [*copy.rglob("*.ipynb"), *copy.rglob("*.md")]:
        text = "\n".join(sources(file)) if file.suffix == ".ipynb" else file.read_text()
        links = re.findall(r"\]\(([^)#]+)[^)]*\)|\b(?:src|href)=\"([^\"#]+)", text)
        for link in {one or other for one, other in links}:
            if ":" not in link:
                there = (file.parent / link).resolve()
                assert there.is_relative_to(copy.resolve()), f"{file.name} links to {link}, outside the copy"
                assert there.exists(), f"{file.name} links to {link}, which is not there"


def test_no_lesson_of_the_copy_has_an_output_or_an_answer_in_sight(copy: Path) -> None:
    lessons = sorted(copy.glob("*.ipynb"))
    assert lessons
    for lesson in lessons:
        notebook = json.loads(lesson.read_text())
        code = [one for one in notebook["cells"] if one["cell_type"] == "code"]
        assert not [one for one in code if one["outputs"] or one["execution_count"]], lesson.name
        assert notebook["metadata"]["kernelspec"]["name"] == "python3"  # another name opens a dialog
        for source in sources(lesson):
            marker = re.search(r"<!-- /?answer.*", source)
            assert not marker, f"{lesson.name}: {marker[0]} is not on a line of its own, or has no other end"


def test_what_a_learner_does_is_not_in_git() -> None:
    ignored = (PROJECT / ".gitignore").read_text().splitlines()
    assert {"my_course/", "notebooks/my_work/", ".ipynb_checkpoints/"} <= set(ignored)
