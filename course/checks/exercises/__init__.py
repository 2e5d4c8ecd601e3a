"""Which exercises there are, and what each of them gives to a reader.

An exercise has an id, "08" or "08b", and two files: `08b.md` beside this one, with its text, and `lesson_08b.py` in
`course/checks`, with its check. That they are there is all it takes: the reader's file, the solution and the progress
go by the id.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parent
IDS = tuple(sorted(file.stem.removeprefix("lesson_") for file in FOLDER.parent.glob("lesson_*.py")))


@dataclass(frozen=True)
class Exercise:
    """The text of an exercise.

    Attributes:
        title: A few words, for the table of progress.
        starter: The code that the reader begins with.
        hints: What `hint` shows, one after another; each is one line.
    """

    title: str
    starter: str
    hints: tuple[str, ...]


def load(exercise: str) -> Exercise:
    """Reads the text of an exercise: a heading, the starter as a block of Python, the hints as a numbered list.

    Raises:
        OSError: There is no such file.
        ValueError: A part of it is missing; the sentence names the file and the part.
    """
    file = FOLDER / f"{exercise}.md"
    text = file.read_text(encoding="utf-8")

    def part(name: str, pattern: str, looks: str) -> str:
        found = re.search(pattern, text, re.M | re.S)
        if found is None:
            raise ValueError(f"course/checks/exercises/{file.name} has no {name}: {looks}.")
        return found[1]

    return Exercise(
        part("title", r"\A# ([^\n]+)$", "its first line is `# ` and the title"),
        part("starter", r"^```python\n(.*?)^```$", "a block between ```python and ```"),
        _items(part("hints", r"^```$\s+^(1\. .+)", "a numbered list after the starter")),
    )


def _items(numbered: str) -> tuple[str, ...]:
    return tuple(" ".join(item.split()) for item in re.split(r"^\d+\. ", numbered, flags=re.M)[1:])


def check_of(exercise: str) -> Callable[[ModuleType | Path], Awaitable[str]]:
    """The check of an exercise, which is handed the reader's module, or the file of a program.

    It returns what it saw when all is as it should be, and raises `NotYet` with the first thing that differs.
    """
    return import_module(f"course.checks.lesson_{exercise}").check


def is_a_program(exercise: str) -> bool:
    """Whether the reader's file is a program, which the check runs: its module says so, `IS_A_PROGRAM = True`."""
    return getattr(import_module(f"course.checks.lesson_{exercise}"), "IS_A_PROGRAM", False)


def starts_processes(exercise: str) -> bool:
    """Whether the check starts processes of its own: its module says so, `STARTS_PROCESSES = True`."""
    return getattr(import_module(f"course.checks.lesson_{exercise}"), "STARTS_PROCESSES", False)


def limit_of(exercise: str) -> float:
    """Seconds for the reader's code on a quiet machine. A check takes two or three; whose takes more says so."""
    return getattr(import_module(f"course.checks.lesson_{exercise}"), "LIMIT_SECONDS", 30.0)


def named(exercise: object) -> object:
    """The exercise as it is named here: 10 is "10", and 1 is "01"."""
    is_number = isinstance(exercise, int) and not isinstance(exercise, bool)
    return f"{exercise:02}" if is_number else exercise


def unknown(exercise: object) -> str | None:
    """The sentence for an id that no exercise has, or None."""
    if isinstance(exercise, str) and exercise in IDS:
        return None
    return f"There is no exercise {exercise!r}. There are: {', '.join(map(repr, IDS))}."
