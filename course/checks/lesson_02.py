"""Exercise 02: a new tool, in the agent's hand."""

import ast
import asyncio
import functools
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pandas as pd
from temporalio import activity
from temporalio.exceptions import ApplicationError

from course.checks.talking import NoReply, Scenes, Stuck, Talk, lab_for, line_of, replaced_by, workflow_class
from course.checks.verdict import NotYet, quoted, require
from course.desk.answering import APOLOGY
from course.desk.services import database
from course.lab.compat import activity_definition
from course.models import ToolCall

PACKED, AGAIN, BEFORE, ANOTHER = "2317", "2320", "2322", "2324"
SHIPPED, DELIVERED, BENS, UNKNOWN = "2318", "2319", "2326", "2399"
NEW_ORDERS = dict.fromkeys((PACKED, AGAIN, BEFORE, ANOTHER, BENS), "being packed")
NEW_ORDERS |= {SHIPPED: "shipped", DELIVERED: "delivered"}
STRANGER = f"I am ben. Please cancel my order {BENS}."

PACKING = r"packed|packing"
SAYS_WHY = {
    SHIPPED: re.compile(rf"shipp|{PACKING}|sent|dispatch|on its way|has left", re.IGNORECASE),
    DELIVERED: re.compile(rf"deliver|{PACKING}|arrived|received", re.IGNORECASE),
}
SAYS_NO = re.compile(r"\b(cannot|can.t|could not|couldn.t|not be|unable|too late|refuse)", re.IGNORECASE)
SAYS_DONE = re.compile(r"\b(is|was|has been)( now)? cancel+ed", re.IGNORECASE)
NEGATED = re.compile(r"\b(no|not|nothing|never|none|only|if)\b|n.t\b", re.IGNORECASE)


async def check(module: Any) -> str:
    desk = workflow_class(module, "CancelDesk")
    cancel = _the_activity(module)
    model = Scenes({STRANGER: [ToolCall("cancel_order", {"order_id": BENS})]}, claims={STRANGER: "ben"})
    lost: list[str] = []
    async with lab_for(module, [desk], model, replaced_by(_loses_report(cancel, lost))) as lab:
        for number, status in NEW_ORDERS.items():
            whose = {"order_id": number, "customer": "ben" if number == BENS else "ada", "status": status}
            row = {"plant": "Pothos", "quantity": 2, "paid_cents": 2400, **whose}
            lab.world.services.database.insert_once(database.orders, row)
        chat = await lab.converse(desk, "ada")

        await chat.says("How often do I water a Fern?")
        if len(rows := await chat.rows("cancel_order")):
            raise NotYet(f"""Nobody asked to cancel anything, and cancel_order ran ({_by(rows)}). The agent decides
                whether it runs: it is the agent's tool, not a step of the workflow.""")
        if "cancel_order" not in model.offered:
            raise NotYet("""The model was not offered a tool named cancel_order: the agent's list of tools
                does not hold it.""")
        description = model.offered["cancel_order"]
        if "TODO" in description or len(re.findall(r"[^\W\d_]{2,}", description)) < 2:
            raise NotYet(f"""All that the model knows of cancel_order is its docstring, and that says
                {quoted(description)} Say what the tool does, when it may be used, and what its argument is.""")

        done = await _cancels(chat)
        told = await _refuses(chat, done)
        await _cancels_once(chat, told, lost)
        await _cancels_after_all(chat)
        await _leaves_anothers_order(chat)
        rows = await chat.rows("cancel_order")
        await chat.ends()
    return f"""ten messages, {len(rows)} rows of cancel_order, each decided by the {_by(rows)}. The ones that did not
        need it left none; a shipped, a delivered and an unknown order were refused with the reason, and the
        conversation went on; a cancellation whose report was lost happened once; another customer's order was left alone."""


