"""Exercise 02: a new tool, in the agent's hand."""

import ast
import asyncio
import inspect
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

PACKED, AGAIN, ANOTHER = "2317", "2320", "2324"
SHIPPED, UNKNOWN = "2318", "2399"
NEW_ORDERS = (PACKED, SHIPPED, AGAIN, ANOTHER)

SAYS_WHY = re.compile(r"shipp|packed|packing|sent|dispatch|on its way|has left", re.IGNORECASE)


async def check(module: Any) -> str:
    desk = workflow_class(module, "CancelDesk")
    cancel = _the_activity(module)
    model = Scenes()
    lost: list[str] = []
    async with lab_for(module, [desk], model, replaced_by(_loses_report(cancel, lost))) as lab:
        for number in NEW_ORDERS:
            status = "shipped" if number == SHIPPED else "being packed"
            row = {"order_id": number, "plant": "Pothos", "quantity": 2, "paid_cents": 2400, "status": status}
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

        await _cancels(chat)
        told = await _refuses(chat)
        await _cancels_once(chat, told, lost)
        rows = await chat.rows("cancel_order")
        await chat.ends()
    return f"""seven messages, {len(rows)} rows of cancel_order, each decided by the {_by(rows)}. The one
        message that did not need it left none; a shipped and an unknown order were refused with the reason,
        and the conversation went on; an attempt whose report was lost cancelled once."""


async def _cancels(chat: Talk) -> None:
    """A message that needs the tool."""
    message = f"I changed my mind: please cancel order {PACKED}."
    reply = await _reply(chat, message)
    rows = await chat.rows("cancel_order")
    if rows.empty and (line := line_of(chat.lab.module, _without_a_timeout)):
        raise NotYet(f"""{quoted(message)} left no row of cancel_order: in line {line} the activity has no timeout,
            and Temporal starts none without one. Write activity_as_tool(cancel_order, **TOOL); TOOL, from
            course.desk.policies, holds the timeouts.""")
    if rows.empty:
        raise NotYet(f"""{quoted(message)} left no row of cancel_order, and the customer heard: {quoted(reply)} The
            model called the tool, and the tool's own code failed before the activity. A function tool in a
            workflow is `async def` and awaits workflow.execute_activity.""")
    if "workflow" in set(rows.decided_by):
        raise NotYet("""cancel_order ran, decided by the workflow. The agent decides whether: hand it to the
            agent as a tool.""")
    status = _status(chat, PACKED)
    if status != "cancelled":
        changed = [order for order in NEW_ORDERS if _status(chat, order) == "cancelled"]
        which = f"order {changed[0]} is cancelled instead" if changed else "no order is cancelled"
        raise NotYet(f"After {quoted(message)} order {PACKED} is {status!r}, and {which}.")
    require(not _is_apology(reply), f"Order {PACKED} is cancelled, and the customer heard: {quoted(reply)}")


async def _refuses(chat: Talk) -> str:
    """Messages in which the tool fails: the customer is told why, and the conversation goes on."""
    reply = await _reply(chat, f"Please cancel order {SHIPPED}.")
    if _status(chat, SHIPPED) != "shipped":
        raise NotYet(f"""Order {SHIPPED} had been shipped, and your tool made it {_status(chat, SHIPPED)!r}: a
            row does not call back a parcel on its way. Only an order that is being packed can be
            cancelled.""")
    if not SAYS_WHY.search(reply):
        raise NotYet(f"""Order {SHIPPED} has been shipped, so it was not cancelled, and the customer heard:
            {quoted(reply)} They are not told why. {_why_not_told(reply)}""")
    unknown = await _reply(chat, f"Cancel order {UNKNOWN}, please.")
    if _is_apology(unknown) or "is cancelled" in unknown:
        raise NotYet(f"""There is no order {UNKNOWN}, and the customer heard: {quoted(unknown)} They are not told
            why. {_why_not_told(unknown)}""")
    thanks = await chat.says("Thanks!")
    if _is_apology(thanks):
        raise NotYet("After the two refusals the next message got an apology: the conversation must go on.")
    await _reply(chat, f"Then cancel order {ANOTHER}.")
    if _status(chat, ANOTHER) != "cancelled":
        raise NotYet(f"""After two refusals order {ANOTHER} could not be cancelled any more: the conversation
            must go on.""")
    return reply


async def _cancels_once(chat: Talk, refusal: str, lost: list[str]) -> None:
    """The worker is lost after the effect: the activity runs a second time."""
    said = await _reply(chat, f"Please cancel order {AGAIN}.")
    refused = _shape(said) == _shape(refusal) and lost and lost[0] not in said
    if _is_apology(said) or refused:
        raise NotYet(f"""The worker was lost after it had cancelled order {AGAIN} and before it could report that, so
            Temporal ran cancel_order again. The order is cancelled, and the customer heard: {quoted(said)} The
            second attempt must take the first one's success for its own.""")
    if (status := _status(chat, AGAIN)) != "cancelled":
        raise NotYet(f"Attempt 1 cancelled order {AGAIN}, and after attempt 2 it is {status!r}.")


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
    if len(inspect.signature(cancel).parameters) != 1:
        raise NotYet("""cancel_order takes one argument, order_id: what the model has to choose, and nothing
            else.""")
    return cancel


def _loses_report(cancel: Callable[..., Any], lost: list[str]) -> Callable[..., Any]:
    """The reader's activity on a worker that is lost once: for one order, after the effect of attempt 1.

    What it would have reported then goes to `lost`.
    """

    @activity.defn(name=activity_definition(cancel).name)
    async def cancelled(order_id: str) -> str:
        is_async = asyncio.iscoroutinefunction(cancel)
        report = await (cancel(order_id) if is_async else asyncio.to_thread(cancel, order_id))
        if order_id == AGAIN and activity.info().attempt == 1:
            lost.append(str(report))
            raise ApplicationError("The worker was lost.", next_retry_delay=timedelta(milliseconds=20))
        return report

    return cancelled


CALLS = re.compile(r"(^|\.)(activity_as_tool|execute_activity|start_activity)$")


def _status(chat: Talk, order: str) -> str:
    return chat.lab.table("orders").set_index("order_id").status[order]


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
