"""Exercise 07: a refund whose key names the intent."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pandas as pd
from agents import Model, ModelResponse
from temporalio import activity
from temporalio.exceptions import ApplicationError

from course.checks.talking import MODEL_CALL, close, lab_for, quoted, say, workflow_class
from course.checks.verdict import NotYet, shortened
from course.lab import Conversation, Lab, everything
from course.lessons import money
from course.models import OfflineModel, ToolCall

TITLE = "A key that names the intent"

STARTER = '''\
from agents import Agent, function_tool
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from course.lessons import money
from course.lessons.plain_conversation import PlainConversation
from course.desk.policies import PAYMENT
from course.lessons.lesson_07 import INSTRUCTIONS


@workflow.defn
class ReturnsDesk(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(Agent("Juniper", instructions=INSTRUCTIONS, tools=[function_tool(self.refund)]))

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()

    async def refund(self, return_number: str, order_id: str, amount_cents: int) -> str:
        """Pay money back for a plant that arrived dead.

        Args:
            return_number: The number of the case, such as R-7001.
            order_id: The order's number, such as 1042.
            amount_cents: How much, in cents.
        """
        # TODO: pay through money.issue_refund(refund_id, order_id, amount_cents), with **PAYMENT
        return "Not yet."
'''

HINTS = (
    "The tool is workflow code: `return await workflow.execute_activity(money.issue_refund, args=[key, order_id, "
    "amount_cents], **PAYMENT)`. What is left to decide is the key.",
    "Go through the boxes of the lesson's picture from the inside: attempt, activity, run, message. A key with something "
    "of one of them in it is a new key as soon as that begins anew. A customer may also begin a new conversation.",
    "Then ask the other way round: which two refunds are both rightful, and would they get the same key? Two plants of one "
    "order, at the same price. What tells them apart was given by the shop, once, before anybody asked for money.",
)


def asks(return_number: str, order_id: str, amount_cents: int) -> ToolCall:
    arguments = {"return_number": return_number, "order_id": order_id, "amount_cents": amount_cents}
    return ToolCall("refund", arguments)


PLAIN = "My fern arrived dead, please refund 4 EUR for order 1046. It is return R-7310."
LOST = "Please refund 5 EUR for order 1042, it is return R-7321."
TWICE = "I would like 9 EUR back for order 1043, under return R-7332."
NEWS = "Any news of my money?"
MORE = "Was it not 10 EUR?"
AGAIN = "Return R-7343: 4 EUR for order 1044, please."
UNLIKE = "Of order 1043, refund 3 EUR under R-7354 and 6 EUR under R-7355."
ALIKE = "Two of the three in order 1045 are dead: 9 EUR for R-7366 and 9 EUR for R-7367."

CALLS = {
    PLAIN: [asks("R-7310", "1046", 400)],
    LOST: [asks("R-7321", "1042", 500)],
    TWICE: [asks("R-7332", "1043", 900)] * 2,
    NEWS: [asks("R-7332", "1043", 900)],
    MORE: [asks("R-7332", "1043", 1000)],
    AGAIN: [asks("R-7343", "1044", 400)],
    UNLIKE: [asks("R-7354", "1043", 300), asks("R-7355", "1043", 600)],
    ALIKE: [asks("R-7366", "1045", 900), asks("R-7367", "1045", 900)],
}
"""What the model asks for, when a message comes."""


class Asking(Model):
    """An offline model that makes certain calls when certain messages come, and answers by its rules then."""

    def __init__(self) -> None:
        self._rules = OfflineModel()

    async def get_response(
        self, system_instructions: Any, input: Any, *rest: Any, **more: Any
    ) -> ModelResponse:
        last = input[-1] if isinstance(input, list) and input else {"role": "user", "content": input}
        calls = CALLS.get(last["content"]) if last.get("role") == "user" else None
        model = OfflineModel(script=[calls]) if calls else self._rules
        return await model.get_response(system_instructions, input, *rest, **more)

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        return self._rules.stream_response(*args, **kwargs)


@activity.defn(name="issue_refund")
def issue_refund(refund_id: str, order_id: str, amount_cents: int) -> str:
    """The real one. Of order 1042, the first answer is lost on its way, after the payment."""
    paid = money.issue_refund(refund_id, order_id, amount_cents)
    if order_id == "1042" and activity.info().attempt == 1:
        raise ApplicationError("The answer was lost.", next_retry_delay=timedelta(milliseconds=20))
    return paid


async def check(module: Any) -> str:
    desk = workflow_class(module, "ReturnsDesk")
    others = [one for one in everything.activities() if one is not money.issue_refund]
    async with lab_for(module, [desk], Asking(), [*others, issue_refund]) as lab:
        ada = await lab.converse(desk, "ada")
        await say(ada, PLAIN, module)
        await _paid_at_all(lab, ada, PLAIN)
        await _the_answer_is_lost(lab, desk, module)
        await _the_model_asks_twice(lab, desk, module)
        cleo = await _the_client_sends_twice(lab, desk, module)
        await ada.reset(before="invoke_model_activity")
        await ada.activities()
        _once(
            lab,
            PLAIN,
            "An operator reset the conversation, and the turn ran anew: {paid}. A reset begins a new run, with a new "
            "run id and new random numbers. What the key is made of has to be the same in both.",
        )
        await _the_customer_begins_anew(lab, desk, module)
        await _rightful_refunds(lab, desk, module)
        await _another_amount(await lab.converse(desk, "dora"), lab, module)
        for chat in (ada, cleo):
            await close(chat, module)
    return (
        "The answer to a payment was lost, the model asked twice in one message and again in the next, the client "
        "sent a message twice, the customer came back in a new conversation, an operator reset another: each time one "
        "refund was paid. Two cases of one order, asked for in one message, were both paid, also at the same price."
    )


def _refunds(lab: Lab, message: str) -> pd.DataFrame:
    """What was paid for the order that a message is about, and in its amount."""
    wanted = [call.arguments for call in CALLS[message]]
    paid, amounts = lab.table("refunds"), [call["amount_cents"] for call in wanted]
    return paid[(paid.order_id == wanted[0]["order_id"]) & paid.amount_cents.isin(amounts)]


def _once(lab: Lab, message: str, says: str) -> None:
    """Raises `NotYet` unless a refund was paid exactly once. `{paid}` in what it says is filled in."""
    paid = len(_refunds(lab, message))
    if paid == 0:
        raise NotYet(f"{quoted(message)} was answered, and nothing was paid.")
    if paid > 1:
        raise NotYet(says.format(paid=f"the refund of {quoted(message)} was paid {paid} times"))


async def _paid_at_all(lab: Lab, chat: Conversation, message: str) -> None:
    record = await chat.activities(times=True)
    tries = record[record.activity == "issue_refund"]
    if tries.empty:
        raise NotYet(
            f"{quoted(message)} was answered, and nothing was paid: your tool has not run issue_refund. "
            f"{_handed_to_the_model(record)}"
        )
    if not len(_refunds(lab, message)):
        what = tries.failure.dropna().tolist() or [f"its arguments were {tries.input.tolist()[0]}"]
        raise NotYet(
            f"{quoted(message)} was answered, and not paid as asked. issue_refund ran: {shortened(str(what[0]))}"
        )
    if len(tries) > 1:
        raise NotYet(f"One refund was asked for, and your tool ran issue_refund {len(tries)} times.")


def _handed_to_the_model(record: pd.DataFrame) -> str:
    """What the tool returned. What it raises is handed to the model too, as a text, and is seen nowhere else."""
    given = record[record.activity == MODEL_CALL].input.iloc[-1][0]["input"]
    items = given if isinstance(given, list) else []
    outputs = [item["output"] for item in items if item.get("type") == "function_call_output"]
    return f"It handed the model: “{shortened(str(outputs[-1]), 200)}”" if outputs else ""


async def _the_answer_is_lost(lab: Lab, desk: type, module: Any) -> None:
    chat = await lab.converse(desk, "ben")
    await say(chat, LOST, module)
    record = await chat.activities(times=True)
    tries = record[record.activity == "issue_refund"]
    _once(
        lab,
        LOST,
        "The refund was paid, and the answer of issue_refund was lost: {paid}. The next attempt is to come with the same "
        "key, and PAYMENT sees to the attempts.",
    )
    if tries.status.tolist()[-1:] != ["completed"]:
        raise NotYet(
            "The refund was paid, and the answer of issue_refund was lost. Nobody tried again, so the customer was not "
            "told that the money is there. With a key that stays the same a retry does no harm: **PAYMENT has them."
        )


async def _the_model_asks_twice(lab: Lab, desk: type, module: Any) -> None:
    chat = await lab.converse(desk, "dora")
    await say(chat, TWICE, module)
    _once(
        lab,
        TWICE,
        "The model made the same call twice in one answer: {paid}. Two calls are two activities, and they came with "
        "different keys, although they mean the same case.",
    )
    await say(chat, NEWS, module)
    _once(
        lab,
        TWICE,
        f"The customer asked {quoted(NEWS)}, and the model called the tool for the same case again: {{paid}}. The "
        "second call stands in another turn, and its key was another.",
    )


async def _the_client_sends_twice(lab: Lab, desk: type, module: Any) -> Conversation:
    chat = await lab.converse(desk, "cleo")
    for _ in range(2):
        await say(chat, AGAIN, module)
    _once(
        lab,
        AGAIN,
        "The client sent its message twice: {paid}. The second message is another turn, and means the same case.",
    )
    return chat


async def _the_customer_begins_anew(lab: Lab, desk: type, module: Any) -> None:
    await say(await lab.converse(desk, "cleo"), AGAIN, module)
    _once(
        lab,
        AGAIN,
        "The customer wrote again the next day, in a new conversation: {paid}. The key names the conversation, and the "
        "case is known outside of it.",
    )


async def _another_amount(chat: Conversation, lab: Lab, module: Any) -> None:
    await say(chat, MORE, module)
    if len(_refunds(lab, MORE)):
        raise NotYet(
            "The model asked for the same case again, with another amount, and it was paid a second time. A case is paid once, "
            "whatever amount is named: the amount does not belong into its key. The shop refuses the other one by itself."
        )


async def _rightful_refunds(lab: Lab, desk: type, module: Any) -> None:
    chat = await lab.converse(desk, "emil")
    await say(chat, UNLIKE, module)
    if len(_refunds(lab, UNLIKE)) < 2:
        raise NotYet(
            f"{quoted(UNLIKE)} asks for two rightful refunds of one order, and only one was paid: the other came with the "
            "same key, so the shop refused it. The key names less than the case."
        )
    await say(chat, ALIKE, module)
    if len(_refunds(lab, ALIKE)) < 2:
        raise NotYet(
            f"{quoted(ALIKE)} asks for two rightful refunds of one order at the same price, and only one was paid: the shop "
            "took the other for its repeat, and said that it is paid. Order and amount do not tell two cases apart."
        )
