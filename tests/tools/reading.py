"""What a lesson asks of its reader: minutes, cells, sources, predictions. `python -m tests.tools.reading` prints it.

Minutes are those of somebody who reads 200 words of prose a minute and needs one for each code cell. An exercise is
counted apart, from *Your turn* to its check: its prose, and a minute for each line that its solution adds to the
starter.
"""

import difflib
import re
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat

from course.checks.exercises import load

ROOT = Path(__file__).parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]*_*.ipynb"))

PREDICTION = re.compile(
    r"\*\*Predict\b|^<!-- answer: (?P<key>.+?) -->\n(?P<answer>.*?)^<!-- /answer -->$", re.M | re.S
)
COMMENT = re.compile(r"<!--.*?-->", re.S)


@dataclass(frozen=True)
class Prediction:
    """A question, and the place that answers it: `key` are words of the answer that the question must not hold."""

    question: str
    key: str
    answer: str
    ran: int  # the code cells between them


@dataclass(frozen=True)
class Reading:
    minutes: int
    exercise_minutes: int | None
    code_cells: int
    median_lines: float
    words_a_line: float
    longest_source: int
    predictions: list[Prediction]


def words(text: str) -> int:
    return len(COMMENT.sub("", text).split())


def lines(text: str) -> int:
    return len([line for line in text.splitlines() if line.strip()])


def shown(cell: nbformat.NotebookNode) -> int:
    """Lines of source that a cell shows: of ours, or a file that it writes."""
    if cell.source.startswith("%%writefile"):
        return lines(cell.source) - 1
    if "show_source" not in cell.source:
        return 0
    texts = [output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    return max(map(lines, texts), default=0)


def to_write(exercise: str) -> int:
    """The lines that the solution adds to the starter."""
    solution = (ROOT / f"notebooks/solutions/lesson_{exercise}.py").read_text().splitlines()
    compared = difflib.ndiff(load(exercise).starter.splitlines(), solution)
    return len([line for line in compared if re.match(r"\+ \s*[^\s#]", line)])


def predictions(cells: list[nbformat.NotebookNode]) -> list[Prediction]:
    """Raises AssertionError, with the question, where one has no answer after the cells that it is about."""
    found: list[Prediction] = []
    question, ran = "", 0
    for cell in cells:
        if cell.cell_type == "code":
            ran += 1
            continue
        for part in PREDICTION.finditer(cell.source):
            if part["answer"]:
                assert question, f"answers nothing: {part['answer'][:80]}"
                found.append(Prediction(question, part["key"], part["answer"], ran))
                question = ""
            else:
                assert not question, f"has no answer: {question}"
                question, ran = PREDICTION.sub(lambda p: "" if p["answer"] else p[0], cell.source), 0
    assert not question, f"has no answer: {question}"
    return found


def parted(
    notebook: nbformat.NotebookNode,
) -> tuple[list[nbformat.NotebookNode], dict[str, list[nbformat.NotebookNode]]]:
    """The cells of the lesson, and those of each exercise."""
    lesson: list[nbformat.NotebookNode] = []
    exercises: dict[str, list[nbformat.NotebookNode]] = {}
    section: list[nbformat.NotebookNode] | None = None
    for cell in notebook.cells:
        if section is None and (begins := re.search(r"^## Your turn", cell.source, re.M)):
            lesson.append(nbformat.v4.new_markdown_cell(cell.source[: begins.start()]))
            section, cell = [], nbformat.v4.new_markdown_cell(cell.source[begins.start() :])
        if section is None:
            lesson.append(cell)
            continue
        section.append(cell)
        if check := re.match(r'await check\("(\w+)"\)', cell.source):
            exercises[check[1]], section = section, None
    return lesson + (section or []), exercises


def read(path: Path) -> Reading:
    lesson, exercises = parted(nbformat.read(path, as_version=4))
    prose = sum(words(cell.source) for cell in lesson if cell.cell_type == "markdown")
    code = [cell for cell in lesson if cell.cell_type == "code"]
    typed = [lines(cell.source) for cell in code if not cell.source.startswith("%%writefile")]
    for_exercises = [
        to_write(one) + sum(words(cell.source) for cell in cells if cell.cell_type == "markdown") / 200
        for one, cells in exercises.items()
    ]
    return Reading(
        minutes=round(prose / 200 + len(code)),
        exercise_minutes=round(sum(for_exercises)) if exercises else None,
        code_cells=len(code),
        median_lines=statistics.median(typed),
        words_a_line=prose / sum(typed),
        longest_source=max(map(shown, code), default=0),
        predictions=predictions(lesson),
    )


def main(names: list[str]) -> None:
    print("lesson                        minutes exercise cells median words/line source predictions")
    for path in LESSONS:
        if names and path.name.partition("_")[0] not in names:
            continue
        try:
            one = read(path)
        except AssertionError as error:
            print(f"{path.stem:30} {error}")
            continue
        print(
            f"{path.stem:30} {one.minutes:6} {one.exercise_minutes or '-':>8} {one.code_cells:5} {one.median_lines:6}"
            f" {one.words_a_line:10.1f} {one.longest_source:6} {len(one.predictions):11}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
