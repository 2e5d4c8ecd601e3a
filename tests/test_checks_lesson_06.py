"""Exercise 06: the starter is not yet, each wrong answer gets its words. (That the solution passes: test_checks_lessons.)"""

import os

import pytest

from course.checks import cell, check, exercises, runner
from tests.test_checks import beside_a_notebook, nothing_is_left_behind
from tests.test_checks_lessons import Changed, flat

__all__ = ["beside_a_notebook", "nothing_is_left_behind"]

runner.warm_up()

CAUGHT = "except (AgentsException, AgentsWorkflowError, ActivityError) as error:"
PASSED_ON = """            if is_cancelled_exception(error.__cause__ or error):
                raise  # somebody's decision to stop, and no failure
"""

WRONG = [
    Changed("06", "no class", "There is no class SturdyDesk", (("class SturdyDesk", "class Sturdy"),)),
    Changed(
        "06",
        "the SDK's errors only",
        "so it ended the conversation",
        ((CAUGHT, "except AgentsException as error:"),),
    ),
    Changed(
        "06",
        "Temporal's errors only",
        "ModelBehaviorError came out of `run`",
        ((CAUGHT, "except (AgentsWorkflowError, ActivityError) as error:"),),
    ),
    Changed("06", "everything, cancellation too", "it apologised and went on", ((PASSED_ON, ""),)),
    Changed(
        "06",
        "what stands on top",
        "the reason on record is “Activity task failed”",
        (('f"{type(cause).__name__}: {cause}"', "str(error)"),),
    ),
    Changed(
        "06",
        "no word, no apology",
        "got a reply with nothing in it",
        (("if not answer.strip():", "if False:"),),
    ),
    Changed(
        "06",
        "the memory is lost",
        "The memory of the answered messages is lost",
        (
            (
                "        self._reasons.append(reason)\n",
                "        self._reasons.append(reason)\n        self._memory = []\n",
            ),
        ),
    ),
    Changed(
        "06",
        "the failed run is remembered",
        "its tool calls are in the memory, without results",
        (
            (
                "            cause: BaseException",
                "            if isinstance(error, AgentsException) and error.run_data:\n"
                "                for answer in error.run_data.raw_responses:\n"
                "                    self._memory += answer.to_input_items()\n"
                "            cause: BaseException",
            ),
        ),
    ),
    Changed(
        "06",
        "no reason of an answer",
        "one for each message, in their order",
        (('        self._reasons.append("")\n', ""),),
    ),
    Changed(
        "06",
        "ask",
        "imports `ask`, which has all of it ready",
        (
            (
                "from course.lessons.lesson_06",
                "from course.desk.answering import ask\nfrom course.lessons.lesson_06",
            ),
        ),
    ),
    Changed(
        "06",
        "a mistake in its own except",
        "Your code raised: NameError: name 'caus' is not defined (line",
        (("type(cause).__name__", "type(caus).__name__"),),
    ),
]

# A catch-all that lets cancellations pass keeps every promise of the exercise. So do the innermost error's words
# without its class.
OTHER_WAYS = [
    Changed("06", "a catch-all", "", ((CAUGHT, "except Exception as error:"),)),
    Changed("06", "the innermost words alone", "", (('f"{type(cause).__name__}: {cause}"', "str(cause)"),)),
]

# A sample, so that the suite stays short; `make soak` tries every one.
TRIED = WRONG if os.environ.get("SOAK") else WRONG[1:6:2]


async def test_a_starter_that_was_hardly_touched_is_not_yet() -> None:
    cell.exercise("06", exercises.load("06").STARTER + "\n# I have begun\n")
    verdict = await check("06")
    assert verdict.outcome == "not yet"
    assert "was refused by its provider for good" in flat(verdict)
    assert "so it ended the conversation" in flat(verdict)


@pytest.mark.parametrize("other", OTHER_WAYS, ids=lambda other: other.name)
async def test_another_right_answer_passes(other: Changed) -> None:
    cell.exercise("06", other.code())
    verdict = await check("06")
    assert verdict.passed, str(verdict)


@pytest.mark.parametrize("wrong", TRIED, ids=lambda wrong: wrong.name)
async def test_a_wrong_answer_gets_its_own_words(wrong: Changed) -> None:
    cell.exercise("06", wrong.code())
    verdict = await check("06")
    assert not verdict.passed
    assert wrong.words in flat(verdict)


def test_every_wrong_answer_has_words_of_its_own() -> None:
    words = [wrong.words for wrong in WRONG]
    assert len(set(words)) == len(words)