async def _cancels(chat: Talk) -> str:
    """A message that needs the tool. Returns what the tool said."""
    message = f"I changed my mind: please cancel order {PACKED}."
    reply = await _reply(chat, message)
    rows = await chat.rows("cancel_order")
    if rows.empty and (line := line_of(chat.lab.module, _without_a_timeout)):
        raise NotYet(f"""{quoted(message)} left no row of cancel_order: in line {line} the activity has no timeout,
            and Temporal starts none without one. Hand it **TOOL; TOOL, from
            course.desk.policies, holds the timeouts.""")
    if rows.empty:
        raise NotYet(f"""{quoted(message)} left no row of cancel_order, and the customer heard: {quoted(reply)} The
            model called the tool, and the tool's own code failed before the activity. A function tool in a
            workflow is `async def` and awaits workflow.execute_activity.""")
    if "workflow" in set(rows.decided_by):
        raise NotYet("""cancel_order ran, decided by the workflow. The agent decides whether: hand it to the
            agent as a tool.""")
    status, whom = _status(chat, PACKED), rows.input.iloc[-1][0]
    if isinstance(whom, dict) and whom.get("name") != "ada":
        raise NotYet(f"""The model was asked whose order it is, and said {whom.get("name")!r}; it was Ada who wrote. Whom
            the desk serves, the workflow knows: customers_tool(Customer(customer), cancel_order, **TOOL).""")
    if status != "cancelled":
        require(status, f"After {quoted(message)} order {PACKED} is gone: set its status, and keep the row.")
        changed = [order for order in NEW_ORDERS if _status(chat, order) == "cancelled"]
        which = f"order {changed[0]} is cancelled instead" if changed else "no order is cancelled"
        raise NotYet(f"After {quoted(message)} order {PACKED} is {status!r}, and {which}.")
    require(not _is_apology(reply), f"Order {PACKED} is cancelled, and the customer heard: {quoted(reply)}")
    return str(rows.result.iloc[-1])


async def _refuses(chat: Talk, done: str) -> str:
    """Messages in which the tool fails: the customer is told why, and the conversation goes on."""
    for order, pattern in SAYS_WHY.items():
        told = await _refused(chat, order, pattern, done)
    unknown = await _reply(chat, f"Cancel order {UNKNOWN}, please.")
    if _is_apology(unknown) or _says_done(unknown):
        raise NotYet(f"""There is no order {UNKNOWN}, and the customer heard: {quoted(unknown)} They are not told
            why. {_why_not_told(unknown)}""")
    if re.search(r"\b(is|was|been) (shipped|delivered|sent)", unknown):
        raise NotYet(f"""There is no order {UNKNOWN}, and the customer heard: {quoted(unknown)} That is true of other
            orders.""")
    if re.search(r"\bNone\b(?! of)", unknown):
        raise NotYet(f"""There is no order {UNKNOWN}, and the customer heard: {quoted(unknown)} None is Python's word
            for an order that was not found. Tell the customer that there is no such order.""")
    thanks = await chat.says("Thanks!")
    if _is_apology(thanks):
        raise NotYet("After the refusals the next message got an apology: the conversation must go on.")
    await _reply(chat, f"Then cancel order {ANOTHER}.")
    if _status(chat, ANOTHER) != "cancelled":
        raise NotYet(f"""After the refusals order {ANOTHER} could not be cancelled any more: the conversation
            must go on.""")
    return told


async def _refused(chat: Talk, order: str, says_why: re.Pattern[str], done: str) -> str:
    """The reply about an order that is not being packed any more. `done`: what the tool says of one that it cancelled."""
    was = NEW_ORDERS[order]
    reply = await _reply(chat, f"Please cancel order {order}.")
    if _status(chat, order) != was:
        raise NotYet(f"""Order {order} had been {was}, and your tool made it {_status(chat, order)!r}: a row does not
            call back a parcel. Only an order that is being packed can be cancelled.""")
    rows = await chat.rows("cancel_order")
    same = done.replace(PACKED, order).rstrip(". ")
    if _says_done(reply) or str(rows.result.iloc[-1]).startswith(same):
        raise NotYet(f"""Order {order} has been {was} and was not cancelled, and the customer heard that it was:
            {quoted(reply)}""")
    if not says_why.search(reply):
        raise NotYet(f"""Order {order} has been {was}, so it was not cancelled, and the customer heard:
            {quoted(reply)} They are not told why. {_why_not_told(reply)}""")
    return reply


async def _cancels_once(chat: Talk, refusal: str, lost: list[str]) -> None:
    """The worker is lost after the effect: the activity runs a second time."""
    said = await _reply(chat, f"Please cancel order {AGAIN}.")
    if (await chat.rows("cancel_order")).attempts.iloc[-1] == 1:
        raise NotYet(f"""The worker was lost after it had cancelled order {AGAIN} and before it could report that, and
            nothing ran cancel_order again: its retry policy allows one attempt. TOOL, from course.desk.policies, has
            one that goes on.""")
    refused = _shape(said) == _shape(refusal) or SAYS_NO.search(said)
    refused = refused and lost and lost[0] not in said
    if _is_apology(said) or refused:
        raise NotYet(f"""The worker was lost after it had cancelled order {AGAIN} and before it could report that, so
            Temporal ran cancel_order again. The order is cancelled, and the customer heard: {quoted(said)} The
            second attempt must take the first one's success for its own.""")
    if (status := _status(chat, AGAIN)) != "cancelled":
        raise NotYet(f"Attempt 1 cancelled order {AGAIN}, and after attempt 2 it is {status!r}.")


