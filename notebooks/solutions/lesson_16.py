from temporalio import workflow

from course.lessons.lesson_16 import Carried, ShippedDesk

UPGRADE = workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE


@workflow.defn(name="ShippedWorkflow")
class NextDesk(ShippedDesk):
    """Version 2. `carry()` returns what goes along into a new run."""

    @workflow.init
    def __init__(self, customer: str, carried: Carried | None = None) -> None:
        super().__init__(customer, carried)

    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> int:
        await workflow.wait_condition(lambda: self.is_idle() and (self.is_closed() or self.is_due()))
        if not self.is_closed():
            args = [self.customer, self.carry()]
            workflow.continue_as_new(args=args, initial_versioning_behavior=UPGRADE)
        return self.turns

    def is_due(self) -> bool:
        return workflow.info().is_target_worker_deployment_version_changed()

    async def turn(self, text: str) -> str:
        """Version 1's turn, and a step more."""
        answer = await self.answer(text)
        await self.save(text, answer)
        self.tell_the_team(text)
        self.learn_from(text)
        return answer.text


async def roll_out(shop):
    """Brings version 2 to the customers."""
    await shop.start("2", NextDesk)
    await shop.make_current("2")
    for handle in await shop.open("1"):
        await handle.signal("wake")
    await shop.drained("1")
    await shop.stop("1")
