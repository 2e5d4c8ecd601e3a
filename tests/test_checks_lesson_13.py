"""Exercise 13 in three directions: the starter is not yet, the solution passes, each wrong answer gets its words."""

import os

import pytest

from course.checks import cell, check, exercises, runner
from tests.test_checks import beside_a_notebook, nothing_is_left_behind
from tests.test_checks_lessons import Changed, flat

__all__ = ["beside_a_notebook", "nothing_is_left_behind"]

runner.warm_up()

SLEEPS = "        await workflow.sleep(PATIENCE)\n"
IN_TURN = "        self.stop_reminding()\n        answer"
STOPS = "            self.reminding.cancel()"
KEY = 'f"{key}/reminder"'
STARTS = "            self.reminding = self.later(self.remind(self.key))\n"
LOOKS = """        turns = self.turns
        try:
            await workflow.wait_condition(lambda: self._closing or self.turns != turns, timeout=PATIENCE)
            return
        except TimeoutError:
            pass
"""
FLAG = (
    "        turns = self.turns\n"
    + SLEEPS
    + "        if self._closing or self.turns != turns:\n            return\n"
)
SENDS = "        await self.duty("
IMPORTS = "from course.desk.policies import BACKGROUND\n"

WRONG = [
    Changed("13", "never cancelled", "was reminded all the same", ((IN_TURN, "        answer"),)),
    Changed(
        "13",
        "a flag after the timer",
        "its timer is not canceled on record: 2 started",
        ((SLEEPS, FLAG), (STOPS, "            pass")),
    ),
    Changed(
        "13",
        "the timer alone",
        "the reminder was delivered after “It is a small one",
        ((SLEEPS, LOOKS), (STOPS, "            pass")),
    ),
    Changed(
        "13",
        "the reply waits",
        "Does the reply wait for the reminder?",
        ((STARTS, "            await self.remind(self.key)\n"),),
    ),
    Changed(
        "13",
        "close does not cancel",
        "it does not end: until_closed waits for every duty",
        (("self._closing)\n        self.stop_reminding()", "self._closing)"),),
    ),
    Changed(
        "13", "key of the conversation", "does not name the turn", ((KEY, "workflow.info().workflow_id"),)
    ),
    Changed(
        "13",
        "every two days",
        "Nobody answered for eleven days, and 5 reminders were sent",
        (
            (SLEEPS, "        for number in range(9):\n            await workflow.sleep(PATIENCE)\n"),
            ("        args", "            args"),
            (SENDS, "            await self.duty("),
            (KEY, 'f"{key}/reminder-{number}"'),
        ),
    ),
    Changed("13", "too early", "before two days were over", (("timedelta(days=2)", "timedelta(days=1)"),)),
    Changed("13", "nobody is named", "without the customer's name", (("{self.customer} has", "Ihr habt"),)),
    Changed(
        "13",
        "once a conversation",
        "no second reminder was delivered",
        (("if not self._closing:", "if not self._closing and not self.reminding:"),),
    ),
    Changed(
        "13",
        "after questions only",
        "asks nothing, the customer was silent for two days after it, and was not reminded",
        (
            (IMPORTS, IMPORTS + "from course.lessons.lesson_13 import asks\n"),
            ("if not self._closing:", "if asks(answer.text) and not self._closing:"),
        ),
    ),
    Changed(
        "13",
        "stopped after the answer",
        "the model was down for three minutes, and the reminder was sent while the customer waited",
        (
            (IN_TURN, "        answer"),
            ("self.answer(text)\n", "self.answer(text)\n        self.stop_reminding()\n"),
        ),
    ),
    Changed(
        "13",
        "begun after the close",
        "The conversation was closed while a turn waited for the model",
        (("        if not self._closing:\n    ", ""),),
    ),
    Changed(
        "13",
        "gives up",
        "was silent, and was not reminded when the mail server was back",
        (
            (
                IMPORTS,
                IMPORTS + "\nSHORT = BACKGROUND | {'schedule_to_close_timeout': timedelta(minutes=1)}\n",
            ),
            ("BACKGROUND)", "SHORT)"),
        ),
    ),
    Changed(
        "13",
        "close cancels the timer alone",
        "closed while its reminder was being tried again",
        (
            (
                "self._closing)\n        self.stop_reminding()",
                "self._closing)\n        if self.asleep:\n            self.stop_reminding()",
            ),
            (
                "self.reminding: asyncio.Task[None] | None = None\n",
                "self.reminding: asyncio.Task[None] | None = None\n        self.asleep = False\n",
            ),
            (SLEEPS, f"        self.asleep = True\n{SLEEPS}        self.asleep = False\n"),
        ),
    ),
    Changed(
        "13",
        "a duty that is not awaited",
        "`await self.duty(…)`: without its await",
        ((SENDS, "        self.duty("),),
    ),
]


async def test_a_starter_that_was_hardly_touched_is_not_yet() -> None:
    cell.exercise("13", exercises.load("13").STARTER + "\n# I have begun\n")
    verdict = await check("13")
    assert verdict.outcome == "not yet"
    assert "there is no timer on record and no mail" in flat(verdict)


# A sample, so that the suite stays short; with SOAK=1 every one.
TRIED = WRONG if os.environ.get("SOAK") else WRONG[5:14:3]


@pytest.mark.parametrize("wrong", TRIED, ids=lambda wrong: wrong.name)
async def test_a_wrong_answer_gets_its_own_words(wrong: Changed) -> None:
    cell.exercise("13", wrong.code())
    verdict = await check("13")
    assert verdict.outcome == "not yet", str(verdict)
    assert wrong.words in flat(verdict)


BUGS = [
    Changed(
        "13", "stars", "TypeError: Duties.duty() got an unexpected", ((" BACKGROUND)", " **BACKGROUND)"),)
    ),
    Changed("13", "a typo", "no attribute 'custommer'", (("{self.customer} has", "{self.custommer} has"),)),
]


@pytest.mark.parametrize("bug", BUGS if os.environ.get("SOAK") else BUGS[:1], ids=lambda bug: bug.name)
async def test_a_bug_in_the_reminder_is_named_with_its_line(bug: Changed) -> None:
    cell.exercise("13", bug.code())
    verdict = await check("13")
    assert verdict.outcome == "error"
    assert bug.words in flat(verdict)
    assert "(line 4" in flat(verdict)
