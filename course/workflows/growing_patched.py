"""Lesson 09: the same new step behind a patch, so that runs from before it replay without the step."""

from temporalio import workflow

from course.workflows.growing import Carried, GrowingDesk


@workflow.defn(name="GrowingWorkflow")
class GrowingPatchedWorkflow(GrowingDesk):
    """One patch id: a run that began before it stays without the step until it ends."""

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
        return answer.text


@workflow.defn(name="GrowingWorkflow")
class GrowingPerTurnWorkflow(GrowingDesk):
    """A patch id for each turn besides: a run from before has the step from its next turn on."""

    @workflow.init
    def __init__(self, customer: str, carried: Carried | None = None) -> None:
        super().__init__(customer, carried)

    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> int:
        return await self.until_closed()

    async def turn(self, text: str) -> str:
        answer = await self.answer(text)
        await self.save(text, answer)
        this_turn = f"tell-the-team/turn-{self.turns}"
        if workflow.patched("tell-the-team") or workflow.patched(this_turn):
            self.tell_the_team(text)
        return answer.text
