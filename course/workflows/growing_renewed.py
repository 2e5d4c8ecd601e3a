"""Lesson 09: a conversation goes on in a new run, and a new run takes the new branch."""

from typing import Any

from temporalio import workflow

from course.workflows.growing import GrowingDesk


@workflow.defn(name="GrowingWorkflow")
class GrowingRenewedWorkflow(GrowingDesk):
    """As GrowingPatchedWorkflow, and a signal lets the conversation continue as new."""

    @workflow.init
    def __init__(
        self, customer: str, turns: int = 0, memory: list[dict[str, Any]] | None = None
    ) -> None:
        super().__init__(customer)
        self.turns = turns  # counted on: the keys of turns name each only once
        self._memory = memory or []
        self._renewing = False

    @workflow.run
    async def run(
        self, customer: str, turns: int = 0, memory: list[dict[str, Any]] | None = None
    ) -> int:
        await workflow.wait_condition(lambda: self._closing or self._renewing)
        if not self._renewing:
            return await self.until_closed()
        await workflow.wait_condition(
            lambda: workflow.all_handlers_finished() and not self._duties
        )
        workflow.continue_as_new(args=[customer, self.turns, self._memory])

    @workflow.signal
    def renew(self) -> None:
        self._renewing = True

    async def turn(self, text: str) -> str:
        answer = await self.answer(text)
        await self.save(text, answer)
        if workflow.patched("tell-the-team"):
            self.tell_the_team(text)
        return answer.text
