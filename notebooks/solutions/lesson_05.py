"""Exercise 05: policies for the bad days."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from agents import Agent
from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.workflow import ActivityConfig

with workflow.unsafe.imports_passed_through():
    from course import activities
    from course.services import current_services
from course.workflows.plain import INSTRUCTIONS, PlainConversation

# Never given up.
RECORD = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=10)),
)
# Given up after five days, and at once when the address is refused for good.
NOTICE = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    schedule_to_close_timeout=timedelta(days=5),
    retry_policy=RetryPolicy(maximum_interval=timedelta(hours=1), non_retryable_error_types=["Refused"]),
)


@activity.defn
def mail_the_team(task_id: str, message: str) -> None:
    """Raises `Refused` when the mail server refuses the address for good."""
    current_services().mail.send(task_id, subject=message, text=message)


@workflow.defn
class PatientDesk(PlainConversation):
    """A desk whose duties survive outages, and whose customers do not notice them."""

    @workflow.init
    def __init__(self, customer: str) -> None:
        self.duties: set[asyncio.Task[None]] = set()
        super().__init__(Agent(name="Juniper", instructions=INSTRUCTIONS))

    @workflow.run
    async def run(self, customer: str) -> int:
        turns = await self.until_closed()
        await workflow.wait_condition(lambda: not self.duties)
        return turns

    async def turn(self, text: str) -> str:
        answer = await self.answer(text)
        record = activities.TurnRecord(turn=self.turns, message=text, answer=answer.text)
        self.later(self.duty(activities.save_to_database, [self.key, record], RECORD))
        self.later(self.duty(mail_the_team, [self.key, text], NOTICE))
        return answer.text

    async def duty(self, what: Any, args: list[Any], policy: ActivityConfig) -> None:
        """Runs an activity. If it fails for good, that is logged and costs nothing else."""
        try:
            await workflow.execute_activity(what, args=args, **policy)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning("Given up: %s", error)

    def later(self, duty: Coroutine[Any, Any, None]) -> None:
        """Starts a duty that nobody waits for. `run` does not end before it has."""
        task = asyncio.create_task(duty)
        self.duties.add(task)
        task.add_done_callback(self.duties.discard)
