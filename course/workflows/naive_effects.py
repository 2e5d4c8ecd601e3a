"""Lesson 07, the naive ways: a key that is too fine, and one that is too coarse."""

from temporalio import workflow

from course.workflows.effects import EffectsDesk


@workflow.defn
class NaiveFineEffectsWorkflow(EffectsDesk):
    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()

    def name_of(self, order_id: str) -> str:
        return str(workflow.uuid4())


@workflow.defn
class NaiveCoarseEffectsWorkflow(EffectsDesk):
    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()

    def name_of(self, order_id: str) -> str:
        return workflow.info().workflow_id
