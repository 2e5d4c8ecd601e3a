"""What CONTRIBUTING lists for a lesson and for an exercise: each place that was forgotten is named."""

import re
from pathlib import Path

import nbformat
import pytest

from course.checks.exercises import IDS, load

ROOT = Path(__file__).parents[1]
ID = r"\d\d[a-z]?"
TEXT, CHECK = "course/checks/exercises/{}.md", "course/checks/lesson_{}.py"
SOLUTION = "notebooks/solutions/lesson_{}.py"
IN_NOTEBOOK = "cell %%exercise {} in a notebook, with the starter"
TEST = "tests/checks/test_lesson_{}.py"


def sources(root: Path) -> list[str]:
    files = sorted((root / "notebooks").glob("[0-9][0-9]*_*.ipynb"))
    return [cell.source for file in files for cell in nbformat.read(file, as_version=4).cells]


def files(root: Path, pattern: str) -> set[str]:
    """What `{}` in a pattern stands for, in the files that there are."""
    found = [file.relative_to(root).as_posix() for file in root.glob(pattern.format("*"))]
    return {re.fullmatch(pattern.format("(.*)"), file)[1] for file in found}


def exercises(root: Path) -> dict[str, set[str]]:
    """Each place that an exercise has, `{}` for its id, and the ids that have it."""
    text = "\n".join(sources(root))
    exercise_cells = re.findall(rf"^%%exercise ({ID})$", text, re.M)
    check_cells = re.findall(rf'^await check\("({ID})"\)$', text, re.M)
    return {
        f"{TEXT}, with its title, starter and hints": files(root, TEXT),
        CHECK: files(root, CHECK),
        IN_NOTEBOOK: set(exercise_cells),
        'cell await check("{}") in a notebook': set(check_cells),
        SOLUTION: files(root, SOLUTION),
        f"{TEST}, with its wrong answers": files(root, TEST),
    }


def notebook_of(root: Path, exercise: str) -> Path:
    """The notebook of its own id (01b is a page of its own), or else its lesson's (08b is the second in lesson 08)."""
    folder = root / "notebooks"
    [path] = list(folder.glob(f"{exercise}_*.ipynb")) or folder.glob(f"{exercise[:2]}_*.ipynb")
    return path


def lessons(root: Path) -> dict[str, set[str]]:
    """The same for a lesson or a page. Test_replay names the workflows that have no recording."""
    readme = (root / "README.md").read_text()
    notebooks = files(root, "notebooks/{}.ipynb")
    shows_around = {"00"}
    only_shows = {"14b"} & {name.partition("_")[0] for name in notebooks}  # a page of *Going further*
    with_exercise = {notebook_of(root, one).name.partition("_")[0] for one in exercises(root)[IN_NOTEBOOK]}
    return {
        "notebooks/{}_….ipynb": {name.partition("_")[0] for name in notebooks},
        "row in README's table of the lessons": {
            number
            for number, name in re.findall(rf"^\| ({ID}) \| .*\(notebooks/(.*)\.ipynb\)", readme, re.M)
            if name in notebooks
        },
        "exercise": shows_around | only_shows | with_exercise,
        "promise in README, with the test that proves it": shows_around
        | {
            number
            for row in re.findall(rf"^\|.*\|.*\| ((?:{ID}(?:, )?)+) \|.*`.*\|$", readme, re.M)
            for number in row.split(", ")
        },
    }


def forgotten(places: dict[str, set[str]]) -> list[str]:
    every = sorted(set().union(*places.values()))
    return [
        f"{one} has no {place.format(one)}"
        for one in every
        for place, there in places.items()
        if one not in there
    ]


def test_nothing_of_an_exercise_was_forgotten() -> None:
    assert not forgotten(exercises(ROOT))


def test_nothing_of_a_lesson_was_forgotten() -> None:
    assert not forgotten(lessons(ROOT))


@pytest.mark.parametrize("exercise", IDS)
def test_an_exercise_is_in_its_lesson_and_its_cell_holds_the_starter(exercise: str) -> None:
    """Otherwise the check could not tell an exercise that was not started."""
    cells = [cell.source for cell in nbformat.read(notebook_of(ROOT, exercise), as_version=4).cells]
    magic = f"%%exercise {exercise}\n"
    starters = [source.removeprefix(magic) for source in cells if source.startswith(magic)]
    assert len(starters) == 1, (
        f"{len(starters)} cells begin with {magic!r} in {notebook_of(ROOT, exercise).name}"
    )
    [starter] = starters
    assert starter.strip() == load(exercise).starter.strip()
    assert f'await check("{exercise}")' in cells


def test_what_was_forgotten_is_named(tmp_path: Path) -> None:
    for file in ("course/checks/lesson_08b.py", "notebooks/solutions/lesson_08.py", "README.md"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("")
    cell = nbformat.v4.new_code_cell('%%exercise 08\n"TODO"')
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "notebooks/08_new.ipynb")
    assert forgotten(exercises(tmp_path)) == [
        "08 has no course/checks/exercises/08.md, with its title, starter and hints",
        "08 has no course/checks/lesson_08.py",
        '08 has no cell await check("08") in a notebook',
        "08 has no tests/checks/test_lesson_08.py, with its wrong answers",
        "08b has no course/checks/exercises/08b.md, with its title, starter and hints",
        "08b has no cell %%exercise 08b in a notebook, with the starter",
        '08b has no cell await check("08b") in a notebook',
        "08b has no notebooks/solutions/lesson_08b.py",
        "08b has no tests/checks/test_lesson_08b.py, with its wrong answers",
    ]
    bare = (tmp_path / "notebooks/08_new.ipynb").read_text().replace("%%exercise 08", "")
    (tmp_path / "notebooks/14_bare.ipynb").write_text(bare)
    assert [line for line in forgotten(lessons(tmp_path)) if line.startswith("14")] == [
        "14 has no row in README's table of the lessons",
        "14 has no exercise",
        "14 has no promise in README, with the test that proves it",
    ]
