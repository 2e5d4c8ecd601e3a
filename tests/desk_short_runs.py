"""The desk with short runs: what takes sixty turns takes two. (In a file of its own: the sandbox imports it.)"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from course.workflows.conversation import Carried, ConversationWorkflow, Summary
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
