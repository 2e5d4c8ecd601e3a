"""Exercise 07: a refund whose key names the intent."""

import ast
import re
from datetime import timedelta
from typing import Any

import pandas as pd
from temporalio import activity
from temporalio.exceptions import ApplicationError

from course.checks.talking import Scenes, Talk, lab_for, line_of, replaced_by, workflow_class
from course.checks.verdict import NotYet, quoted, require, shortened
from course.desk.activities import Customer
from course.lessons import money
from course.models import ToolCall


def asks(return_number: str, order_id: str, amount_cents: int) -> ToolCall:
    arguments = {"return_number": return_number, "order_id": order_id, "amount_cents": amount_cents}
    return ToolCall("refund", arguments)


PLAIN = "My Calathea arrived dead, please refund 4 EUR for order 1044. It is return R-7001."
LOST = "Please refund 5 EUR for order 1054, it is return R-7005."
TWICE = "I would like 9 EUR back for order 1074, under return R-7013."
NEWS = "Any news of my money?"
MORE = "Was it not 10 EUR?"
AGAIN = "Return R-7009: 4 EUR for order 1064, please."
UNLIKE = "Of order 1095, refund 3 EUR under R-7022 and 6 EUR under R-7023."
ALIKE = "Two of the three in order 1085 are dead: 7 EUR for R-7018 and 7 EUR for R-7020."
STRANGER = "I am ada. My order 1045 arrived dead, please refund 6 EUR. It is return R-7003."
INVENTED = "Please refund 8 EUR for order 1075. The return is R-7713."
MISPLACED = "Please refund 2 EUR for order 1084. The return is R-7019."

CALLS = {
    PLAIN: [asks("R-7001", "1044", 400)],
    LOST: [asks("R-7005", "1054", 500)],
    TWICE: [asks("R-7013", "1074", 900)] * 2,
    NEWS: [asks("R-7013", "1074", 900)],
    MORE: [asks("R-7013", "1074", 1000)],
    AGAIN: [asks("R-7009", "1064", 400)],
    UNLIKE: [asks("R-7022", "1095", 300), asks("R-7023", "1095", 600)],
    ALIKE: [asks("R-7018", "1085", 700), asks("R-7020", "1085", 700)],
    STRANGER: [asks("R-7003", "1045", 600)],
    INVENTED: [asks("R-7713", "1075", 800)],
    MISPLACED: [asks("R-7019", "1084", 200)],
}
"""What the model asks for, when a message comes. The shop gave out R-7001 to R-7024, and R-7019 is of order 1085."""


@activity.defn(name="issue_refund")
def issue_refund(customer: Customer, refund_id: str, order_id: str, amount_cents: int) -> str:
    """The real one. Of order 1054, the first answer is lost on its way, after the payment."""
    paid = money.issue_refund(customer, refund_id, order_id, amount_cents)
    if order_id == "1054" and activity.info().attempt == 1:
        raise ApplicationError("The answer was lost.", next_retry_delay=timedelta(milliseconds=20))
    return paid


async def check(module: Any) -> str:
    desk = workflow_class(module, "ReturnsDesk")
    model = Scenes({message: [calls] for message, calls in CALLS.items()}, claims={STRANGER: "ada"})
    async with lab_for(module, [desk], model, replaced_by(issue_refund)) as lab:
        ada = await lab.converse(desk, "ada")
        await ada.says(PLAIN)
        await _paid_at_all(ada, PLAIN)
        await _the_answer_is_lost(await lab.converse(desk, "ben"))
        dora = await lab.converse(desk, "dora")
        await _the_model_asks_twice(dora)
        cleo = await lab.converse(desk, "cleo")
        for _ in range(2):
            await cleo.says(AGAIN)
        why = "The second message is another turn, and means the same case."
        _once(cleo, AGAIN, "The client sent its message twice", why)
        await ada.reset(before="invoke_model_activity")
        await ada.activities()
        why = """A reset begins a new run, with a new run id and new random numbers. The key has to be made of what is the
            same in both."""
        _once(ada, PLAIN, "An operator reset the conversation, and the turn ran again", why)
        await (await lab.converse(desk, "cleo")).says(AGAIN)
        why = "The key names the conversation, and the case is known outside of it."
        _once(cleo, AGAIN, "The customer wrote again the next day, in a new conversation", why)
        await _rightful_refunds(await lab.converse(desk, "fay"), await lab.converse(desk, "emil"))
        await _another_amount(dora)
        await _anothers_order(await lab.converse(desk, "fay"))
        await _a_number_that_the_shop_did_not_give(dora)
        await _a_number_of_another_order(await lab.converse(desk, "emil"))
        for chat in (ada, cleo):
            await chat.ends()
    if line := line_of(module, _is_hash):
        raise NotYet(f"""Line {line} calls hash(…). In this check one process did everything. Another process has another number for
            the same text, so a worker that takes over would use another key, and pay again.""")
    return """The answer to a payment was lost, the model asked twice in one message and again in the next, the client
        sent a message twice, the customer came back in a new conversation, an operator reset another: each time one
        refund was paid. Two cases of one order, asked for in one message, were both paid, even at the same price.
        Nothing was paid for another customer's order, nor under a number that the shop had not given to that case."""


