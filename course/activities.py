"""The business operations. Each is a Temporal activity with a real effect.

An activity runs at least once: its worker can die after the effect and before the report. So each effect
carries a key that names the intent (`task_id`: workflow id, turn; the step is the activity itself), and
the service refuses a repeat. They are sync functions: they block on I/O, and the worker runs them on
threads.
"""

import threading
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

from temporalio import activity
from temporalio.exceptions import ApplicationError
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from course.services import Refused, current_services, database


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


class MoveRecord(TypedDict):
    """One move of a ticket that somebody asked for."""

    ticket: str
    from_state: str
    to_state: str
    by: str
    outcome: str  # `moved` or `refused`


class DecisionRecord(TypedDict):
    """Who decided about a refund, when and why. Times are ISO 8601, by the workflow's clock."""

    customer: str
    order_id: str
    amount_cents: int
    decision: str
    decided_by: str
    reason: str
    asked_at: str
    decided_at: str


def refused(error: Exception) -> ApplicationError:
    """An error that the same attempt would only meet again: Temporal is told not to retry it."""
    return ApplicationError(str(error), type=type(error).__name__, non_retryable=True)


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
    try:
        new = current_services().database.insert_once(
            database.turns, {**row, "task_id": task_id, "details": details or None}
        )
    except Refused as error:
        raise refused(error) from error
    return "saved" if new else "already saved"


@activity.defn
def record_tool_call(task_id: str, tool: str, arguments: str) -> str:
    """Keep an audit row of one tool call.

    Args:
        task_id: The key of the row: the turn, and the id of the call.
        tool: The tool that the model called.
        arguments: With what, as JSON text.
    """
    row = {"task_id": task_id, "tool": tool, "arguments": arguments}
    try:
        new = current_services().database.insert_once(database.tool_calls, row)
    except Refused as error:
        raise refused(error) from error
    return "recorded" if new else "already recorded"


@activity.defn
def record_move(task_id: str, move: MoveRecord) -> str:
    """Keep one move of a ticket, permitted or refused.

    Args:
        task_id: The key of the move: the ticket, and the move's number.
        move: From where to where, by whom, and what became of it.
    """
    try:
        new = current_services().database.insert_once(database.moves, {"task_id": task_id, **move})
    except Refused as error:
        raise refused(error) from error
    return "recorded" if new else "already recorded"


@activity.defn
def record_decision(task_id: str, data: DecisionRecord) -> str:
    """Keep who decided about a refund, when and why.

    Args:
        task_id: The refund's number. A second, other decision under it is refused.
        data: The decision.
    """
    try:
        new = current_services().database.insert_once(database.decisions, {"task_id": task_id, **data})
    except Refused as error:
        raise refused(error) from error
    return "recorded" if new else "already recorded"


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
    try:
        if channel == "email":
            services.mail.send(f"{task_id}/email", subject=message, text=message)
        else:
            services.webhook.post(f"{task_id}/webhook", text=message)
    except Refused as error:
        raise refused(error) from error
    return f"sent by {channel}"


@activity.defn
def process_batch(task_id: str, items: list[str], batch_num: int) -> dict[str, Any]:
    """Learn from a batch of messages: what were they about, which orders, how many questions?

    Args:
        task_id: The key of the batch.
        items: The customers' messages.
        batch_num: The number of the batch in its conversation, from 1.
    """
    from course.services.insight import learn_from

    learned = learn_from(items)
    row = {**learned, "topics": ", ".join(learned["topics"]), "orders": ", ".join(learned["orders"])}
    try:
        current_services().database.insert_once(
            database.batches, {"task_id": task_id, "batch_num": batch_num, **row}
        )
    except Refused as error:
        raise refused(error) from error
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
    from course.services.report import totals, write_report

    services = current_services()
    file = write_report(services.reports, task_id, summary_data)
    counted = totals(summary_data)
    try:
        services.database.insert_once(
            database.reports,
            {"task_id": task_id, **counted, "file": file.name},
        )
    except Refused as error:
        raise refused(error) from error
    return file.name


