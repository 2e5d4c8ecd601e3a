"""The desk's services and the activities over them: effects happen once, and what is refused is refused for good."""

import base64
import smtplib
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from course.desk import activities
from course.desk.activities import Customer
from course.desk.services import Database, KeyReused, Mail, Refused, Services, Shop, Webhook, _current
from course.desk.services.database import turns
from course.desk.services.insight import learn_from
from course.desk.services.report import write_report
from course.lab.receivers import Mailbox, WebhookReceiver
from course.lessons import money, records, stock, till

ADA = Customer("ada")


@dataclass(frozen=True)
class Received(Services):
    mailbox: Mailbox
    receiver: WebhookReceiver


@pytest.fixture
async def services(database_url: str, tmp_path: Path) -> AsyncIterator[Received]:
    kept, mailbox, receiver = Database(database_url), Mailbox(), WebhookReceiver()
    kept.create()
    shop = Shop(kept)
    shop.open()
    await mailbox.start()
    mail, webhook = Mail("127.0.0.1", mailbox.port), Webhook(receiver.url)
    services = Received(kept, shop, mail, webhook, tmp_path, mailbox, receiver)
    token = _current.set(services)
    yield services
    _current.reset(token)
    receiver.stop()
    await mailbox.stop()
    kept.close()


# Rows


async def test_the_same_key_is_one_row(services: Received) -> None:
    assert services.database.insert_once(turns, {"task_id": "a", "turn": 1, "message": "hello"})
    assert not services.database.insert_once(turns, {"task_id": "a", "turn": 1, "message": "hello"})
    with pytest.raises(KeyReused, match="already holds 'a' with another message. Nothing was changed"):
        services.database.insert_once(turns, {"task_id": "a", "turn": 1, "message": "good bye"})
    assert [row["message"] for row in services.database.rows("turns")] == ["hello"]


async def test_the_same_row_at_another_time_is_the_same_row(services: Received) -> None:
    """What a workflow writes that was reset: it knows neither the row nor the moment."""
    first = {"at": "2026-11-02T10:00:00", "asked_at": "2026-11-02T09:59:59.000"}
    row = {"task_id": "ada-1/turn-1", "message": "Hello!", "details": first}
    assert services.database.insert_once(turns, row)
    later = {"at": "2026-11-02T10:07:00", "asked_at": "2026-11-02T10:06:59.000"}
    assert not services.database.insert_once(turns, {**row, "details": later})
    with pytest.raises(KeyReused, match="with another details"):
        services.database.insert_once(turns, {**row, "details": {**later, "by": "mail"}})
    assert services.database.rows("turns")[0]["details"] == first


async def test_nul_is_kept_as_every_database_can(services: Received) -> None:
    row = {"task_id": "a", "message": "half\0half"}
    assert services.database.insert_once(turns, row)
    assert not services.database.insert_once(turns, row)
    assert services.database.rows(turns)[0]["message"] == "half\N{REPLACEMENT CHARACTER}half"


async def test_what_no_column_can_hold_is_refused_and_not_retried(services: Received) -> None:
    with pytest.raises(Refused, match="cannot hold this row of turns"):
        services.database.insert_once(turns, {"task_id": "a", "turn": 10**30})
    assert services.database.rows("turns") == []


async def test_the_same_refund_twice_at_once_is_paid_once(services: Received) -> None:
    """Two calls of a model run side by side: the second may come between the first one's look and its payment."""
    with ThreadPoolExecutor(8) as threads:
        paid = list(threads.map(lambda _: till.refund(services.database, "ada", "r", "1042", 100), range(8)))
    assert set(paid) == {"Refund r of 1.00 EUR for order 1042 is paid."}
    assert len(services.database.rows("refunds")) == 1


async def test_plants_are_moved_once_and_only_those_that_are_here(services: Received) -> None:
    for _ in range(2):
        assert stock.put_back(services.database, "ada", "back", "1043") == "2 × Ficus put back."
    assert services.shop.stock("Ficus") == "Ficus: 14 in stock, 29.00 EUR each."
    for _ in range(2):
        assert stock.take_out(services.database, "ada", "out", "1043") == "2 × Ficus taken out."
    assert services.shop.stock("Ficus") == "Ficus: 12 in stock, 29.00 EUR each."
    with pytest.raises(KeyReused, match="already holds 'back' with another quantity"):
        stock.take_out(services.database, "ada", "back", "1043")
    with pytest.raises(stock.StockRefused, match="Order 1042 is shipped: its plants cannot be put back"):
        stock.put_back(services.database, "ada", "other", "1042")
    with pytest.raises(stock.StockRefused, match="There are too few Calathea in stock. Nothing was moved"):
        stock.take_out(services.database, "ada", "other", "1044")
    with pytest.raises(stock.StockRefused, match="There is no order '9999'"):
        stock.put_back(services.database, "ada", "other", "9999")
    assert [row["quantity"] for row in services.database.rows("stock_moves")] == [2, -2]


