"""Lesson 16's exercise: version 1 of a desk, which is in production. It is pinned, and goes over where a new run begins."""

from temporalio import workflow

from course.lessons.lesson_09 import Carried, GrowingDesk


class ShippedDesk(GrowingDesk):
    """What all versions have in common: the agent, memory and number of turns, the steps of a turn."""

    @workflow.init
    def __init__(self, customer: str, carried: Carried | None = None) -> None:
        super().__init__(customer, carried)
        self._decision: str | None = None

    @workflow.signal
    def wake(self) -> None:
        """Does nothing: it makes a workflow task, in which `run` looks whether the conversation is over."""

    @workflow.signal
    def decide(self, decision: str) -> None:
        self._decision = decision

    @workflow.update
    async def ask_a_person(self) -> str:
        """Waits for `decide`."""
        await workflow.wait_condition(lambda: self._decision is not None)
        return self._decision or ""

    def is_closed(self) -> bool:
        return self._closing

    def carry(self) -> Carried:
        """What goes along into the next run."""
        return Carried(self.turns, self._memory)


@workflow.defn
class ShippedWorkflow(ShippedDesk):
    """Version 1."""

    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> int:
        await workflow.wait_condition(
            lambda: self.is_idle() and (self.is_closed() or self.is_due())
        )
        if not self.is_closed():
            workflow.continue_as_new(
                args=[self.customer, self.carry()],
                initial_versioning_behavior=workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE,
            )
        return self.turns

    def is_due(self) -> bool:
        return workflow.info().is_target_worker_deployment_version_changed()

    async def turn(self, text: str) -> str:
        answer = await self.answer(text)
        await self.save(text, answer)
        self.tell_the_team(text)
        return answer.text
