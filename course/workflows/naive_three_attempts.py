"""Lesson 05, the naive way: three attempts are surely enough."""

from datetime import timedelta

from agents import Agent
from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from course import activities

from course.workflows.plain import INSTRUCTIONS, PlainConversation


@workflow.defn
class NaiveThreeAttemptsWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(Agent(name="Juniper", instructions=INSTRUCTIONS))

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()

    async def turn(self, text: str) -> str:
        answer = await self.answer(text)
        record = activities.TurnRecord(turn=self.turns, message=text, answer=answer.text)
        await workflow.execute_activity(
            activities.save_to_database,
            args=[self.key, record],
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(maximum_attempts=3),
        )
        return answer.text
