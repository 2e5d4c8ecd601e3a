"""Lesson 07: four effects of one refund, and who refuses their repeat."""

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from course import activities
    from course.workflows.policies import PAYMENT

from course.workflows.answering import why
from course.workflows.refunds import RefundDesk


class EffectsDesk(RefundDesk):
    """Pays a refund, keeps a row of it, tells the team by mail and the bookkeeping by webhook."""

    async def pay(self, order_id: str, amount_cents: int) -> str:
        key, refund = self.name_of(order_id), f"{amount_cents} cents for order {order_id}"
        record = activities.TurnRecord(message=refund)
        paid = await self.do(activities.issue_refund, key, order_id, amount_cents)
        await self.do(activities.save_to_database, key, record)
        await self.do(activities.send_notification, key, refund, "email")
        await self.do(activities.send_notification, key, refund, "webhook")
        return paid

    async def do(self, effect: Any, *args: Any) -> str:
        try:
            return await workflow.execute_activity(effect, args=list(args), **PAYMENT)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return why(error)  # what was refused for good costs the other effects nothing

    def name_of(self, order_id: str) -> str:
        raise NotImplementedError


@workflow.defn
class EffectsByIntentWorkflow(EffectsDesk):
    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()

    def name_of(self, order_id: str) -> str:
        return f"order-{order_id}/refund"
