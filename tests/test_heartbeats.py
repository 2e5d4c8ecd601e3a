"""A worker that dies is missed after three seconds, whatever it was doing; a slow one is not."""

import asyncio
import time
from typing import Any

import pytest
from temporalio.api.enums.v1 import TimeoutType
from temporalio.client import WorkflowHistory

from course import Lab
from course.desk import ConversationWorkflow
from course.lab import everything
from course.models import OfflineModel
from tests.lab_helpers import attempts, attributes, requests, until
from tests.lab_strangers import ACTIVITIES, DoesAsTold


def missed(history: WorkflowHistory) -> dict[str, int]:
    """By what timeout an activity's last failed attempt ended, by the activity's type."""
    asked = {event.event_id: event.activity_task_scheduled_event_attributes for event in history.events}
    return {
        asked[one.scheduled_event_id].activity_type.name: one.last_failure.timeout_failure_info.timeout_type
        for one in attributes(history, "activity_task_started")
        if one.HasField("last_failure")
    }


LAB = {
    "workflows": [ConversationWorkflow, DoesAsTold],
    "activities": [*everything.activities(), *ACTIVITIES],
}


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
    limits = {
        one.activity_type.name: one.heartbeat_timeout.ToTimedelta().total_seconds()
        for one in requests(await chat.history())
    }
    assert len(limits) == 7
    assert limits.pop("generate_report") == 10  # it imports Matplotlib
    assert set(limits.values()) == {3}


async def test_a_slow_activity_lives_and_a_hanging_one_is_ended(lab: Lab) -> None:
    chat = await lab.converse(DoesAsTold, "ada")
    patient, hasty = chat.begin("slow 30"), chat.begin("slow 3.5")
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


async def test_what_an_activity_has_noted_is_there_in_its_next_attempt(lab: Lab) -> None:
    chat = await lab.converse(DoesAsTold, "ada")
    assert await chat.send("note seven of nine") == "attempt 2 found seven of nine"
