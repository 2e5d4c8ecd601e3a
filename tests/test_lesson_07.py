"""Lesson 07: what its notebook does not show, or not in all cases."""

from collections import Counter
from typing import Any

import pytest

from course import Lab, LabError
from course.lab import everything
from course.lab.moments import KillAt, Moment
from course.lessons.lesson_07 import IntentKeyWorkflow, RandomKeyWorkflow, SagaWorkflow
from tests.lab_helpers import scheduled


def stock(lab: Lab, plant: str) -> int:
    table = lab.table("stock")
    return int(table[table.plant == plant].quantity.item())


def paid(lab: Lab, order: str) -> list[int]:
    table = lab.table("refunds")
    return table[table.order_id == order].amount_cents.tolist()


async def test_a_reset_goes_back_behind_an_activity_and_keeps_the_messages_after_it(lab: Lab) -> None:
    chat = await lab.converse(RandomKeyWorkflow, "ada")
    await chat.send("Hello!")
    await chat.send("Please refund 5 EUR for order 1042.")
    await chat.send("Thanks!")
    before, run, calls = await chat.history(), (await chat.handle.describe()).run_id, lab.model.calls
    await chat.reset(before="refund_by_random_key")
    await chat.activities()
    after = await chat.history()
    assert (await chat.handle.describe()).run_id != run
    assert scheduled(after) == scheduled(before)
    assert paid(lab, "1042") == [500, 500]
    assert lab.model.calls == calls + 2  # of four; what lies before the point is not asked again
    assert "Welcome" in await chat.send("Hello!")


async def test_there_is_no_way_back_behind_what_never_was(lab: Lab) -> None:
    chat = await lab.converse(IntentKeyWorkflow, "ada")
    with pytest.raises(LabError, match="has no activity 'issue_refund' on record"):
        await chat.reset(before="issue_refund")


def test_what_came_to_its_moment_waits_there() -> None:
    deaths: list[str] = []
    kill = KillAt([Moment("after a", 1), Moment("before b", 1)], lambda: deaths.append("died"))
    assert not kill.passes("before a", "first")
    assert kill.passes("after a", "first")
    assert not kill.passes("after a", "second")
    assert not deaths
    kill.passes("before b", "first")
    assert deaths == ["died"]


def test_a_moment_that_is_named_twice_is_the_next_one() -> None:
    assert Moment.read_all(["after issue_refund"] * 2, everything.activities()) == [
        Moment("after issue_refund", 1),
        Moment("after issue_refund", 2),
    ]


async def test_a_saga_that_is_reset_undoes_once_and_may_be_tried_again(lab: Lab) -> None:
    chat, before = await lab.converse(SagaWorkflow, "emil"), stock(lab, "Ficus")
    await chat.send("Please refund 60 EUR for order 1083.")
    for activity in ("take_out", "put_back"):
        await chat.reset(before=activity)
        await chat.activities()
        assert stock(lab, "Ficus") == before
    assert Counter(scheduled(await chat.history())) >= Counter(["put_back", "issue_refund", "take_out"])
    assert paid(lab, "1083") == []
    for _ in range(2):
        assert "is paid" in await chat.send("Please refund 58 EUR for order 1083.")
    assert stock(lab, "Ficus") == before + 2
    assert paid(lab, "1083") == [5800]
    late: Any = await chat.send("Please refund 57 EUR for order 1083.")
    assert "already paid, with other details" in late
    assert stock(lab, "Ficus") == before + 2
