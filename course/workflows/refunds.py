"""Lesson 07: a refund whose key names the intent. The agent asks for it, and code names it."""

from agents import Agent, function_tool
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from course import activities
    from course.workflows.policies import PAYMENT

from course.workflows.plain import PlainConversation
from course.workflows.tool_errors import tell_the_model

INSTRUCTIONS = (
    "You are the support agent of Juniper, a plant shop. You may refund an order."
)


class RefundDesk(PlainConversation):
    """A desk with one tool. Which key a refund is paid under, each desk decides in `pay`."""

    def __init__(self) -> None:
        tool = function_tool(self.refund, failure_error_function=tell_the_model)
        super().__init__(Agent(name="Juniper", instructions=INSTRUCTIONS, tools=[tool]))

    async def refund(self, order_id: str, amount_cents: int) -> str:
        """Pay money back for an order.

        Args:
            order_id: The order's number, such as 1042.
            amount_cents: How much, in cents.
        """
        return await self.pay(order_id, amount_cents)

    async def pay(self, order_id: str, amount_cents: int) -> str:
        raise NotImplementedError


@workflow.defn
class IntentKeyWorkflow(RefundDesk):
    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()

    async def pay(self, order_id: str, amount_cents: int) -> str:
        key = f"order-{order_id}"  # Juniper refunds an order once, whoever asks how often
        return await workflow.execute_activity(
            activities.issue_refund, args=[key, order_id, amount_cents], **PAYMENT
        )