# Activities


async def run(activity: Any, *args: Any) -> Any:
    """As a worker runs a sync activity: on a thread, in a copy of the context."""
    return await anyio.to_thread.run_sync(lambda: ActivityEnvironment().run(activity, *args))


async def test_a_mail_and_a_post_with_the_same_key_are_delivered_once(services: Received) -> None:
    for _ in range(2):
        assert await run(activities.send_notification, "a/turn-1", "Hello", "email") == "sent by email"
        assert await run(activities.send_notification, "a/turn-1", "Hello", "webhook") == "sent by webhook"
    assert await run(activities.send_notification, "a/turn-2", "Hello", "email") == "sent by email"
    assert [mail["text"] for mail in services.mailbox.mails] == ["Hello", "Hello"]
    assert services.mailbox.repeats == 1
    assert services.receiver.posts == [{"text": "Hello"}]
    assert services.receiver.repeats == 1


@pytest.mark.parametrize(("reply", "for_good"), [("552 Too big", True), ("452 Full", False)])
async def test_a_mail_that_is_refused_as_a_whole(
    services: Received, monkeypatch: pytest.MonkeyPatch, reply: str, for_good: bool
) -> None:
    async def refuse(*_: Any) -> str:
        return reply

    monkeypatch.setattr(services.mailbox, "handle_DATA", refuse)
    with pytest.raises(ApplicationError if for_good else smtplib.SMTPDataError, match=reply[4:]) as error:
        await run(activities.send_notification, "a/turn-1", "Hello", "email")
    assert getattr(error.value, "non_retryable", False) == for_good


def test_a_saved_turn_has_a_field_for_each_column() -> None:
    """What `TurnRecord` does not name is dropped on the way, and the column stays empty."""
    assert {*turns.columns.keys()} <= {*activities.TurnRecord.__annotations__, "task_id", "details"}


async def test_an_unknown_channel_is_refused_for_good(services: Received) -> None:
    with pytest.raises(
        ApplicationError, match=r"no channel 'pigeon': choose 'email' or 'webhook'. Nobody was"
    ) as e:
        await run(activities.send_notification, "a/turn-1", "Hello", "pigeon")
    assert e.value.non_retryable
    assert services.mailbox.mails == services.receiver.posts == []


async def test_services_that_are_not_there_raise_what_is_retried(services: Received) -> None:
    await services.mailbox.stop()
    services.receiver.stop()
    for channel in ("email", "webhook"):
        with pytest.raises(Exception) as e:  # noqa: PT011
            await run(activities.send_notification, "a/turn-1", "Hello", channel)
        assert not isinstance(e.value, ApplicationError)


@pytest.mark.parametrize(
    ("activity", "first", "changed", "table"),
    [
        (activities.save_to_database, ["k", {"message": "a", "turn": 1}], ["k", {"message": "b", "turn": 1}], "turns"),
        (activities.save_to_database, ["k", {"mood": "glad"}], ["k", {"mood": "sad"}], "turns"),
        # As a model may write it, whose tool it is: what is only counted does not fail what was done.
        (activities.save_to_database, ["k", {"asked_at": "soon"}], ["k", {"asked_at": "", "mood": "sad"}], "turns"),
        (records.record_tool_call, ["k", "t", "{}"], ["k", "t", '{"a": 1}'], "tool_calls"),
        (activities.process_batch, ["k", ["order 1042?"], 1], ["k", ["order 1043?"], 1], "batches"),
        (activities.generate_report, ["k", {"turns": []}], ["k", {"turns": [{"turn": 1}]}], "reports"),
        (money.issue_refund, [ADA, "k", "1042", 100], [ADA, "k", "1042", 200], "refunds"),
        (money.issue_refund, [ADA, "k", "1042", 100], [ADA, "k", "1043", 100], "refunds"),
        (money.put_back, [ADA, "k", "1043"], [ADA, "k", "1046"], "stock_moves"),
    ],
)  # fmt: skip
async def test_the_same_key_once_and_changed_content_refused(
    services: Received, activity: Any, first: list[Any], changed: list[Any], table: str
) -> None:
    await run(activity, *first)
    [kept] = services.database.rows(table)
    await run(activity, *first)
    with pytest.raises(ApplicationError, match="already") as refused:
        await run(activity, *changed)
    assert (refused.value.type, refused.value.non_retryable) == ("KeyReused", True)
    assert services.database.rows(table) == [kept]


