"""Lesson 05's claims that its notebook's compared outputs do not hold already, and what it asks of the lab."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from agents import ModelSettings, ModelTracing
from temporalio.openai_agents import ModelActivityParameters

from course import Lab, LabError
from course.desk import ConversationWorkflow
from course.lab import Conversation
from course.lessons.lesson_05 import DutiesFirstWorkflow, TimeoutsWorkflow
from course.models import ModelEndpoint, OfflineModel

MINUTE = timedelta(minutes=1)
OPTIONS = {
    "model_settings": ModelSettings(),
    "tools": [],
    "output_schema": None,
    "handoffs": [],
    "tracing": ModelTracing.DISABLED,
    "previous_response_id": None,
    "conversation_id": None,
    "prompt": None,
}
"""The rest of a model call's arguments."""


@pytest.fixture(scope="module")
async def lab() -> AsyncIterator[Lab]:
    async with await Lab.start(ui=False) as lab:
        yield lab


async def test_a_message_that_was_begun_is_on_record_before_the_clock_moves(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = await lab.converse(ConversationWorkflow, "ada")
    send = chat.handle.execute_update

    async def over_a_slow_line(*args: Any, **options: Any) -> Any:
        await asyncio.sleep(0.5)
        return await send(*args, **options)

    async def once_it_is_on_record(*args: Any) -> None:
        history = await chat.history()
        assert any(e.HasField("workflow_execution_update_accepted_event_attributes") for e in history.events)
        await move(*args)

    move = lab.temporal.clock.move
    monkeypatch.setattr(chat.handle, "execute_update", over_a_slow_line)
    monkeypatch.setattr(lab.temporal.clock, "move", once_it_is_on_record)
    with await lab.outage("mail"):
        chat.begin("Hello!")
        await chat.fast_forward(MINUTE)
        [pending] = (await chat.pending()).to_dict("records")
    assert (pending["activity"], pending["attempt"]) == ("send_notification", 7)


async def test_one_slow_duty_holds_up_the_messages_behind_it(lab: Lab) -> None:
    """The naive desk: its lock covers an outage, so the second message has not reached the model."""
    chat = await lab.converse(DutiesFirstWorkflow, "fay")
    with await lab.outage("mail"):
        replies = [chat.begin("Hello!"), chat.begin("Thanks!")]
        record = await chat.activities()
        assert record.activity.tolist() == ["invoke_model_activity", "save_to_database", "send_notification"]
    await chat.fast_forward(MINUTE)
    assert all([await reply for reply in replies])
    assert len(await chat.activities()) == 6


async def test_each_timeout_fires_as_such(lab: Lab) -> None:
    chat = await lab.converse(TimeoutsWorkflow, "gus")
    with await lab.outage("mail", silent=True):
        replies = {
            name: chat.begin(name) for name in ("schedule_to_start", "start_to_close", "schedule_to_close")
        }
        await chat.fast_forward(MINUTE)
        record = await chat.activities(times=True)
    by_name = {row.input[1]: row for row in record.itertuples()}
    assert {row.status for row in by_name.values()} == {"timed out"}
    assert pd.isna(by_name["schedule_to_start"].attempts)
    assert by_name["start_to_close"].attempts == 2
    assert by_name["schedule_to_close"].attempts == 5
    assert await replies["start_to_close"] == "TimeoutError: activity StartToClose timeout"
    assert timedelta(0) < by_name["schedule_to_close"].closed - by_name["schedule_to_close"].scheduled
    assert by_name["schedule_to_close"].closed - by_name["schedule_to_close"].scheduled < timedelta(
        seconds=30
    )


async def test_a_silent_server_does_not_hold_up_the_lab() -> None:
    async with await Lab.start(ui=False) as lab:
        await lab.outage("mail", silent=True)
        chat = await lab.converse(ConversationWorkflow, "hugo")
        assert "Welcome" in await chat.send("Hello!")
        [pending] = (await chat.pending()).to_dict("records")
        assert pending["activity"] == "send_notification"


@pytest.mark.parametrize("arguments", [{"service": "database"}, {"service": "mail", "permanent": True}])
async def test_silence_that_makes_no_sense(lab: Lab, arguments: dict[str, object]) -> None:
    with pytest.raises(LabError, match="cannot be silent here: silent= is for mail"):
        await lab.outage(**arguments, silent=True)


async def test_a_labs_policy_for_model_calls_is_its_own_again(lab: Lab) -> None:
    hasty = ModelActivityParameters(start_to_close_timeout=timedelta(seconds=7))
    async with await Lab.start(model_calls=hasty, ui=False) as other:
        chat = await other.converse(ConversationWorkflow, "ida")
        await chat.send("Hello!")
        assert await one_attempt(chat) == timedelta(seconds=7)
    chat = await lab.converse(ConversationWorkflow, "ida")
    await chat.send("Hello!")
    assert await one_attempt(chat) == MINUTE


async def one_attempt(chat: Conversation) -> timedelta:
    for event in (await chat.history()).events:
        scheduled = event.activity_task_scheduled_event_attributes
        if scheduled.activity_type.name == "invoke_model_activity":
            return scheduled.start_to_close_timeout.ToTimedelta()
    raise AssertionError


async def test_a_provider_counts_the_answers_that_nobody_waited_for() -> None:
    with ModelEndpoint(OfflineModel(), seconds=0.3) as provider:
        model = provider.client()
        asking = asyncio.create_task(model.get_response("", "Hello!", **OPTIONS))
        while provider._under_way == 0:
            await asyncio.sleep(0.01)
        asking.cancel()
        assert provider.requests == 0
    assert provider.requests == 1
