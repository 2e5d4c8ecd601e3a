"""Exercise 07: a refund whose key names the intent."""

from agents import Agent, function_tool
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from course.desk.activities import Customer
    from course.lessons import money
from course.desk.policies import PAYMENT
from course.lessons.lesson_07 import INSTRUCTIONS
from course.lessons.plain_conversation import PlainConversation


@workflow.defn
class ReturnsDesk(PlainConversation):
    """A desk that pays once for each case, however often it is asked."""

    @workflow.init
    def __init__(self, customer: str) -> None:
        self.customer = Customer(customer)
        agent = Agent(name="Juniper", instructions=INSTRUCTIONS, tools=[function_tool(self.refund)])
        super().__init__(agent)

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()

    async def refund(self, return_number: str, order_id: str, amount_cents: int) -> str:
        """Pay money back for a plant that arrived dead.

        Args:
            return_number: The number of the case, such as R-7001.
            order_id: The order's number, such as 1044.
            amount_cents: How much, in cents.
        """
        known = await workflow.execute_activity(
            money.order_of_return, args=[self.customer, return_number], **PAYMENT
        )
        if known != order_id:
            return f"Return {return_number} is not of order {order_id}. Nothing was paid."
        key = f"return-{return_number}"  # given once, when the case was reported
        return await workflow.execute_activity(
            money.issue_refund, args=[self.customer, key, order_id, amount_cents], **PAYMENT
        )
