"""Lesson 07, the naive way: the money goes first, and the step after it may be refused."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from course import activities
    from course.workflows.policies import PAYMENT

from course.workflows.refunds import RefundDesk


@workflow.defn
class NaiveNoWayBackWorkflow(RefundDesk):
    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()

    async def pay(self, order_id: str, amount_cents: int) -> str:
        key = f"order-{order_id}"
        paid = await workflow.execute_activity(
            activities.issue_refund, args=[key, order_id, amount_cents], **PAYMENT
        )
        await workflow.execute_activity(
            activities.put_back, args=[f"{key}/back", order_id], **PAYMENT
        )
        return paid
