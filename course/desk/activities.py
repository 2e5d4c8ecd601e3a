"""The business operations. Each is a Temporal activity with a real effect.

An activity runs at least once: its worker can die after the effect and before the report. So each effect
carries a key that names the intent (`task_id`: workflow id, turn; the step is the activity itself), and
the service refuses a repeat. They are sync functions: they block on I/O, and the worker runs them on
threads.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from course.desk.services import Refused, current_services, database
from course.desk.telemetry import count_turn


@dataclass(frozen=True)
class Customer:
    """Whom a conversation serves. Its workflow says so, never the model: `tools.py`."""

    name: str


class TurnRecord(TypedDict, total=False):
    """One turn of a conversation, as it is kept."""

    conversation: str
    turn: int
    customer: str
    message: str
    answer: str
    outcome: str
    at: str
    """When, in ISO 8601 (UTC): what the weekly report and the cleanup go by."""
    asked_at: str
    """When the message came: the customer has waited since then."""


@contextmanager
def refusals_are_final() -> Iterator[None]:
    """What a service refuses for good, it would refuse again: tells Temporal not to retry it."""
    try:
        yield
    except Refused as error:
        kind = type(error).__name__
        raise ApplicationError(str(error), type=kind, non_retryable=True) from error


@activity.defn
def save_to_database(task_id: str, data: TurnRecord) -> str:
    """Keep the record of one turn.

    Args:
        task_id: The key of the record. The same key twice is one row.
        data: What to keep. Fields that the table does not know go to its `details`.
    """
    columns = database.turns.columns.keys()
    row: dict[str, Any] = {name: value for name, value in data.items() if name in columns}
    details = {name: value for name, value in data.items() if name not in columns}
    row |= {"task_id": task_id, "details": details or None}
    with refusals_are_final():
        new = current_services().database.insert_once(database.turns, row)
    if new:
        count_turn(data.get("outcome", ""), data.get("asked_at", ""))
    return "saved" if new else "already saved"


@activity.defn
def send_notification(task_id: str, message: str, channel: str = "email") -> str:
    """Tell Juniper's team what happened.

    Args:
        task_id: The key of the notice. The same key twice is delivered once.
        message: The text of the notice.
        channel: `email` or `webhook`.
    """
    services = current_services()
    if channel not in ("email", "webhook"):
        raise ApplicationError(
            f"There is no channel {channel!r}: choose 'email' or 'webhook'. Nobody was told.",
            type="UnknownChannel",
            non_retryable=True,
        )
    with refusals_are_final():
        if channel == "email":
            services.mail.send(f"{task_id}/email", subject=message, text=message)
        else:
            services.webhook.post(f"{task_id}/webhook", text=message)
    return f"sent by {channel}"


@activity.defn
def process_batch(task_id: str, items: list[str], batch_num: int) -> dict[str, Any]:
    """Learn from a batch of messages: what were they about, which orders, how many questions?

    Args:
        task_id: The key of the batch.
        items: The customers' messages.
        batch_num: The number of the batch in its conversation, from 1.
    """
    from course.desk.services.insight import learn_from

    learned = learn_from(items)
    lists = {name: ", ".join(learned[name]) for name in ("topics", "orders")}
    row = {**learned, **lists, "task_id": task_id, "batch_num": batch_num}
    with refusals_are_final():
        current_services().database.insert_once(database.batches, row)
    return {"batch_num": batch_num, **learned}


# Cancelled in its thread it might leave a half imported Matplotlib, and no report would succeed any more.
@activity.defn(no_thread_cancel_exception=True)
def generate_report(task_id: str, summary_data: dict[str, Any]) -> str:
    """Write the report of a conversation: an HTML file with a table and a figure. Returns the file's name.

    Args:
        task_id: The key of the report. The same key writes the same file.
        summary_data: `customer`, and `turns`: a list of `TurnRecord`. Of a long conversation these are the
            last, and `totals` (`turns`, `answered`) counts all of them.
    """
    from course.desk.services.report import totals, write_report

    services = current_services()
    file = write_report(services.reports, task_id, summary_data)
    row = {"task_id": task_id, **totals(summary_data), "file": file.name}
    with refusals_are_final():
        services.database.insert_once(database.reports, row)
    return file.name


@activity.defn(no_thread_cancel_exception=True)
def write_weekly_report(week: str) -> str:
    """Write the report of one week: an HTML file with numbers and no words. Returns the file's name.

    Args:
        week: Its Monday, such as 2026-11-16. It is the key: the same week writes the same file, and counts
            the turns that have been saved meanwhile.
    """
    from course.desk.services.report import (
        keep_weekly_row,
        report_name,
        write_weekly_report,
    )

    services, monday = current_services(), date.fromisoformat(week)
    counts = services.database.turns_between(monday, monday + timedelta(days=7))
    task_id = f"week-{week}"
    row = {
        "task_id": task_id,
        "turns": sum(count["messages"] for count in counts),
        "answered": sum(count["answered"] for count in counts),
        "file": report_name(task_id),
    }
    with refusals_are_final():  # before the file: a refusal leaves that as it is
        keep_weekly_row(services.database, row)
    write_weekly_report(services.reports, task_id, f"Week from {week}", counts)
    return row["file"]


@activity.defn
def forget_words(before: str) -> int:
    """Blank who wrote what before a day. That a turn was, when, and what became of it, stays.

    Args:
        before: The day, such as 2026-11-16. Returns how many turns before it are blank now.
    """
    return current_services().database.forget_words(date.fromisoformat(before))


@activity.defn
def delete_reports(before: str) -> int:
    """Delete the report files that hold words from before a day. Their rows in `reports` stay.

    Args:
        before: The day, such as 2026-11-16. Returns how many such reports there were.
    """
    services = current_services()
    files = services.database.reports_about(date.fromisoformat(before))
    for file in files:
        (services.reports / file).unlink(missing_ok=True)
    return len(files)


@activity.defn
def look_up_order(customer: Customer, order_id: str) -> str:
    """Look up an order of the shop: what, how many, paid, and its state.

    Args:
        customer: Who asks. Another's order is told of as one that does not exist.
        order_id: The order's number, such as 1042.
    """
    return current_services().shop.order(customer.name, order_id)


@activity.defn
def check_stock(plant: str) -> str:
    """Check how many of a plant are in stock, and its price.

    Args:
        plant: The plant's name, such as Monstera.
    """
    return current_services().shop.stock(plant)
