"""Beside this file: desk.py, effects.py, the lesson's conftest.py, and recorded.json, of yesterday."""

from datetime import timedelta

import effects
import pytest
from desk import Desk
from effects import sql
from temporalio import activity
from temporalio.openai_agents import OpenAIAgentsPlugin
from temporalio.openai_agents.testing import ResponseBuilders

from course.history import questions, replay

say, call = ResponseBuilders.output_message, ResponseBuilders.tool_call
DAY = timedelta(days=1)


def mails():
    return [receiver for (receiver,) in sql("SELECT receiver FROM outbox ORDER BY rowid")]


async def test_a_message_is_recorded_and_the_team_is_told(talking):
    async with talking(say("Every seven days.")) as ada:
        await ada.execute_update(Desk.send, "How often?")
        await ada.signal(Desk.close)
        await ada.result()
    assert sql("SELECT message, answer FROM turns") == [("How often?", "Every seven days.")]
    assert mails() == ["team"]


@pytest.mark.parametrize(("order", "paid"), [("1042", [("ada", 2600)]), ("1055", [])])
async def test_an_approved_refund_is_paid_if_the_order_is_hers(talking, order, paid):
    async with talking(call(f'{{"order": "{order}"}}', "request_refund"), say("We will see.")) as ada:
        await ada.execute_update(Desk.send, "My money back, please.")
        await ada.execute_update(Desk.decide, args=[order, True])
    assert sql("SELECT customer, cents FROM refunds") == paid


@pytest.mark.parametrize(("first", "paid"), [(True, 1), (False, 0)])
async def test_the_first_decision_counts(talking, first, paid):
    async with talking(call('{"order": "1042"}', "request_refund"), say("We will see.")) as ada:
        await ada.execute_update(Desk.send, "My money back, please.")
        await ada.execute_update(Desk.decide, args=["1042", first])
        await ada.execute_update(Desk.decide, args=["1042", True])
    assert len(sql("SELECT * FROM refunds")) == paid


async def test_a_customer_who_is_silent_for_thirty_days_is_reminded_once(env, talking):
    async with talking(say("Hello!")) as ada:
        await ada.execute_update(Desk.send, "Hello?")
        await env.fast_forward(ada, 29 * DAY)
        assert mails() == ["team"]
        await env.fast_forward(ada, 40 * DAY)
    assert mails() == ["team", "ada"]


async def test_an_answer_cancels_the_reminder(env, talking):
    async with talking(say("Hello!"), say("Bye!")) as ada:
        for _ in range(2):
            await ada.execute_update(Desk.send, "Hello?")
            await env.fast_forward(ada, 20 * DAY)
        assert mails() == ["team", "team"]


async def test_the_reply_waits_for_the_record_and_not_for_the_team(talking):
    async with talking(say("Hello!")) as ada:
        await ada.execute_update(Desk.send, "Hello?")
        reply = questions(await ada.fetch_history()).set_index("activity").reply
    assert reply["send_mail"].startswith("no")
    assert reply["save_turn"] == "perhaps: closed before the reply"


async def test_an_outage_of_an_hour_costs_no_mail(env, talking):
    async with talking(say("Hello!")) as ada:
        sql("ALTER TABLE outbox RENAME TO away")
        await ada.execute_update(Desk.send, "Hello?")
        await env.fast_forward(ada, timedelta(hours=1))
        sql("ALTER TABLE away RENAME TO outbox")
        await env.fast_forward(ada, timedelta(hours=1))
    assert mails() == ["team"]


async def test_a_mail_whose_report_is_lost_is_not_sent_again(env, talking):
    @activity.defn(name="send_mail")
    def unheard(*mail: str) -> None:
        effects.send_mail(*mail)
        if activity.info().attempt == 1:
            raise ConnectionError("The report of it is lost.")

    others = [effects.price_of, effects.save_turn, effects.pay_refund]
    async with talking(say("Hello!"), activities=[unheard, *others]) as ada:
        await ada.execute_update(Desk.send, "Hello?")
        await env.fast_forward(ada, timedelta(hours=1))
    assert mails() == ["team"]


async def test_yesterdays_conversation_goes_on():
    await replay("recorded.json", Desk, plugins=[OpenAIAgentsPlugin()])
