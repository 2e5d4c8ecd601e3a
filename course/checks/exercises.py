"""Which exercises there are. Each is a module here, `lesson_08.py` or `lesson_08b.py`, and its id is "08" or "08b".

That the module is there is all it takes: the reader's file, the solution and the progress go by the id. A module has
`TITLE`, `STARTER`, `HINTS` and an async `check(module)`, which is handed the reader's module. It returns what it saw
when all is as it should be, and raises `NotYet` with the first thing that differs.
"""

from importlib import import_module
from pathlib import Path
from types import ModuleType

IDS = tuple(sorted(file.stem.removeprefix("lesson_") for file in Path(__file__).parent.glob("lesson_*.py")))


def load(exercise: str) -> ModuleType:
    return import_module(f"course.checks.lesson_{exercise}")


def named(exercise: object) -> object:
    """The exercise as it is named here: 10 is "10", and 1 is "01"."""
    is_number = isinstance(exercise, int) and not isinstance(exercise, bool)
    return f"{exercise:02}" if is_number else exercise


def unknown(exercise: object) -> str | None:
    """The sentence for an id that no exercise has, or None."""
    if isinstance(exercise, str) and exercise in IDS:
        return None
    return f"There is no exercise {exercise!r}. There are: {', '.join(map(repr, IDS))}."
