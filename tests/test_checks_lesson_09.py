"""Exercise 09 in three directions: the starter is not yet, the solution passes, each wrong answer gets its words."""

import os

import pytest

from course.checks import cell, check, exercises
from tests.test_checks import beside_a_notebook, nothing_is_left_behind
from tests.test_checks_lessons import Changed, flat

__all__ = ["beside_a_notebook", "nothing_is_left_behind"]

PATCH = 'if workflow.patched(f"statistics/turn-{self.turns}"):  # a new question in every turn'
STEP = f"        {PATCH}\n            self.learn_from(text)\n"
PLAIN = "        self.learn_from(text)\n"
TOLD = '        if workflow.patched("tell-the-team"):\n            self.tell_the_team(text)\n'
SAVE = "        await self.save(text, answer)\n"

TWO = 'if workflow.patched("statistics") or workflow.patched(f"statistics-{self.key}"):'
IMPORT = (
    "from course.lessons.lesson_09",
    "with workflow.unsafe.imports_passed_through():\n    from course.desk import activities\nfrom course.lessons.lesson_09",
)

WRONG = [
    Changed("09", "no patch", "began before “tell-the-team”, would freeze", ((STEP, PLAIN),)),
    Changed(
        "09",
        "one id for the run",
        "has no process_batch in its next turns: invoke_model_activity, save_to_database.",
        ((PATCH, 'if workflow.patched("statistics"):'),),
    ),
    Changed(
        "09",
        "under the old id",
        "began with “tell-the-team”, would freeze",
        ((STEP, ""), (TOLD, TOLD + "    " + PLAIN)),
    ),
    Changed(
        "09",
        "without the old patch",
        "began before “tell-the-team”, would freeze",
        ((TOLD, "        self.tell_the_team(text)\n"),),
    ),
    Changed(
        "09",
        "the old patch replaced",
        "does not ask for that patch any more",
        ((TOLD, ""),),
    ),
    Changed(
        "09",
        "only when it is live",
        "does not replay with your own code",
        ((PATCH, "if not workflow.unsafe.is_replaying():"),),
    ),
    Changed("09", "another name", "so it is another workflow", (('(name="GrowingWorkflow")', ""),)),
    Changed("09", "before the save", "began before the save was done", ((STEP, ""), (SAVE, STEP + SAVE))),
    Changed(
        "09",
        "one key for all",
        "turns share a key",
        (
            IMPORT,
            (
                "learn_from(text)",
                "later(self.duty(activities.process_batch, [self.customer, [text], self.turns], self.record))",
            ),
        ),
    ),
    Changed(
        "09",
        "an id made of the text",
        "an id that was asked for before keeps its answer",
        (("statistics/turn-{self.turns}", "statistics/{text}"),),
    ),
    Changed(
        "09",
        "every second turn",
        "in some of its turns and not in others",
        (("turn-{self.turns}", "turn-{self.turns // 2}"),),
    ),
]


async def test_the_starter_is_not_yet() -> None:
    cell.exercise("09", exercises.load("09").STARTER + "\n# I have begun\n")
    verdict = await check("09")
    assert verdict.outcome == "not yet"
    assert "the step is not there yet" in flat(verdict)


@pytest.mark.parametrize(
    "wrong", WRONG if os.environ.get("SOAK") else [WRONG[1], WRONG[5]], ids=lambda wrong: wrong.name
)
async def test_a_wrong_answer_gets_its_own_words(wrong: Changed) -> None:
    cell.exercise("09", wrong.code())
    verdict = await check("09")
    assert verdict.outcome in ("not yet", "error"), str(verdict)
    assert wrong.words in flat(verdict), str(verdict)


async def test_two_questions_in_place_of_one_are_right_too() -> None:
    cell.exercise("09", Changed("09", "two", "", ((PATCH, TWO),)).code())
    assert (await check("09")).passed
