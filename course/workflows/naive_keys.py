"""Lesson 07, the naive ways: three desks that give a refund another key whenever something else happens again."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from course import activities
    from course.workflows.policies import PAYMENT

from course.workflows.refunds import RefundDesk


@workflow.defn
class NaiveRandomKeyWorkflow(RefundDesk):
    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()

    async def pay(self, order_id: str, amount_cents: int) -> str:
        return await workflow.execute_activity(
            activities.naive_random_key, args=[order_id, amount_cents], **PAYMENT
        )


@workflow.defn
class NaiveRunKeyWorkflow(RefundDesk):
    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()

    async def pay(self, order_id: str, amount_cents: int) -> str:
        return await workflow.execute_activity(
            activities.naive_run_key, args=[order_id, amount_cents], **PAYMENT
        )


@workflow.defn
class NaiveTurnKeyWorkflow(RefundDesk):
    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()

    async def pay(self, order_id: str, amount_cents: int) -> str:
        return await workflow.execute_activity(
            activities.issue_refund, args=[self.key, order_id, amount_cents], **PAYMENT
        )
