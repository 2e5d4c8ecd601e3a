"""Exercise 02: a new tool, in the agent's hand."""

from agents import Agent
from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    import sqlalchemy as sql

    from course.desk.activities import Customer
    from course.desk.services import current_services
    from course.desk.services.database import order_of, orders
from course.desk.policies import TOOL
from course.desk.tools import customers_tool
from course.lessons.plain_conversation import INSTRUCTIONS, PlainConversation


@activity.defn
def cancel_order(customer: Customer, order_id: str) -> str:
    """Cancel an order of the shop. Only an order that is still being packed can be cancelled.

    Args:
        customer: Whose order it is. Another's is told of as one that does not exist.
        order_id: The order's number, such as 1042.
    """
    this_order = order_of(customer.name, order_id)
    still_packed = this_order & (orders.c.status == "being packed")
    with current_services().database.engine.begin() as connection:
        # One statement finds and changes it: nobody can ship the order in between.
        connection.execute(orders.update().where(still_packed).values(status="cancelled"))
        status = connection.scalar(sql.select(orders.c.status).where(this_order))
    if status is None:
        return f"There is no order {order_id}, so nothing was cancelled."
    if status == "cancelled":  # by this attempt, or by one before it
        return f"Order {order_id} is cancelled."
    return f"Order {order_id} is {status}, so it cannot be cancelled any more."


@workflow.defn
class CancelDesk(PlainConversation):
    """A desk whose agent may cancel orders."""

    @workflow.init
    def __init__(self, customer: str) -> None:
        tools = [customers_tool(Customer(customer), cancel_order, **TOOL)]
        super().__init__(Agent(name="Juniper", instructions=INSTRUCTIONS, tools=tools))

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()
