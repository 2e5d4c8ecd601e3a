"""What a Temporal Schedule has started."""

import asyncio
from datetime import datetime, timedelta

import pandas as pd
from temporalio.client import (
    Client,
    ScheduleActionExecutionStartWorkflow,
    ScheduleBackfill,
    ScheduleHandle,
    ScheduleOverlapPolicy,
)

from course.lab.errors import LabError


async def runs_of_schedule(
    client: Client, schedule: ScheduleHandle, count: int, timeout: float = 30
) -> pd.DataFrame:
    """Waits until a schedule has started `count` workflows and all of them have ended.

    Returns one row a workflow, in the order in which they were started: `scheduled` (for when), `workflow` (its id),
    `run_id`, and `result`.

    Raises:
        LabError: After `timeout` (real seconds) there were not so many.
    """
    started = 0
    try:
        async with asyncio.timeout(timeout):
            while True:
                info = (await schedule.describe()).info
                started = info.num_actions
                if started >= count and not info.running_actions:
                    break
                await asyncio.sleep(0.02)
            rows = []
            for recent in info.recent_actions[-count:]:
                action = recent.action
                assert isinstance(action, ScheduleActionExecutionStartWorkflow)
                run = action.first_execution_run_id
                result = await client.get_workflow_handle(action.workflow_id, run_id=run).result()
                rows.append((recent.scheduled_at, action.workflow_id, run, result))
    except TimeoutError:
        raise LabError(
            f"Schedule {schedule.id} has not started and ended {count} workflows within {timeout:g} s; "
            f"it has started {started}. `await schedule.describe()` shows what is under way."
        ) from None
    return pd.DataFrame(rows, columns=["scheduled", "workflow", "run_id", "result"])


async def run_for(client: Client, schedule: ScheduleHandle, day: datetime) -> pd.DataFrame:
    """Starts, beside whatever is under way, what a schedule has due on a day, which may be to come or done already.

    Waits until all of it has ended, and returns and raises what `runs_of_schedule` does. The schedule has one workflow
    due on that day.
    """
    count = (await schedule.describe()).info.num_actions + 1
    one_day = ScheduleBackfill(
        start_at=day, end_at=day + timedelta(hours=23), overlap=ScheduleOverlapPolicy.ALLOW_ALL
    )
    await schedule.backfill(one_day)
    return await runs_of_schedule(client, schedule, count)
