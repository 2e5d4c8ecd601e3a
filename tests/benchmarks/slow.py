"""A month of waiting: an activity that fails five times, then a timer."""

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy


@activity.defn
async def fails_five_times() -> None:
    if activity.info().attempt <= 5:
        raise RuntimeError("not yet")


@workflow.defn
class SlowWorkflow:
    @workflow.run
    async def run(self, customer: str) -> None:
        await workflow.execute_activity(
            fails_five_times,
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(initial_interval=timedelta(days=1), backoff_coefficient=1.0),
        )
        await asyncio.sleep(timedelta(days=365).total_seconds())

    @workflow.update
    async def send(self, text: str) -> str:
        return text
