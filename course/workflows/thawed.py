"""Lesson 12: the endless desk, mended. It takes over the conversations that the naive one has frozen."""

from agents import TResponseInputItem
from temporalio import workflow

from course.workflows.long_runs import last_turns
from course.workflows.naive_endless import NaiveEndlessWorkflow


@workflow.defn(name="NaiveEndlessWorkflow")
class ThawedEndlessWorkflow(NaiveEndlessWorkflow):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(customer)

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()

    def remembered(self) -> list[TResponseInputItem]:
        return last_turns(self._memory, 1)
