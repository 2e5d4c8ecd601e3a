"""Exercise 08 in three directions, and the deaths that it asks about: they are what really happens."""

import os
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from course import Lab
from course.checks import cell, check, lesson_08, runner
from course.models import ModelEndpoint, OfflineModel
from tests.test_checks import SOLUTIONS, beside_a_notebook, nothing_is_left_behind
from tests.test_checks_lessons import Changed, flat
from tests.tools.deaths import CONVERSATIONS, die, moments_of

__all__ = ["beside_a_notebook", "nothing_is_left_behind"]

runner.warm_up()

SOLUTION = (SOLUTIONS / "lesson_08.py").read_text()


async def test_the_solution_passes() -> None:
    cell.exercise("08", SOLUTION)
    verdict = await check("08")
    assert verdict.passed, str(verdict)
    assert flat(verdict).startswith("Passed: 8 deaths")


async def test_a_starter_that_was_hardly_touched_is_not_yet() -> None:
    cell.exercise("08", lesson_08.STARTER + "\n# a line of mine\n")
    verdict = await check("08")
    assert verdict.outcome == "not yet"
    assert "Look for what was scheduled and not completed" in flat(verdict)


WRONG = [
    Changed(
        "08",
        "all is repeated",
        "what is completed is not done again",
        (("in_hand[0] if", "record[2][1] if"),),
    ),
    Changed("08", "nothing is repeated", "It got a second attempt", (("in_hand[0] if in_hand else ", ""),)),
    Changed(
        "08",
        "the last that was asked for",
        "completed",
        (("            in_hand.remove(name)\n", "            pass\n"), ("in_hand[0]", "in_hand[-1]")),
    ),
    Changed(
        "08",
        "the last that was asked for, if one was in hand",
        "All that is on record of process_batch is completed",
        (
            ("            in_hand.remove(name)\n", "            pass\n"),
            ("in_hand[0] if in_hand", 'in_hand[-1] if mark != "workflow task"'),
        ),
    ),
    Changed(
        "08",
        "the last line decides",
        "send_notification was asked for, and nothing says that it was completed",
        (("in_hand[0] if in_hand", 'record[-1][1] if record[-1][0] == "ActivityTaskScheduled"'),),
    ),
    Changed(
        "08",
        "a call is never paid twice",
        "no key by which its provider",
        (('int(twice and again == "invoke_model_activity")', "0"),),
    ),
    Changed(
        "08",
        "before is paid, too",
        "the provider counts one answer",
        (('"paid_in_vain": int(twice and ', '"paid_in_vain": int('),),
    ),
    Changed(
        "08",
        "nothing is refused",
        "came with the same key, and was refused",
        (("int(twice and again in KEYED)", "0"),),
    ),
    Changed(
        "08",
        "before is refused, too",
        "the second one's was the first",
        (('"repeats_refused": int(twice and ', '"repeats_refused": int('),),
    ),
    Changed(
        "08",
        "a read is refused",
        "nothing that a key could refuse",
        (
            (
                '("save_to_database", "send_notification")',
                '("save_to_database", "send_notification", "look_up_order", "check_stock")',
            ),
        ),
    ),
    Changed(
        "08",
        "a function that takes less",
        "Your code raised: TypeError: predict() takes 1 positional argument but 2 were given",
        (("(record: list[tuple[str, str]], mark: str)", "(record)"), ('mark == "after"', "True")),
    ),
    Changed("08", "no dict", "it returns a dict of again", (("    return {\n", "    return again, {\n"),)),
    Changed(
        "08",
        "an error",
        "Your code raised: KeyError: 'x'",
        (("    in_hand: list", '    {}["x"]\n    in_hand: list'),),
    ),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
async def test_a_wrong_answer_gets_its_own_words(wrong: Changed) -> None:
    cell.exercise("08", wrong.code())
    verdict = await check("08")
    assert not verdict.passed
    assert wrong.words in flat(verdict)


def test_every_kind_of_death_is_asked_about_and_they_vary() -> None:
    seen = set()
    for seed in range(100):
        asked = lesson_08.questions(random.Random(seed))
        assert len(asked) == 8
        seen |= {(death["moment"], death["messages"][-1]) for death in asked}
        assert {lesson_08.mark_of(death) for death in asked} == {"before", "after", "workflow task"}
    assert len(seen) == len(lesson_08.DEATHS) == sum(len(moments_of(one)) for one in CONVERSATIONS)


# The recorded deaths


@pytest.fixture(scope="module")
async def provider() -> AsyncIterator[ModelEndpoint]:
    with ModelEndpoint(OfflineModel()) as provider:
        yield provider


@pytest.fixture
async def lab(provider: ModelEndpoint, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lab]:
    monkeypatch.setenv("OPENAI_BASE_URL", provider.url)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    async with await Lab.start(model="offline-model", ui=False) as lab:
        yield lab


# One of each conversation, so that the suite stays short; `make soak` dies every death.
DIED = lesson_08.DEATHS if os.environ.get("SOAK") else lesson_08.DEATHS[5::13]


@pytest.mark.parametrize("death", DIED, ids=lambda death: f"{death['moment']}, {death['messages'][-1]}")
async def test_a_recorded_death_is_died_again(
    lab: Lab, provider: ModelEndpoint, death: dict[str, Any]
) -> None:
    assert await die(lab, provider, death["messages"], death["moment"]) == death