@activity.defn(no_thread_cancel_exception=True)
def write_weekly_report(week: str) -> str:
    """Write the report of one week: an HTML file with numbers and no words. Returns the file's name.

    Args:
        week: Its Monday, such as 2026-11-16. It is the key: the same week writes the same file, and counts
            the turns that have been saved meanwhile.
    """
    from course.services.report import keep_weekly_row, report_name, write_weekly_report

    services, monday = current_services(), date.fromisoformat(week)
    counts = services.database.turns_between(monday, monday + timedelta(days=7))
    task_id = f"week-{week}"
    row = {
        "task_id": task_id,
        "turns": sum(count["messages"] for count in counts),
        "answered": sum(count["answered"] for count in counts),
        "file": report_name(task_id),
    }
    try:
        keep_weekly_row(services.database, row)  # before the file: a refusal leaves that as it is
    except Refused as error:
        raise refused(error) from error
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
def look_up_order(order_id: str) -> str:
    """Look up an order of the shop: what, how many, paid, and its state.

    Args:
        order_id: The order's number, such as 1042.
    """
    return current_services().shop.order(order_id)


@activity.defn
def check_stock(plant: str) -> str:
    """Check how many of a plant are in stock, and its price.

    Args:
        plant: The plant's name, such as Monstera.
    """
    return current_services().shop.stock(plant)


@activity.defn
def issue_refund(refund_id: str, order_id: str, amount_cents: int) -> str:
    """Pay money back for an order.

    Args:
        refund_id: The refund's own number: the same number twice is paid once.
        order_id: The order's number, such as 1042.
        amount_cents: How much, in cents.
    """
    try:
        return current_services().shop.refund(refund_id, order_id, amount_cents)
    except Refused as error:
        raise refused(error) from error


@activity.defn
def put_back(task_id: str, order_id: str) -> str:
    """Put the plants of an order back into stock. Only plants that have not left the house can be.

    Args:
        task_id: The key of the move: the same key twice is one move.
        order_id: The order's number, such as 1042.
    """
    try:
        return current_services().shop.put_back(task_id, order_id)
    except Refused as error:
        raise refused(error) from error


@activity.defn
def take_out(task_id: str, order_id: str) -> str:
    """Take the plants of an order out of stock.

    Args:
        task_id: The key of the move: the same key twice is one move.
        order_id: The order's number, such as 1042.
    """
    try:
        return current_services().shop.take_out(task_id, order_id)
    except Refused as error:
        raise refused(error) from error


# Lesson 07, the naive ways: a key that is made here names the attempt, or the run.


@activity.defn
def naive_random_key(order_id: str, amount_cents: int) -> str:
    """Pay money back for an order, under a key that no second attempt will find again."""
    return issue_refund(str(uuid4()), order_id, amount_cents)


@activity.defn
def naive_run_key(order_id: str, amount_cents: int) -> str:
    """Pay money back for an order, under a key that every attempt of this activity finds again."""
    info = activity.info()
    key = f"{info.workflow_run_id}/{info.activity_id}"
    return issue_refund(key, order_id, amount_cents)


# Lesson 13, the naive ways: a deadline that lives in a process, and one that a job reads off the table.

NAIVE_DELAY = timedelta(seconds=2)
"""A day would be right. Nobody could wait for it, in a lesson or in a test."""


@activity.defn
def naive_remind_later(task_id: str, message: str) -> str:
    """Send a reminder by and by, with a timer of this process."""
    mail = current_services().mail
    args = (f"{task_id}/email", message, message)
    timer = threading.Timer(NAIVE_DELAY.total_seconds(), mail.send, args)
    timer.daemon = True
    timer.start()
    return "will remind"


@activity.defn
def naive_sweep() -> int:
    """Remind everyone whose last recorded turn waits for an answer."""
    services, last = current_services(), {}
    for turn in services.database.rows(database.turns):
        last[turn["conversation"]] = turn
    due = [turn for turn in last.values() if turn["outcome"] == "waiting"]
    for turn in due:
        reminder = f"Reminder to {turn['customer']}: {turn['answer']}"
        services.mail.send(f"{turn['task_id']}/reminder", reminder, reminder)
    return len(due)


ALL = [
    save_to_database,
    record_tool_call,
    record_move,
    record_decision,
    send_notification,
    process_batch,
    generate_report,
    write_weekly_report,
    forget_words,
    delete_reports,
    look_up_order,
    check_stock,
    issue_refund,
    put_back,
    take_out,
    naive_random_key,
    naive_run_key,
    naive_remind_later,
    naive_sweep,
]