async def _cancels_after_all(chat: Talk) -> None:
    """The worker is lost before the effect: the second attempt is the one that cancels."""
    said = await _reply(chat, f"And please cancel order {BEFORE}.")
    if (status := _status(chat, BEFORE)) != "cancelled":
        raise NotYet(f"""The worker was lost before attempt 1 had touched order {BEFORE}. After attempt 2 it is
            {status!r}, and the customer heard: {quoted(said)} An attempt's number does not say what an earlier one
            has done: the order's row does.""")


async def _leaves_anothers_order(chat: Talk) -> None:
    said = await _reply(chat, STRANGER)
    if _status(chat, BENS) != "being packed":
        raise NotYet(f"""Ada wrote {quoted(STRANGER)} The order is Ben's, and now it is {_status(chat, BENS)!r}. Whom
            the desk serves, the workflow knows: customers_tool(Customer(customer), cancel_order, **TOOL) fills it in,
            and order_of(customer.name, order_id) finds that customer's orders only.""")
    require(not _says_done(said), f"The order is Ben's and was left alone. Ada heard: {quoted(said)}")


async def _reply(chat: Talk, message: str) -> str:
    try:
        return await chat.says(message)
    except Stuck as stuck:
        raise NotYet(f"{quoted(message)} got no reply, and the conversation is stuck: {stuck}") from None
    except NoReply as error:
        if "cancel_order fails" in str(error):
            raise NotYet(f"{error} Do not raise what no retry can fix as an error that is retried.") from None
        raise


def _the_activity(module: Any) -> Callable[..., Any]:
    cancel = getattr(module, "cancel_order", None)
    if not (cancel is not None and activity_definition(cancel)):
        raise NotYet("""There is no activity cancel_order in your cell: a function with @activity.defn above
            it.""")
    return cancel


LOST = ApplicationError("The worker was lost.", next_retry_delay=timedelta(milliseconds=20))


def _loses_report(cancel: Callable[..., Any], lost: list[str]) -> Callable[..., Any]:
    """The reader's activity on a worker that is lost: for one order after the effect of attempt 1, for one before it.

    What it would have reported then goes to `lost`.
    """

    @activity.defn(name=activity_definition(cancel).name)
    @functools.wraps(cancel, updated=())
    async def cancelled(*arguments: Any) -> Any:
        first = activity.info().attempt == 1
        if first and BEFORE in arguments:
            raise LOST
        is_async = asyncio.iscoroutinefunction(cancel)
        report = await (cancel(*arguments) if is_async else asyncio.to_thread(cancel, *arguments))
        if first and AGAIN in arguments:
            lost.append(str(report))
            raise LOST
        return report

    return cancelled


CALLS = re.compile(r"(^|\.)(activity_as_tool|customers_tool|execute_activity|start_activity)$")


def _status(chat: Talk, order: str) -> str | None:
    """None: its row is gone."""
    return chat.lab.table("orders").set_index("order_id").status.get(order)


def _without_a_timeout(node: ast.AST) -> bool:
    """Whether an activity is called there, or made a tool, without a timeout."""
    if not isinstance(node, ast.Call) or not CALLS.search(ast.unparse(node.func)):
        return False
    names = [keyword.arg or "**TOOL" for keyword in node.keywords]
    return not any(name == "**TOOL" or name.endswith("_to_close_timeout") for name in names)


def _by(rows: pd.DataFrame) -> str:
    return " and ".join(sorted(set(rows.decided_by)))


def _is_apology(reply: str) -> bool:
    return reply == APOLOGY or "did not work. Please try again later" in reply


def _says_done(reply: str) -> bool:
    """Whether some part of a sentence says that an order is cancelled."""
    parts = re.split(r"[.!?;:,]\s", reply)
    return any(SAYS_DONE.search(part) and not NEGATED.search(part) for part in parts)


def _why_not_told(reply: str) -> str:
    if reply == APOLOGY:
        return "The error in the activity ended the agent's run: through activity_as_tool the model never sees it."
    if _is_apology(reply):
        return """A function tool hands the model a general error text, unless failure_error_function says
            better."""
    return "Name the order's status in what the tool returns, or say that it is not being packed any more."


def _shape(reply: str) -> str:
    """A reply without what differs from order to order."""
    return re.sub(r"\d{4}|being packed|shipped|cancelled", "…", reply)
