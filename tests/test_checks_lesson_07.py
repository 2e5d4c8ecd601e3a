"""Exercise 07: the starter is not yet, the number alone is a key too, and each wrong key gets its own words."""

import os

import pytest

from course.checks import cell, check, exercises, runner
from tests.test_checks import beside_a_notebook, nothing_is_left_behind
from tests.test_checks_lessons import Changed, flat

__all__ = ["beside_a_notebook", "nothing_is_left_behind"]

runner.warm_up()

KEY = 'f"return-{return_number}"'
GIVES_UP = (
    "**PAYMENT\n",
    "start_to_close_timeout=PAYMENT['start_to_close_timeout'], retry_policy=RetryPolicy(maximum_attempts=1)\n",
)
RETRY = (
    "from temporalio import workflow\n",
    "from temporalio import workflow\nfrom temporalio.common import RetryPolicy\n",
)


def with_key(name: str, words: str, key: str) -> Changed:
    return Changed("07", name, words, ((KEY, key),))


WRONG = [
    with_key("random", "made the same call twice in one answer", "str(workflow.uuid4())"),
    with_key("turn", "called the tool for the same case again", "self.key"),
    with_key("turn and case", "called the tool for the same case again", 'f"{self.key}/{return_number}"'),
    with_key("run", "An operator reset the conversation", 'f"{workflow.info().run_id}/{return_number}"'),
    with_key("conversation", "in a new conversation", 'f"{workflow.info().workflow_id}/{return_number}"'),
    with_key("order", "so the shop refused it", 'f"order-{order_id}"'),
    with_key("case and amount", "with another amount, and it was paid", 'f"{return_number}-{amount_cents}"'),
    with_key("order and amount", "at the same price", 'f"{order_id}-{amount_cents}"'),
    Changed("07", "no second attempt", "Nobody tried again", (GIVES_UP, RETRY)),
    Changed(
        "07",
        "amount for order",
        "not paid as asked",
        (("order_id, amount_cents]", "return_number, amount_cents]"),),
    ),
]


async def test_another_right_answer_passes() -> None:
    cell.exercise(
        "07",
        exercises.load("07")
        .STARTER.replace("TODO", "done")
        .replace(
            'return "Not yet."',
            "return await workflow.execute_activity(money.issue_refund, args=[return_number, order_id, amount_cents], **PAYMENT)",
        ),
    )
    verdict = await check("07")
    assert verdict.passed, str(verdict)


async def test_a_starter_that_was_hardly_touched_is_not_yet() -> None:
    cell.exercise("07", exercises.load("07").STARTER + "\n# I have begun\n")
    verdict = await check("07")
    assert verdict.outcome == "not yet"
    assert "your tool has not run issue_refund. It handed the model: “Not yet.”" in flat(verdict)


# A sample, so that the suite stays short; with SOAK=1 every one.
TRIED = WRONG if os.environ.get("SOAK") else WRONG[1::3]


@pytest.mark.parametrize("wrong", TRIED, ids=lambda wrong: wrong.name)
async def test_a_wrong_key_gets_its_own_words(wrong: Changed) -> None:
    cell.exercise("07", wrong.code())
    verdict = await check("07")
    assert verdict.outcome == "not yet", str(verdict)
    assert wrong.words in flat(verdict)
