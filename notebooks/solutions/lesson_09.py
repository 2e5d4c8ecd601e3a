"""Exercise 09: change a live workflow."""

from temporalio import workflow

from course.lessons.lesson_09 import Carried, GrowingDesk


@workflow.defn(name="GrowingWorkflow")
class NextDesk(GrowingDesk):
    """As GrowingPatchedWorkflow, and a step more from the next turn of every conversation on."""

    @workflow.init
    def __init__(self, customer: str, carried: Carried | None = None) -> None:
        super().__init__(customer, carried)

    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> int:
        return await self.until_closed()

    async def turn(self, text: str) -> str:
        answer = await self.answer(text)
        await self.save(text, answer)
        if workflow.patched("tell-the-team"):
            self.tell_the_team(text)
        if workflow.patched(f"statistics/turn-{self.turns}"):  # a new question in every turn
            self.learn_from(text)
        return answer.text
