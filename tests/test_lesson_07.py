"""Lesson 07: what its notebook does not show, or not in all cases."""

import threading
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError

from course import Lab, LabError
from course.checks.talking import replaced_by
from course.desk.activities import Customer
from course.lab import everything
from course.lab.moments import KillAt, Moment
from course.lessons import money, till
from course.lessons.lesson_07 import IntentKeyWorkflow, RandomKeyWorkflow, TakeBackWorkflow
from tests.lab_helpers import scheduled, until_failed


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
    chat, before = await lab.converse(TakeBackWorkflow, "emil"), stock(lab, "Ficus")
    await chat.send("Please refund 60 EUR for order 1083.")
    for step in ("take_out", "put_back"):
        await chat.reset(before=step)
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


AWAY = threading.Event()


@activity.defn(name="issue_refund")
def issue_refund(customer: Customer, refund_id: str, order_id: str, amount_cents: int) -> str:
    if AWAY.is_set():
        raise ConnectionError("The till does not answer.")
    return money.issue_refund(customer, refund_id, order_id, amount_cents)


@pytest.fixture
async def shop() -> AsyncIterator[Lab]:
    """A lab whose till is away as long as `AWAY` is set."""
    AWAY.set()
    async with await Lab.start(activities=replaced_by(issue_refund), ui=False) as lab:
        yield lab


@pytest.mark.parametrize(
    ("euros", "refunds", "moved", "told"),
    [(58, [5800], 2, "is paid"), (60, [], 0, "The shop refused. Order 1043 was paid with 58.00 EUR")],
)
async def test_a_saga_goes_to_its_end_though_nobody_waits_any_more(
    shop: Lab, euros: int, refunds: list[int], moved: int, told: str
) -> None:
    """The customer stops waiting between its steps, and then the workflow is cancelled, too."""
    before, chat = stock(shop, "Ficus"), await shop.converse(TakeBackWorkflow, "ada")
    reply = chat.begin(f"Please refund {euros} EUR for order 1043.")
    await until_failed(chat, "issue_refund")
    assert stock(shop, "Ficus") == before + 2
    await chat.fast_forward(timedelta(minutes=2))
    assert "has not answered" in await reply
    await chat.handle.cancel()
    await chat.activities()
    with pytest.raises(LabError, match="takes no more messages"):
        await chat.send("Hello?")
    AWAY.clear()
    await chat.fast_forward(timedelta(minutes=10))
    with pytest.raises(WorkflowFailureError) as ended:
        await chat.handle.result()
    assert isinstance(ended.value.cause, CancelledError)
    assert paid(shop, "1043") == refunds
    assert stock(shop, "Ficus") == before + moved
    [mail] = shop.inbox().text
    assert told in mail


async def test_the_shop_knows_the_returns_that_it_gave_to_a_customer(lab: Lab) -> None:
    database = lab.world.services.database
    assert [till.order_of_return(database, "ada", f"R-700{n}") for n in (1, 2, 4)] == ["1044", "1045", "1045"]
    assert till.order_of_return(database, "ben", "R-7005") == "1054"
    for customer, number in (("ada", "R-7005"), ("ada", "R-7777"), ("mallory", "R-7001")):
        with pytest.raises(till.ReturnUnknown, match=f"There is no return '{number}'"):
            till.order_of_return(database, customer, number)
