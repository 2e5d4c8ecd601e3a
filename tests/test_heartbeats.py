"""A worker that dies is missed after three seconds, whatever it was doing; a slow one is not."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType, TimeoutType
from temporalio.client import WorkflowHistory

from course import Lab
from course.desk import ConversationWorkflow
from course.models import OfflineModel
from tests.lab_helpers import attempts, until
from tests.lab_strangers import NotesProgress, Slow, note_progress, take_time, take_time_async


@pytest.fixture(scope="module")
async def lab() -> AsyncIterator[Lab]:
    async with await Lab.start(ui=False) as lab:
        yield lab


def missed(history: WorkflowHistory) -> dict[str, int]:
    """By what timeout an activity's last failed attempt ended, by the activity's type."""
    names, ended = {}, {}
    for event in history.events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            names[event.event_id] = event.activity_task_scheduled_event_attributes.activity_type.name
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            started = event.activity_task_started_event_attributes
            if started.HasField("last_failure"):
                failure = started.last_failure.timeout_failure_info
                ended[names[started.scheduled_event_id]] = failure.timeout_type
    return ended


@pytest.mark.parametrize("moment", ["before look_up_order", "after send_notification"])
async def test_a_death_in_an_activity_is_a_silence(lab: Lab, moment: str) -> None:
    process = await lab.worker_process(kill=moment)
    chat = await lab.converse(ConversationWorkflow, "ada")
    reply = chat.begin("Where is order 1042?")
    await process.died()
    assert "Order 1042" in await reply
    await chat.close()
    history, name = await chat.history(), moment.split()[1]
    assert missed(history) == {name: TimeoutType.TIMEOUT_TYPE_HEARTBEAT}
    assert [row for row in attempts(history) if row[1] > 1] == [(name, 2)]


async def test_every_activity_of_a_conversation_is_missed_soon(lab: Lab) -> None:
    chat = await lab.converse(ConversationWorkflow, "ada")
    for text in ("Where is order 1042?", "Do you have a Ficus?", "Thanks"):
        await chat.send(text)
    await chat.close()
    scheduled = [
        event.activity_task_scheduled_event_attributes
        for event in (await chat.history()).events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    ]
    assert len({one.activity_type.name for one in scheduled}) == 7
    limits = {
        one.activity_type.name: one.heartbeat_timeout.ToTimedelta().total_seconds() for one in scheduled
    }
    assert limits.pop("generate_report") == 10  # it imports Matplotlib
    assert set(limits.values()) == {3}


async def test_a_slow_activity_lives_and_a_hanging_one_is_ended() -> None:
    activities = [take_time, take_time_async]
    async with await Lab.start(workflows=[Slow], activities=activities, ui=False) as lab:
        chat = await lab.converse(Slow, "ada")
        patient, hasty = chat.begin("30"), chat.begin("3.5")
        assert await patient == "1, 1"
        assert await hasty == ", ".join(["activity StartToClose timeout"] * 2)


class ThinkingModel(OfflineModel):
    asked = 0

    async def get_response(self, *args: Any, **kwargs: Any) -> Any:
        self.asked += 1
        await asyncio.sleep(1)
        return await super().get_response(*args, **kwargs)


async def test_a_cell_that_holds_up_the_kernel_makes_nothing_happen_twice() -> None:
    """The worker hears of its work, and beats for it, while no other code of the kernel's event loop can run."""
    async with await Lab.start(model=ThinkingModel(), ui=False) as lab:
        chat = await lab.converse(ConversationWorkflow, "ada")
        reply = chat.begin("Where is order 1042?")
        await until(lambda: lab.model.asked, "the first model call")
        time.sleep(5)  # a figure is drawn, say
        assert len(lab.table("turns")) == 1  # the turn came to its end meanwhile
        assert "Order 1042" in await reply
        await chat.close()
        done = attempts(await chat.history())
        assert {name for name, _ in done} > {"invoke_model_activity", "look_up_order", "send_notification"}
        assert {attempt for _, attempt in done} == {1}
        assert lab.model.asked == 2


async def test_what_an_activity_has_noted_is_there_in_its_next_attempt() -> None:
    async with await Lab.start(workflows=[NotesProgress], activities=[note_progress], ui=False) as lab:
        chat = await lab.converse(NotesProgress, "ada")
        assert await chat.send("seven of nine") == "attempt 2 found seven of nine"