@pytest.mark.parametrize(
    ("order", "amount", "says"),
    [
        ("1042", 3401, "was paid with 34.00 EUR; refunds of 34.01 EUR would be more. Nothing was paid"),
        ("9999", 100, "There is no order '9999', so nothing was refunded"),
        ("1042", 0, "makes no sense. Nothing was paid"),
        ("1042", -5, "makes no sense. Nothing was paid"),
        ("1042", 10**30, "makes no sense. Nothing was paid"),
        ("'; DROP TABLE refunds;--", 5, "There is no order"),
    ],
)
async def test_a_refund_that_the_rules_refuse(services: Received, order: str, amount: int, says: str) -> None:
    with pytest.raises(ApplicationError, match=says) as refused:
        await run(money.issue_refund, ADA, "r-1", order, amount)
    assert (refused.value.type, refused.value.non_retryable) == ("RefundRefused", True)
    assert services.database.rows("refunds") == []


async def test_refunds_of_one_order_never_exceed_what_was_paid(services: Received) -> None:
    assert "of 20.00 EUR for order 1042 is paid" in await run(money.issue_refund, ADA, "r-1", "1042", 2000)
    with pytest.raises(ApplicationError, match="would be more"):
        await run(money.issue_refund, ADA, "r-2", "1042", 1401)
    await run(money.issue_refund, ADA, "r-3", "1042", 1400)
    results: list[str] = []

    async def pay(number: int) -> None:
        try:
            results.append(await run(money.issue_refund, ADA, f"p-{number}", "1045", 2700))
        except ApplicationError as error:
            assert "would be more" in str(error)  # noqa: PT017

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(pay, number)
    assert len(results) == 1
    assert sum(row["amount_cents"] for row in services.database.rows("refunds")) == 3400 + 2700


async def test_anothers_order_is_told_of_as_one_that_is_missing(services: Received) -> None:
    fay = Customer("fay")
    paid, moved = ("order-1043", "1043", 100), ("order-1043/back", "1043")
    await run(money.issue_refund, ADA, *paid)
    await run(money.put_back, ADA, *moved)
    before = [services.database.rows(name) for name in ("refunds", "stock_moves", "stock")]
    assert await run(activities.look_up_order, fay, "1043") == "There is no order '1043'."
    # Also what was done before, under the very same key: a repeat of ada's is no news for fay.
    for activity, arguments, says in (
        (money.issue_refund, paid, "There is no order '1043', so nothing was refunded."),
        (
            money.issue_refund,
            ("order-1043", "1043", 200),
            "There is no order '1043', so nothing was refunded.",
        ),
        (money.put_back, moved, "There is no order '1043', so no plant was moved."),
        (money.take_out, moved, "There is no order '1043', so no plant was moved."),
    ):
        with pytest.raises(ApplicationError) as refused:
            await run(activity, fay, *arguments)
        assert (str(refused.value.message), refused.value.non_retryable) == (says, True)
    assert [services.database.rows(name) for name in ("refunds", "stock_moves", "stock")] == before


async def test_orders_and_stock(services: Received) -> None:
    assert (
        await run(activities.look_up_order, ADA, "1043") == "Order 1043: 2 × Ficus, 58.00 EUR, being packed."
    )
    assert await run(activities.look_up_order, ADA, "1") == "There is no order '1'."
    assert await run(activities.check_stock, " monstera ") == "Monstera: 4 in stock, 34.00 EUR each."
    assert await run(activities.check_stock, "Calathea") == "Calathea is sold out."
    assert await run(activities.check_stock, "%") == "Juniper does not sell '%'."


async def test_a_batch_says_something_worth_having(services: Received) -> None:
    messages = ["Where is order 1042?", "Is my parcel 1043 lost? Order 1042 came.", "Water?"]
    learned = await run(activities.process_batch, "k", messages, 4)
    assert learned == {
        "batch_num": 4, "messages": 3, "questions": 3, "topics": ["order", "care"], "orders": ["1042", "1043"],
    }  # fmt: skip
    [row] = services.database.rows("batches")
    assert (row["batch_num"], row["topics"], row["orders"]) == (4, "order, care", "1042, 1043")
    assert learn_from([]) == {"messages": 0, "questions": 0, "topics": [], "orders": []}


