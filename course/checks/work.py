"""The reader's own folder, `my_work` beside the notebook: one module for each exercise, and how far they are."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course.checks import exercises

if TYPE_CHECKING:
    import pandas as pd


def folder() -> Path:
    """`my_work` in the notebook's folder, unless COURSE_MY_WORK names another."""
    return Path(os.environ.get("COURSE_MY_WORK") or "my_work").absolute()


def module_file(exercise: str) -> Path:
    return folder() / f"lesson_{exercise}.py"


def save(exercise: str, code: str) -> bool:
    """Writes a cell to its module. Returns whether work of the reader's was there; that is kept beside it."""
    file = module_file(exercise)
    file.parent.mkdir(exist_ok=True)
    replaced = is_started(exercise) and file.read_text(encoding="utf-8", errors="replace") != code
    if replaced:
        file.replace(file.with_name(f"lesson_{exercise}.previous.py"))
    write(file, code)
    return replaced


def write(file: Path, text: str) -> None:
    """The whole text or none of it, also when two notebooks write at once."""
    draft = file.with_name(f".{file.name}.{os.getpid()}.draft")
    draft.write_text(text, encoding="utf-8", errors="replace")
    draft.replace(file)


def is_started(exercise: str) -> bool:
    """Whether the reader's module is there and says something else than the exercise's starter."""
    file = module_file(exercise)
    if not file.exists():
        return False
    starter = exercises.load(exercise).starter
    return _lines(file.read_text(encoding="utf-8", errors="replace")) not in ([], _lines(starter))


def _lines(code: str) -> list[str]:
    return [line.rstrip() for line in code.splitlines() if line.strip()]


# How far the reader is


def count_try(exercise: str, passed: bool) -> None:
    """An exercise that has been passed stays passed."""
    known = _progress()
    entry = known.setdefault(exercise, {"tries": 0, "done": False})
    entry["tries"] += 1
    entry["done"] = entry["done"] or passed
    folder().mkdir(exist_ok=True)
    write(folder() / "progress.json", json.dumps(known, indent=2, sort_keys=True) + "\n")


def progress() -> "pd.DataFrame":
    """How far you are: columns `exercise`, `title`, `done` (✓, not yet, not started) and `tries`."""
    import pandas as pd

    known, rows = _progress(), []
    for exercise in exercises.IDS:
        entry = known.get(exercise, {"tries": 0, "done": False})
        started = entry["tries"] > 0 or is_started(exercise)
        done = "✓" if entry["done"] else "not yet" if started else "not started"
        title = exercises.load(exercise).title
        rows.append({"exercise": exercise, "title": title, "done": done, "tries": entry["tries"]})
    return pd.DataFrame(rows, columns=["exercise", "title", "done", "tries"])


def _progress() -> dict[str, dict[str, Any]]:
    """What the file says; what is not ours in it is left out, and a spoiled file counts for nothing."""
    try:
        known = json.loads((folder() / "progress.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {
        exercise: {"tries": entry["tries"], "done": entry.get("done") is True}
        for exercise, entry in known.items()
        if exercise in exercises.IDS and isinstance(entry, dict) and isinstance(entry.get("tries"), int)
    }
