"""Lesson 07: one refund under keys of several kinds, four effects of one refund, and an order that is taken back in two steps."""

from typing import Any
from uuid import uuid4

from agents import function_tool
from temporalio import activity, workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from course.desk import activities
    from course.desk.activities import Customer
    from course.desk.answering import why
    from course.desk.policies import BACKGROUND, PAYMENT, RECORD
    from course.lessons import money

from course.lessons.plain_conversation import MAY_REFUND as INSTRUCTIONS
from course.lessons.plain_conversation import (
    DutifulConversation,
    PlainConversation,
    conversation,
    juniper,
)
from course.lessons.telling import tell_the_model


class RefundDesk(PlainConversation):
    """A desk with one tool. Which key a refund is paid under, each desk decides in `pay`."""

    @workflow.init
    def __init__(self, customer: str) -> None:
        self.customer = Customer(customer)
        tool = function_tool(self.refund, failure_error_function=tell_the_model)
        super().__init__(juniper(instructions=INSTRUCTIONS, tools=[tool]))

    async def refund(self, order_id: str, amount_cents: int) -> str:
        """Pay money back for an order.

        Args:
            order_id: The order's number, such as 1042.
            amount_cents: How much, in cents.
        """
        return await self.pay(order_id, amount_cents)

    async def pay(self, order_id: str, amount_cents: int) -> str:
        raise NotImplementedError


@conversation
class IntentKeyWorkflow(RefundDesk):
    async def pay(self, order_id: str, amount_cents: int) -> str:
        key = f"order-{order_id}"  # Juniper refunds an order once
        return await workflow.execute_activity(
            money.issue_refund,
            args=[self.customer, key, order_id, amount_cents],
            **PAYMENT,
        )


# Two activities that make the key themselves.


@activity.defn
def refund_by_random_key(customer: Customer, order_id: str, amount_cents: int) -> str:
    """Pay money back for an order, under a key of its own."""
    return money.issue_refund(customer, str(uuid4()), order_id, amount_cents)


@activity.defn
def refund_by_run_key(customer: Customer, order_id: str, amount_cents: int) -> str:
    """Pay money back for an order, under a key made of ids."""
    info = activity.info()
    key = f"{info.workflow_run_id}/{info.activity_id}"
    return money.issue_refund(customer, key, order_id, amount_cents)


@conversation
class RandomKeyWorkflow(RefundDesk):
    async def pay(self, order_id: str, amount_cents: int) -> str:
        return await workflow.execute_activity(
            refund_by_random_key,
            args=[self.customer, order_id, amount_cents],
            **PAYMENT,
        )


@conversation
class RunKeyWorkflow(RefundDesk):
    async def pay(self, order_id: str, amount_cents: int) -> str:
        return await workflow.execute_activity(
            refund_by_run_key, args=[self.customer, order_id, amount_cents], **PAYMENT
        )


@conversation
class TurnKeyWorkflow(RefundDesk):
    async def pay(self, order_id: str, amount_cents: int) -> str:
        return await workflow.execute_activity(
            money.issue_refund,
            args=[self.customer, self.key, order_id, amount_cents],
            **PAYMENT,
        )


DESKS = {
    "random": RandomKeyWorkflow,
    "run": RunKeyWorkflow,
    "turn": TurnKeyWorkflow,
    "intent": IntentKeyWorkflow,
}
"""The four desks, by what their keys are made of."""


class EffectsDesk(RefundDesk):
    """Pays a refund, keeps a row of it, tells the team by mail and the bookkeeping by webhook."""

    async def pay(self, order_id: str, amount_cents: int) -> str:
        key, refund = self.name_of(order_id), f"{amount_cents} cents for order {order_id}"
        record = activities.TurnRecord(message=refund)
        paid = await self.do(money.issue_refund, self.customer, key, order_id, amount_cents)
        await self.do(activities.save_to_database, key, record)
        await self.do(activities.send_notification, key, refund, "email")
        await self.do(activities.send_notification, key, refund, "webhook")
        return paid

    async def do(self, effect: Any, *args: Any) -> str:
        """Runs an activity. Returns its result, or why it failed for good. Raises only a cancellation."""
        try:
            return await workflow.execute_activity(effect, args=list(args), **PAYMENT)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return why(error)  # what was refused for good costs the other effects nothing

    def name_of(self, order_id: str) -> str:
        raise NotImplementedError


@conversation
class EffectsByIntentWorkflow(EffectsDesk):
    def name_of(self, order_id: str) -> str:
        return f"order-{order_id}/refund"


@conversation
class EffectsByRandomKeyWorkflow(EffectsDesk):
    def name_of(self, order_id: str) -> str:
        return str(workflow.uuid4())


@conversation
class EffectsByConversationWorkflow(EffectsDesk):
    def name_of(self, order_id: str) -> str:
        return workflow.info().workflow_id


@conversation
class TakeBackWorkflow(RefundDesk, DutifulConversation):
    # Only the wait has an end, and may be cancelled. The saga goes on.
    async def pay(self, order_id: str, amount_cents: int) -> str:
        saga = self.later(self.take_back(order_id, amount_cents))
        ended, _ = await workflow.wait([saga], timeout=60)
        return (
            saga.result() if ended else "The shop has not answered. We will write to you."
        )

    async def take_back(self, order_id: str, amount_cents: int) -> str:
        name = f"order-{order_id}/{amount_cents}"  # another amount is another intent
        said, refused = await self.step(money.put_back, f"{name}/back", order_id)
        if not refused:
            # Last, because nobody can undo it.
            refund = (f"order-{order_id}", order_id, amount_cents)
            said, refused = await self.step(money.issue_refund, *refund)
            if refused:
                await self.step(money.take_out, f"{name}/out", order_id)
        notice = [f"{name}/ended", refused or said, "email"]
        self.later(self.duty(activities.send_notification, notice, BACKGROUND))
        return refused or said

    async def step(self, effect: Any, key: str, *args: Any) -> tuple[str, str]:
        """Returns the result and "", or "" and the reason for a refusal. Under RECORD nothing else ends it."""
        args = (self.customer, key, *args)
        try:
            return await workflow.execute_activity(effect, args=args, **RECORD), ""
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return "", f"The shop refused. {error.cause.message}"


@conversation
class MoneyFirstWorkflow(RefundDesk):
    async def pay(self, order_id: str, amount_cents: int) -> str:
        key = f"order-{order_id}"
        paid = await workflow.execute_activity(
            money.issue_refund,
            args=[self.customer, key, order_id, amount_cents],
            **PAYMENT,
        )
        await workflow.execute_activity(
            money.put_back, args=[self.customer, f"{key}/back", order_id], **PAYMENT
        )
        return paid