async def test_a_weeks_report_and_the_cleanup(services: Received) -> None:
    for day, conversation, outcome in (
        (2, "ada-1", "answered"),
        (8, "ada-1", "failed"),
        (9, "ben-1", "answered"),
    ):
        at = {"at": f"2026-11-{day:02}T10:00:00+00:00"}
        key = f"{conversation}/turn-{day}"
        row = {"conversation": conversation, "turn": day, "message": "Hello!", "outcome": outcome, **at}
        await run(activities.save_to_database, key, row)
    await run(activities.generate_report, "ada-1", {"turns": []})
    await run(activities.process_batch, "ada-1/turn-3", ["Where is order 1042?"], 1)
    for _ in range(2):
        file = await run(activities.write_weekly_report, "2026-11-02")
        counted = [row for row in services.database.rows("reports") if row["task_id"] == "week-2026-11-02"]
        assert [(row["turns"], row["answered"]) for row in counted] == [(2, 1)]
        assert "<td>ada-1</td><td>2</td><td>1</td>" in (services.reports / file).read_text()
    await run(
        activities.save_to_database, "cleo-1/turn-1", {"conversation": "cleo-1", **at, "at": "2026-11-03"}
    )
    await run(activities.write_weekly_report, "2026-11-02")
    counted = [row for row in services.database.rows("reports") if row["task_id"] == "week-2026-11-02"]
    assert [(row["turns"], row["answered"]) for row in counted] == [(3, 1)]
    for _ in range(2):
        assert await run(activities.forget_words, "2026-11-08") == 2
        assert await run(activities.delete_reports, "2026-11-08") == 1
    words = {row["task_id"]: row["message"] for row in services.database.rows("turns")}
    assert words == {
        "ada-1/turn-2": None,
        "ada-1/turn-8": "Hello!",
        "ben-1/turn-9": "Hello!",
        "cleo-1/turn-1": None,
    }
    assert [path.name for path in services.reports.glob("ada*.html")] == []
    # What the cleanup leaves of ada-1, who asks to be forgotten.
    assert "<td>ada-1</td>" in (services.reports / file).read_text()
    assert "ada-1" in {row["conversation"] for row in services.database.rows("turns") if not row["message"]}
    [batch] = services.database.rows("batches")
    assert (batch["task_id"], batch["topics"], batch["orders"]) == ("ada-1/turn-3", "order", "1042")


def test_a_report_is_escaped_and_opens(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script><img src=x onerror=alert(1)>&\0\ud800"
    turns = [{"turn": 1, "message": evil, "answer": evil, "outcome": "answered"}]
    file = write_report(tmp_path, "../../etc/<b>", {"customer": evil, "turns": turns})
    assert file.parent == tmp_path
    page = file.read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<img src=x" not in page
    assert page.count("&lt;script&gt;") == 4  # title, heading, message, answer
    assert page.count("<table>") == page.count("<img ") == 1
    picture = base64.b64decode(page.split("data:image/png;base64,")[1].split('"')[0])
    assert picture.startswith(b"\x89PNG")
    assert write_report(tmp_path, "../../etc/<b>", {"turns": []}) == file
    assert len(list(tmp_path.iterdir())) == 1  # and no draft is left


async def test_an_activity_without_its_services_says_what_is_missing() -> None:
    with pytest.raises(RuntimeError, match=r"interceptors=\[ServicesInterceptor"):
        ActivityEnvironment().run(activities.look_up_order, ADA, "1042")


CANCELLED = """
import contextvars, sys, threading
from pathlib import Path
from temporalio.testing import ActivityEnvironment
from course.desk import activities, services
from course.desk.services import Database, Services

database = Database("sqlite:///desk.db")
database.create()
services._current.set(Services(database, None, None, None, Path(".")))
report = ("k", {"customer": "ada", "turns": []})
first, here = ActivityEnvironment(), contextvars.copy_context()
thread = threading.Thread(target=here.run, args=(first.run, activities.generate_report, *report))
thread.start()
while "matplotlib.rcsetup" not in sys.modules:
    pass
first.cancel()
thread.join()
print(ActivityEnvironment().run(activities.generate_report, *report))
"""


def test_a_report_that_is_cancelled_while_it_imports_spoils_no_other(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CANCELLED], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.startswith("k-"), done.stderr
