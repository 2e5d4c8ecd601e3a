"""A customer is served their own orders only, by every workflow of the course, whatever the model asks for."""

import asyncio
import inspect
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from agents import Model, ModelResponse
from openai.types.responses import ResponseFunctionToolCall

from course import Lab
from course.desk.listing import make_known
from course.lab import Conversation, everything
from course.lab.compat import activity_definition, workflow_definition
from course.models import OfflineModel

OWNER, STRANGER = "ada", "fay"
ADAS, MISSING = "1043", "9999"
MESSAGES = ("Where is order {}?", "Please refund 1 EUR for order {}.", "Please refund 60 EUR for order {}.")
VERDICT = {"decision": "approve", "by": "Bea", "reason": "Sorry!"}

NOT_ASKED = {
    "AskedNameWorkflow": "lesson 04 shows with it what comes of a name that the model may choose",
    "TwoOrdersWorkflow": "it is sent an order's number, and no message",
    "TimeoutsWorkflow": "it is sent the name of a timeout, and no message",
}
DESKS = [
    one
    for one in everything.workflows()
    if "send" in workflow_definition(one).updates and one.__name__ not in NOT_ASKED
]
OF_A_CUSTOMER = {
    activity_definition(one).name
    for one in everything.activities()
    if "customer" in inspect.signature(one).parameters
}
"""Every activity that looks up, refunds or moves what somebody has ordered."""


class ClaimsToBeAda(Model):
    """Goes by the rules, and says with every tool call that ada wants it."""

    def __init__(self) -> None:
        self.rules = OfflineModel()

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        response = await self.rules.get_response(*args, **kwargs)
        for item in response.output:
            if isinstance(item, ResponseFunctionToolCall):
                item.arguments = json.dumps({**json.loads(item.arguments), "customer": {"name": OWNER}})
        return response

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        raise NotImplementedError


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with await Lab.start(model=ClaimsToBeAda(), ui=False) as lab:
        await make_known(lab.client)  # what lesson 14's desk shows of itself
        yield lab


async def answered(lab: Lab, desk: type, chat: Conversation, message: str) -> None:
    """One turn. A person says yes to whatever waits for one, in the desk's own way."""
    handlers = workflow_definition(desk)
    reply = chat.begin(message, timeout=120)
    while "approve" in handlers.signals and not reply.done():
        await chat.activities()
        await chat.handle.signal("approve", True)
    await reply
    waiting = await chat.handle.query("undecided") if "undecided" in handlers.queries else []
    for number in [request["number"] for request in waiting]:
        if "decide" in handlers.updates:
            await chat.handle.execute_update("decide", args=[number, VERDICT])
        else:
            approval = lab.conversation(number).handle
            await approval.execute_update("decide", VERDICT)
            await approval.result()
    if waiting:
        await chat.activities()  # what was decided is done, before the next message comes


async def told(lab: Lab, desk: type, customer: str, order: str) -> tuple[list[str], list[Any]]:
    """What somebody who asks for an order is told, and for whom the activities ran that took a customer."""
    chat = await lab.converse(desk, customer)
    for message in MESSAGES:
        await answered(lab, desk, chat, message.format(order))
    record = await chat.activities(times=True)
    texts = [text.replace(chat.id, "ID").replace(order, "ORDER") for text in (await chat.transcript()).text]
    ran = record[record.activity.isin(OF_A_CUSTOMER)]
    return texts, [(row.activity, row.input[0]) for row in ran.itertuples()]


def kept(lab: Lab) -> list[Any]:
    """What the shop has paid back, and what it has."""
    return [lab.table(name).to_dict("records") for name in ("refunds", "stock_moves", "stock")]


async def test_who_asks_for_anothers_order_gets_nothing_in_the_words_for_one_that_is_missing(
    lab: Lab,
) -> None:
    at_once = asyncio.Semaphore(4)

    async def one(desk: type, customer: str, order: str) -> tuple[list[str], list[Any]]:
        async with at_once:
            return await told(lab, desk, customer, order)

    async def ask(desks: list[type], customer: str, order: str) -> dict[type, tuple[list[str], list[Any]]]:
        found = await asyncio.gather(*(one(desk, customer, order) for desk in desks))
        return dict(zip(desks, found, strict=True))

    # The owner first: there is something to be had, and something that was paid already.
    own = {desk: found for desk, found in (await ask(DESKS, OWNER, ADAS)).items() if found[1]}
    # Only an answer to exercise 07 asks which order a return is for.
    ran = {activity for _, rows in own.values() for activity, _ in rows}
    assert ran == OF_A_CUSTOMER - {"order_of_return"}
    assert len(own) > 20
    before = kept(lab)
    refunds, moves, _ = before
    assert refunds
    assert moves

    anothers, missing = await ask([*own], STRANGER, ADAS), await ask([*own], STRANGER, MISSING)
    for desk, (texts, ran) in anothers.items():
        assert texts == missing[desk][0] != own[desk][0], desk
        assert "Ficus" not in " ".join(texts), desk
        assert all(whose == {"name": STRANGER} for _, whose in ran), desk
    assert kept(lab) == before
