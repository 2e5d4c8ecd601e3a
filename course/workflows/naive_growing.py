"""Lesson 09, the naive way: a step is added as if no conversation were under way."""

from temporalio import workflow

from course.workflows.growing import Carried, GrowingDesk


@workflow.defn(name="GrowingWorkflow")
class NaiveGrowingWorkflow(GrowingDesk):
    @workflow.init
    def __init__(self, customer: str, carried: Carried | None = None) -> None:
        super().__init__(customer, carried)

    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> int:
        return await self.until_closed()

    async def turn(self, text: str) -> str:
        answer = await self.answer(text)
        await self.save(text, answer)
        self.tell_the_team(text)  # new: also in turns that are long over
        return answer.text
