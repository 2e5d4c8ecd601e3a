"""Exercise 10: the starter is not yet, other right answers pass, and each wrong path gets its own words."""

import os

import pytest

from course.checks import cell, check, exercises, runner
from tests.test_checks import beside_a_notebook, nothing_is_left_behind
from tests.test_checks_lessons import Changed, flat

__all__ = ["beside_a_notebook", "nothing_is_left_behind"]

runner.warm_up()

WAIT = "            await workflow.wait_condition(lambda: self.decision is not None, timeout=THREE_DAYS)\n"
TIMEOUT = "        except TimeoutError:\n            self.decision = NOBODY\n"
REJECTED = "        if not self.decision.approved:\n"
TELLS = 'return f"Your refund is not paid. {self.decision.reason}"'
REFUSES = "        if self.decision:\n"
SETS = "        self.decision = decision\n"
SENTENCE = 'ApplicationError(f"{self.decision.by} has decided already: nothing was changed.")'
REFUSAL = f"{REFUSES}            raise {SENTENCE}\n"
NOBODY = 'NOBODY = Decision(False, "nobody"'


def wrong(name: str, words: str, *changes: tuple[str, str]) -> Changed:
    return Changed("10", name, words, changes)


WRONG = [
    wrong(
        "waits for a yes",
        "Cy rejected a refund, and the approval still waits",
        ("self.decision is not None", "self.decision and self.decision.approved"),
    ),
    wrong("pays in any case", "Cy rejected a refund, and it was paid", (REJECTED, "        if False:\n")),
    wrong("keeps the reason", "and not the reason", (TELLS, 'return "Your refund is not paid."')),
    wrong(
        "no end",
        "Nobody decided for three days, and an hour after that the approval still waits",
        ("timeout=THREE_DAYS", "timeout=None"),
    ),
    wrong(
        "uncaught",
        "Nobody decided for three days, and the approval ended as failed: TimeoutError. The customer",
        (TIMEOUT, "        finally:\n            pass\n"),
    ),
    wrong("impatient", "A person has three days", ("days=3", "hours=3")),
    wrong("silence is a yes", "Silence is no approval", (NOBODY, 'NOBODY = Decision(True, "nobody"')),
    wrong("the last one counts", "A decision counts once", (REFUSES, "        if False:\n")),
    wrong(
        "looks after three days",
        "two seconds later the approval had not ended",
        (
            WAIT,
            "            await workflow.sleep(THREE_DAYS)\n            self.decision = self.decision or NOBODY\n",
        ),
    ),
    wrong("never pays", "it was not paid under its number", ("args=[request.number,", 'args=["refund",')),
    wrong("says nothing", "the customer is to be told something", (TELLS, 'return ""')),
    wrong("no class", "There is no class Approval", ("class Approval:", "class Refusal:")),
    wrong("a bug", "AttributeError", ("self.decision.approved", "self.decision.agreed")),
    wrong(
        "ApplicationError not imported",
        "Cy's decision was refused by an error in your own code. NameError: name 'ApplicationError' is not defined. "
        "ApplicationError comes from temporalio.exceptions.",
        ("from temporalio.exceptions import ApplicationError\n", ""),
    ),
    wrong(
        "a misspelt name in the validator",
        "refused by an error in your own code. AttributeError",
        ("{self.decision.by} has", "{self.decison.by} has"),
    ),
    wrong(
        "the clock in the validator",
        "an error in your own code. Your workflow calls time.time, and the sandbox refuses it",
        (REFUSES, "        import time\n\n        time.time()\n" + REFUSES),
    ),
    wrong("no words", "Cy's decision was refused without a sentence", (SENTENCE, 'ApplicationError("")')),
    wrong("an exception without words", "refused without a sentence", (SENTENCE, "Exception")),
    wrong(
        "an assert without words",
        "refused without a sentence",
        (REFUSAL, "        assert not self.decision\n"),
    ),
    wrong(
        "one may change one's mind",
        "she rejected it after all",
        (REFUSES, "        if self.decision and self.decision.by != decision.by:\n"),
    ),
    wrong(
        "refuses all",
        "Bea was the first to decide, and `decide` refused it: “somebody has decided already.”",
        (REFUSAL, '        raise ApplicationError("somebody has decided already.")\n'),
    ),
    wrong(
        "refuses all without a word",
        "Bea was the first to decide, and `decide` refused it without a sentence.",
        (REFUSAL, '        raise ApplicationError("")\n'),
    ),
    wrong(
        "refuses every rejection",
        "Cy was the first to decide, and `decide` refused it: “Only a yes.”",
        (
            REFUSAL,
            '        if not decision.approved:\n            raise ApplicationError("Only a yes.")\n'
            + REFUSAL,
        ),
    ),
    wrong(
        "ends before its handler",
        "`run` went on and ended while `decide` was still waiting",
        ("    def decide", "    async def decide"),
        (SETS, SETS + "        await workflow.sleep(1)\n"),
    ),
    wrong(
        "decides in the validator",
        "A replay runs `decide` and no validator",
        (SETS, ""),
        (REFUSAL, REFUSAL + SETS),
    ),
]


async def test_another_right_answer_passes() -> None:
    """It waits in steps, and refuses in the handler."""
    changes = (
        ("timeout=THREE_DAYS", "timeout=THREE_DAYS / 2"),
        (
            TIMEOUT,
            "        except TimeoutError:\n            pass\n        try:\n            await workflow.wait_condition("
            "lambda: self.decision is not None, timeout=THREE_DAYS / 2)\n" + TIMEOUT,
        ),
        ("    @decide.validator\n", ""),
        (
            "        self.decision = decision\n",
            "        self.check(decision)\n        self.decision = decision\n",
        ),
    )
    cell.exercise("10", wrong("steps", "", *changes).code())
    verdict = await check("10")
    assert verdict.passed, str(verdict)


@pytest.mark.parametrize(
    "raised",
    ['ValueError("Too late.")', 'RuntimeError("Too late.")', 'ApplicationError("Too late.", type="Late")'],
)
async def test_a_refusal_may_be_any_error_that_is_raised_on_purpose(raised: str) -> None:
    cell.exercise("10", wrong("raised", "", (SENTENCE, raised)).code())
    verdict = await check("10")
    assert verdict.passed, str(verdict)
    assert "A second decision was refused with “Too late.”" in flat(verdict)


async def test_a_pass_quotes_what_was_told() -> None:
    """It judges no words: what a person is told is shown."""
    cell.exercise("10", wrong("other words", "", ("Your refund is not paid.", "Dear customer, no:")).code())
    told = flat(await check("10"))
    assert "told “Dear customer, no: On your photo it only needs water.”." in told
    assert "told “Dear customer, no: Nobody could decide about it within three days.”;" in told
    assert "refused with “Bea has decided already: nothing was changed.”" in told


async def test_a_starter_that_was_hardly_touched_is_not_yet() -> None:
    cell.exercise("10", exercises.load("10").STARTER + "\n# I have begun\n")
    verdict = await check("10")
    assert verdict.outcome == "not yet"
    assert "Cy rejected a refund, and it was paid all the same" in flat(verdict)


# A sample, so that the suite stays short; with SOAK=1 every one.
TRIED = WRONG if os.environ.get("SOAK") else WRONG[3:9:2]


@pytest.mark.parametrize("wrong", TRIED, ids=lambda wrong: wrong.name)
async def test_a_wrong_path_gets_its_own_words(wrong: Changed) -> None:
    cell.exercise("10", wrong.code())
    verdict = await check("10")
    assert verdict.outcome in ("not yet", "error"), str(verdict)
    assert wrong.words in flat(verdict)
