"""The tests of an exercise's check. `test_lesson_08b.py` beside this imports them, and holds the answers to 08b:

- `STARTER`: a part of what the check says to the starter, hardly touched.
- `WRONG`: wrong answers by name. Each is a part of what the check says, and then what is changed in the solution:
  pairs of an old text and a new one, or lines `before`, `after` or `instead` of one of its lines.
- `RAISES`: the same, where the answer is "error" and not "not yet": the reader's own code raises.
- `RIGHT`: other right answers. A part of what the check says when they pass may come first.
- `SAMPLE`: names of those that `make test` tries, where all of them would take too long. `make soak` tries every one.

In the words, " … " is where the check says more.
"""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import course
from course.checks import cell, check, exercises
from course.checks.verdict import Verdict

__all__ = [
    "Change",
    "after",
    "before",
    "instead",
    "pytest_generate_tests",
    "test_a_right_answer_passes",
    "test_a_starter_that_was_hardly_touched_is_not_yet",
    "test_a_wrong_answer_gets_its_own_words",
    "test_every_wrong_answer_has_words_of_its_own",
]

SOLUTIONS = Path(course.__file__).parents[1] / "notebooks" / "solutions"

Change = tuple[str, str] | Callable[[str], str]
"""An old text and a new one, or what changes the code."""


def before(line: str, *more: str) -> Change:
    """More lines before the one that holds `line`, indented as it is."""
    return _at(line, lambda one: (*more, one))


def after(line: str, *more: str) -> Change:
    return _at(line, lambda one: (one, *more))


def instead(line: str, *others: str) -> Change:
    return _at(line, lambda one: others)


def _at(line: str, edit: Callable[[str], tuple[str, ...]]) -> Change:
    def change(code: str) -> str:
        lines = code.splitlines()
        found = [number for number, one in enumerate(lines) if line in one]
        assert len(found) == 1, f"{len(found)} lines of the solution hold {line!r}"
        one = lines[found[0]]
        margin = one.removesuffix(one.lstrip())
        lines[found[0] : found[0] + 1] = [margin + new if new else "" for new in edit(one.lstrip())]
        return "\n".join(lines) + "\n"

    return change


def exercise_of(module: ModuleType) -> str:
    return module.__name__.rpartition("test_lesson_")[2]


def answers(module: ModuleType, *kinds: str) -> dict[str, tuple[Any, ...]]:
    found = {"the solution": ("Passed: ",)} if "RIGHT" in kinds else {}
    for kind in kinds:
        found |= getattr(module, kind, {})
    return {name: one if isinstance(one[0], str) else ("Passed: ", *one) for name, one in found.items()}


def tried(module: ModuleType, *kinds: str) -> list[str]:
    sample = getattr(module, "SAMPLE", None)
    if sample is None or os.environ.get("SOAK"):
        return list(answers(module, *kinds))
    return [name for name in answers(module, *kinds) if name in {"the solution", *sample}]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "right" in metafunc.fixturenames:
        metafunc.parametrize("right", tried(metafunc.module, "RIGHT"))
    if "wrong" in metafunc.fixturenames:
        metafunc.parametrize("wrong", tried(metafunc.module, "WRONG", "RAISES"))


def changed(exercise: str, changes: Sequence[Change]) -> str:
    """The solution with something changed."""
    code = (SOLUTIONS / f"lesson_{exercise}.py").read_text()
    for change in changes:
        if callable(change):
            code = change(code)
        else:
            assert change[0] in code, f"the solution has no {change[0]!r}"
            code = code.replace(*change)
    return code


async def judged(exercise: str, code: str) -> Verdict:
    cell.exercise(exercise, code)
    return await check(exercise)


def flat(text: object) -> str:
    return " ".join(str(text).split())


def says(verdict: Verdict, words: str) -> bool:
    return re.search(".*".join(map(re.escape, words.split(" … "))), flat(verdict)) is not None


async def test_a_right_answer_passes(request: pytest.FixtureRequest, right: str) -> None:
    words, *changes = answers(request.module, "RIGHT")[right]
    exercise = exercise_of(request.module)
    verdict = await judged(exercise, changed(exercise, changes))
    assert verdict.passed, str(verdict)
    assert says(verdict, words), str(verdict)


async def test_a_starter_that_was_hardly_touched_is_not_yet(request: pytest.FixtureRequest) -> None:
    exercise = exercise_of(request.module)
    verdict = await judged(exercise, exercises.load(exercise).starter + "\n# I have begun\n")
    assert verdict.outcome == "not yet"
    assert says(verdict, request.module.STARTER), str(verdict)
    assert f'`hint("{exercise}")` shows a hint.' in flat(verdict)


async def test_a_wrong_answer_gets_its_own_words(
    request: pytest.FixtureRequest, wrong: str, tmp_path: Path
) -> None:
    words, *changes = answers(request.module, "WRONG", "RAISES")[wrong]
    exercise = exercise_of(request.module)
    verdict = await judged(exercise, changed(exercise, changes))
    assert says(verdict, words), str(verdict)
    assert verdict.outcome == ("error" if wrong in answers(request.module, "RAISES") else "not yet")
    assert not re.search(rf"{re.escape(str(tmp_path))}|127\.0\.0\.1|:\d{{4,5}}\b", str(verdict))


def test_every_wrong_answer_has_words_of_its_own(request: pytest.FixtureRequest) -> None:
    wrong = answers(request.module, "WRONG", "RAISES")
    assert len(tried(request.module, "WRONG", "RAISES")) >= 2
    assert len({words for words, *_ in wrong.values()}) == len(wrong)
    assert {*getattr(request.module, "SAMPLE", ())} <= {*wrong, *answers(request.module, "RIGHT")}
