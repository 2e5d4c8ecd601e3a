"""Lesson 07: an order is taken back in two steps, and what was done is undone when the second is refused."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from course import activities
    from course.workflows.policies import PAYMENT, RECORD

from course.workflows.refunds import RefundDesk


@workflow.defn
class SagaWorkflow(RefundDesk):
    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()

    async def pay(self, order_id: str, amount_cents: int) -> str:
        name = f"order-{order_id}/{amount_cents}"  # another amount is another try
        await workflow.execute_activity(
            activities.put_back, args=[f"{name}/back", order_id], **PAYMENT
        )
        try:  # last, since nobody can take it back
            return await workflow.execute_activity(
                activities.issue_refund,
                args=[f"order-{order_id}", order_id, amount_cents],
                **PAYMENT,
            )
        except ActivityError as error:
            # Refused, so nothing was paid. After a timeout nobody knows: that is for a colleague.
            if isinstance(error.cause, ApplicationError) and error.cause.non_retryable:
                # The compensation has a key too, and is never given up.
                await workflow.execute_activity(
                    activities.take_out, args=[f"{name}/out", order_id], **RECORD
                )
            raise
