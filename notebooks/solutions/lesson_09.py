"""Exercise 09: change a live workflow."""

from typing import Any

from temporalio import workflow
from temporalio.client import WorkflowHandle

from course.lessons.lesson_09 import Carried, GrowingDesk


@workflow.defn(name="GrowingWorkflow")
class NextDesk(GrowingDesk):
    """As GrowingPatchedWorkflow, and a step more in every run that begins with it."""

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
        if workflow.patched("statistics"):
            self.learn_from(text)
        return answer.text


async def roll_out(handle: WorkflowHandle[Any, Any]) -> None:
    """Gives a conversation under way a new run, which has not asked for the patch yet."""
    await handle.signal("renew")
