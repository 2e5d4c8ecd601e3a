"""A flood from one customer and a trickle of others, and turns a second by how a worker is tuned."""

import asyncio
import statistics
import time
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from agents import ModelResponse
from temporalio.common import Priority
from temporalio.worker import (
    PollerBehaviorAutoscaling,
    ResourceBasedSlotConfig,
    WorkerTuner,
)

from course import Lab
from course.desk import ConversationWorkflow
from course.desk.worker import OPTIONS
from course.lab import server
from course.models import OfflineModel
from tests import dev_server

FLOOD, OTHERS, SLOTS, SECONDS_OF_A_CALL = 40, 5, 4, 0.2


class SlowModel(OfflineModel):
    """Takes its time, as a live one does, and no processor."""

    async def get_response(self, *args: Any, **more: Any) -> ModelResponse:
        await asyncio.sleep(SECONDS_OF_A_CALL)
        return await super().get_response(*args, **more)


async def seconds_of_others(keyed: bool) -> float:
    """The median wait of customers who write while the messages of one other fill the worker's slots."""
    settings = {**server.SETTINGS, "matching.enableFairness": "true"}
    arguments = ["--output", "none"]
    for name, value in settings.items():
        arguments += ["--dynamic-config-value", f"{name}={value}"]
    slots = {"max_concurrent_activities": SLOTS}
    async with await dev_server.start(dev_server_extra_args=arguments) as environment:
        address = dev_server.address_of(environment)
        with patch.dict(OPTIONS, slots):
            lab = await Lab.start(address=address, model=SlowModel())
        async with lab:

            async def wait_for(customer: str) -> float:
                options = {"priority": Priority(fairness_key=customer)} if keyed else {}
                chat = await lab.client.start_workflow(
                    ConversationWorkflow.run,
                    customer,
                    id=f"{customer}-{uuid4()}",
                    task_queue=lab.task_queue,
                    **options,
                )
                began = time.perf_counter()
                await chat.execute_update(ConversationWorkflow.send, "Hello!", id=str(uuid4()))
                return time.perf_counter() - began

            flood = [asyncio.create_task(wait_for("ada")) for _ in range(FLOOD)]
            await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED)  # by now the slots are taken
            waited = await asyncio.gather(*(wait_for(f"other-{n}") for n in range(OTHERS)))
            await asyncio.gather(*flood)
            return statistics.median(waited)


TUNED: dict[str, dict[str, Any]] = {
    "100 slots, 5 pollers": {},
    "pollers that scale": {
        "workflow_task_poller_behavior": PollerBehaviorAutoscaling(),
        "activity_task_poller_behavior": PollerBehaviorAutoscaling(),
    },
    "slots by memory and processor": {
        "max_concurrent_activities": None,
        "tuner": WorkerTuner.create_resource_based(
            target_memory_usage=0.8,
            target_cpu_usage=0.9,
            activity_config=ResourceBasedSlotConfig(maximum_slots=100),
        ),
    },
    "10 slots": {"max_concurrent_activities": 10},
}


async def turns_a_second(options: dict[str, Any], conversations: int = 40) -> float:
    """Of conversations that each say two things at the same time as all others, to a model that takes its time."""
    with patch.dict(OPTIONS, options):
        lab = await Lab.start(ui=False, model=SlowModel())
    async with lab:
        chats = [await lab.converse(ConversationWorkflow, "ada") for _ in range(conversations)]

        async def talk(chat: Any) -> None:
            for text in ("Hello!", "Where is order 1042?"):
                await chat.send(text, timeout=timedelta(minutes=5).total_seconds())

        began = time.perf_counter()
        await asyncio.gather(*map(talk, chats))
        return 2 * conversations / (time.perf_counter() - began)
