"""Lesson 05's claims that its notebook's compared outputs do not hold already, and what it asks of the lab."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio.openai_agents import ModelActivityParameters

from course import Lab
from course.desk import ConversationWorkflow
from course.lessons.lesson_05 import TimeoutsWorkflow
from tests.lab_helpers import accepted, requests

MINUTE = timedelta(minutes=1)


async def test_a_message_that_was_begun_is_on_record_before_the_clock_moves(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = await lab.converse(ConversationWorkflow, "ada")
    send = chat.handle.execute_update

    async def over_a_slow_line(*args: Any, **options: Any) -> Any:
        await asyncio.sleep(0.5)
        return await send(*args, **options)

    async def once_it_is_on_record(*args: Any) -> bool:
        assert accepted(await chat.history()) == ["Hello!"]
        return await move(*args)

    move = lab.temporal.clock.move
    monkeypatch.setattr(chat.handle, "execute_update", over_a_slow_line)
    monkeypatch.setattr(lab.temporal.clock, "move", once_it_is_on_record)
    with await lab.outage("mail"):
        chat.begin("Hello!")
        await chat.fast_forward(MINUTE)
        [pending] = (await chat.pending()).to_dict("records")
    assert (pending["activity"], pending["attempt"]) == ("send_notification", 7)


async def test_each_timeout_fires_as_such(lab: Lab) -> None:
    chat = await lab.converse(TimeoutsWorkflow, "gus")
    with await lab.outage("mail", silent=True):
        replies = {
            name: chat.begin(name) for name in ("schedule_to_start", "start_to_close", "schedule_to_close")
        }
        await chat.fast_forward(MINUTE)
        record = await chat.activities(times=True)
    by_name = {row.input[1]: row for row in record.itertuples()}
    assert await replies["start_to_close"] == "TimeoutError: activity StartToClose timeout"
    given_up = by_name["schedule_to_close"]
    assert timedelta(0) < given_up.closed - given_up.scheduled < timedelta(seconds=30)


async def test_a_silent_server_does_not_hold_up_the_lab(lab: Lab) -> None:
    with await lab.outage("mail", silent=True):
        chat = await lab.converse(ConversationWorkflow, "hugo")
        assert "Welcome" in await chat.send("Hello!")
        [pending] = (await chat.pending()).to_dict("records")
        assert pending["activity"] == "send_notification"


async def test_a_labs_policy_for_model_calls_is_its_own_again(lab: Lab) -> None:
    hasty = ModelActivityParameters(start_to_close_timeout=timedelta(seconds=7))
    async with await Lab.start(model_calls=hasty, ui=False) as other:
        chat = await other.converse(ConversationWorkflow, "ida")
        await chat.send("Hello!")
        assert requests(await chat.history())[0].start_to_close_timeout.ToTimedelta().seconds == 7
    chat = await lab.converse(ConversationWorkflow, "ida")
    await chat.send("Hello!")
    assert requests(await chat.history())[0].start_to_close_timeout.ToTimedelta() == MINUTE
