"""The desk with short runs: what takes sixty turns takes two. (In a file of its own: the sandbox imports it.)"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from course.desk import ConversationWorkflow
    from course.desk.conversation import Carried, Summary, Turn
    from tests.gap import GAP


@workflow.defn
class ShortRunsDesk(ConversationWorkflow):
    renew_after = 60

    @workflow.init
    def __init__(self, customer: str, carried: Carried | None = None) -> None:
        super().__init__(customer, carried)

    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> Summary:
        return await super().run(customer, carried)


@workflow.defn
class LingeringNoticeDesk(ShortRunsDesk):
    """Its notice takes as long as its customer takes to write twice more: some duty is always at work."""

    @workflow.init
    def __init__(self, customer: str, carried: Carried | None = None) -> None:
        super().__init__(customer, carried)

    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> Summary:
        return await super().run(customer, carried)

    async def _tell_the_team(self, turn: Turn) -> None:
        await workflow.wait_condition(
            lambda: self._closing or self._renewal._holding or self._count() > turn.number + 1
        )
        await super()._tell_the_team(turn)


@workflow.defn
class GapDesk(ShortRunsDesk):
    """Lingers between its decision for a new run and the run's end, as on a slow machine."""

    @workflow.init
    def __init__(self, customer: str, carried: Carried | None = None) -> None:
        super().__init__(customer, carried)

    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> Summary:
        return await super().run(customer, carried)

    def _carry(self) -> Carried:
        if not workflow.unsafe.is_replaying():
            with workflow.unsafe.sandbox_unrestricted():
                GAP.linger()
        return super()._carry()
