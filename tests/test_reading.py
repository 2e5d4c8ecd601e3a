"""A lesson asks of its reader what it says that it asks, and no question holds its answer."""

import re
from pathlib import Path

import nbformat
import pytest

from course.history.questions import ASKED
from tests.tools.reading import LESSONS, ROOT, predictions, read

LESSON = pytest.mark.parametrize("lesson", LESSONS, ids=[path.stem for path in LESSONS])
ANSWERED = [path for path in LESSONS if path.name < "14b"]
"""A page after lesson 14 adds no operation, and lesson 15's table names a test for each answer."""


@LESSON
def test_its_minutes_are_those_that_a_reader_needs(lesson: Path) -> None:
    one = read(lesson)
    assert one.minutes <= 35
    own = f"{one.exercise_minutes} more for the exercise" if one.exercise_minutes else "no exercise"
    title = nbformat.read(lesson, as_version=4).cells[0].source
    said = re.search(r"\*(\d+) minutes(?:, and (\d+ more for the exercise|no exercise))?\.", title)
    assert said, f"the first cell wants a line like *{one.minutes} minutes, and {own}. You need …*"
    assert (int(said[1]), said[2] or "no exercise") == (one.minutes, own)
    number = lesson.name.partition("_")[0]
    row = re.search(
        rf"^\| {number} \|[^|]*\| *(\d+)(?: \+ (\d+))? *\|", (ROOT / "README.md").read_text(), re.M
    )
    assert row
    assert (int(row[1]), int(row[2]) if row[2] else None) == (one.minutes, one.exercise_minutes)


@LESSON
def test_its_cells_are_light(lesson: Path) -> None:
    one = read(lesson)
    assert one.code_cells <= 25
    assert one.longest_source <= 25
    assert one.median_lines <= 3
    assert one.words_a_line >= 14


@LESSON
def test_every_prediction_has_an_answer_that_the_question_does_not_hold(lesson: Path) -> None:
    asked = read(lesson).predictions
    assert len(asked) >= 3
    for one in asked:
        assert one.ran, f"nothing runs between it and its answer: {one.question}"
        assert one.key.casefold() in one.answer.casefold(), f"is not in the answer: {one.key}"
        assert one.key.casefold() not in one.question.casefold(), f"gives itself away: {one.question}"


@pytest.mark.parametrize("lesson", ANSWERED, ids=[path.stem for path in ANSWERED])
def test_the_record_answers_its_four_questions(lesson: Path) -> None:
    """And no table that somebody wrote."""
    cells = nbformat.read(lesson, as_version=4).cells
    answers = [number for number, one in enumerate(cells) if one.cell_type == "code" and _asked(one)]
    assert answers, "no cell shows the answers of `await chat.questions()`"
    for one in cells:
        written = [
            line for line in one.source.splitlines() if ASKED["reply"] in line and line.startswith("|")
        ]
        assert one.cell_type == "code" or not written, "the record answers, and no table that somebody wrote"
    said = cells[answers[-1] + 1].source
    assert said, "what the record cannot know has to be said below its answers"


def _asked(cell: nbformat.NotebookNode) -> bool:
    """Whether it shows all four, in a table or as the program prints them."""
    texts = [output.get("text") or output.get("data", {}).get("text/html", "") for output in cell.outputs]
    return any(all(question in text for question in ASKED.values()) for text in texts)


def cell(source: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_markdown_cell(source)


def test_a_question_without_an_answer_is_named() -> None:
    code = nbformat.v4.new_code_cell("1 + 1")
    with pytest.raises(AssertionError, match=r"has no answer: \*\*Predict:\*\* what is it\?"):
        predictions([cell("**Predict:** what is it?"), code, cell("Two.")])
    with pytest.raises(AssertionError, match="answers nothing: Two"):
        predictions([cell("What is it?"), code, cell("<!-- answer: two -->\nTwo.\n<!-- /answer -->")])
    [one] = predictions(
        [
            cell("**Predict:** what is it?"),
            code,
            cell("<!-- answer: two -->\nTwo.\n<!-- /answer -->\n\nNext."),
        ]
    )
    assert (one.key, one.answer, one.ran) == ("two", "Two.\n", 1)