def _refunds(chat: Talk, message: str) -> pd.DataFrame:
    """What was paid for the order that a message is about, and in its amount."""
    wanted = [call.arguments for call in CALLS[message]]
    paid, amounts = chat.lab.table("refunds"), [call["amount_cents"] for call in wanted]
    return paid[(paid.order_id == wanted[0]["order_id"]) & paid.amount_cents.isin(amounts)]


def _once(chat: Talk, message: str, happened: str, why: str) -> None:
    """Raises `NotYet` unless a refund was paid exactly once."""
    paid = len(_refunds(chat, message))
    require(paid, f"{quoted(message)} was answered, and nothing was paid.")
    require(paid == 1, f"{happened}: the refund of {quoted(message)} was paid {paid} times. {why}")


async def _paid_at_all(chat: Talk, message: str) -> None:
    tries = await chat.rows("issue_refund")
    if tries.empty:
        raise NotYet(f"""{quoted(message)} was answered, and nothing was paid: your tool has not run issue_refund.
            {await _handed_to_the_model(chat)}""")
    if not len(_refunds(chat, message)):
        what = tries.failure.dropna().tolist() or [f"its arguments were {tries.input.tolist()[0]}"]
        raise NotYet(f"""{quoted(message)} was answered, and not paid as asked. issue_refund ran:
            {shortened(str(what[0]))}""")
    require(len(tries) == 1, f"One refund was asked for, and your tool ran issue_refund {len(tries)} times.")


async def _handed_to_the_model(chat: Talk) -> str:
    outputs = await _outputs(chat)
    return f"It handed the model: {quoted(outputs[-1], 200)}" if outputs else ""


async def _outputs(chat: Talk) -> list[str]:
    """What the tool returned. What it raises is handed to the model too, as a text, and is seen nowhere else."""
    given = await chat.last_input()
    return [str(item["output"]) for item in given if item.get("type") == "function_call_output"]


def _is_hash(node: Any) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("hash", "__hash__")


async def _the_answer_is_lost(chat: Talk) -> None:
    await chat.says(LOST)
    lost = "The refund was paid, and the answer of issue_refund was lost"
    why = "The next attempt has to come with the same key, and PAYMENT sees to the attempts."
    _once(chat, LOST, lost, why)
    if (await chat.rows("issue_refund")).status.tolist()[-1:] != ["completed"]:
        raise NotYet(f"""{lost}. Nobody tried again, so the customer was not told that the money is there. With a key
            that stays the same, a retry does no harm, and **PAYMENT has retries.""")


async def _the_model_asks_twice(chat: Talk) -> None:
    await chat.says(TWICE)
    why = "Two calls are two activities, and they came with different keys, although they mean the same case."
    _once(chat, TWICE, "The model made the same call twice in one answer", why)
    await chat.says(NEWS)
    asked = f"The customer asked {quoted(NEWS)}, and the model called the tool for the same case again"
    _once(chat, TWICE, asked, "The second call came in another turn, and with another key.")


async def _another_amount(chat: Talk) -> None:
    """Of a case that is paid already."""
    await chat.says(MORE)
    if len(_refunds(chat, MORE)):
        raise NotYet("""The model asked for the same case again, with another amount, and it was paid a second time. A
            case is paid once, whatever the amount: the amount does not belong in its key. The shop refuses the other
            one by itself.""")
    paid, *_, refused = map(_letters, await _outputs(chat))
    if refused == paid:
        raise NotYet(f"""The model asked for the same case again, with another amount. Nothing was paid for it, and your
            tool handed the model what it had handed it after the payment: {quoted(refused)}. The customer is told of money
            that does not come.""")


def _letters(text: str) -> str:
    return " ".join(re.findall(r"[^\W\d]+", text))


async def _anothers_order(chat: Talk) -> None:
    await chat.says(STRANGER)
    if len(_refunds(chat, STRANGER)):
        raise NotYet(f"""fay wrote {quoted(STRANGER)}, and it was paid. Order 1045 is ada's, and whoever says so is not ada:
            the one who asks is the conversation's customer, whatever the model says.""")


async def _a_number_that_the_shop_did_not_give(chat: Talk) -> None:
    await chat.says(INVENTED)
    if len(_refunds(chat, INVENTED)):
        raise NotYet(f"""{quoted(INVENTED)} was paid, and the shop has no return R-7713. The number comes from the model, and
            whoever invents another one is paid again. Ask the shop about the number: money.order_of_return.""")


async def _a_number_of_another_order(chat: Talk) -> None:
    await chat.says(MISPLACED)
    if len(_refunds(chat, MISPLACED)):
        raise NotYet(f"""{quoted(MISPLACED)} was paid, and R-7019 is a return of order 1085. The shop says which order a return
            is for: nothing is paid for any other.""")


async def _rightful_refunds(unlike: Talk, alike: Talk) -> None:
    await unlike.says(UNLIKE)
    if len(_refunds(unlike, UNLIKE)) < 2:
        raise NotYet(f"""{quoted(UNLIKE)} asks for two rightful refunds of one order, and only one was paid:
            the other one came with the same key, so the shop refused it. The key names the order, and an order may hold
            several cases.""")
    await alike.says(ALIKE)
    if len(_refunds(alike, ALIKE)) < 2:
        raise NotYet(f"""{quoted(ALIKE)} asks for two rightful refunds of one order at the same price, and
            only one was paid: the shop took the other one for a repeat, and said that it is paid. Order and
            amount do not tell two cases apart.""")
