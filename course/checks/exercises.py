"""Which exercises there are. Each is a module with `TITLE`, `STARTER`, `HINTS` and an async `check(module)`.

`check` is handed the reader's module. It returns what it saw when all is as it should be, and raises
`NotYet` with the first thing that differs.
"""

from importlib import import_module
from types import ModuleType

LESSONS = ("01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "13")


def load(lesson: str) -> ModuleType:
    return import_module(f"course.checks.lesson_{lesson}")


def named(lesson: object) -> object:
    """The lesson as it is named here: 10 is "10", and 1 is "01"."""
    is_number = isinstance(lesson, int) and not isinstance(lesson, bool)
    return f"{lesson:02}" if is_number else lesson


def unknown(lesson: object) -> str | None:
    """The sentence for a lesson that has no exercise, or None."""
    if isinstance(lesson, str) and lesson in LESSONS:
        return None
    return f"There is no exercise {lesson!r}. There are: {', '.join(map(repr, LESSONS))}."
