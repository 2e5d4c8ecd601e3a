"""Exercise 02: a new tool, in the agent's hand."""

from agents import Agent
from temporalio import activity, workflow
from temporalio.openai_agents.workflow import activity_as_tool

with workflow.unsafe.imports_passed_through():
    import sqlalchemy as sql

    from course.desk.services import current_services
    from course.desk.services.database import orders
from course.desk.policies import TOOL
from course.lessons.plain_conversation import INSTRUCTIONS, PlainConversation


@activity.defn
def cancel_order(order_id: str) -> str:
    """Cancel an order of the shop. Only an order that is still being packed can be cancelled.

    Args:
        order_id: The order's number, such as 1042.
    """
    this_order = orders.c.order_id == order_id
    still_packed = this_order & (orders.c.status == "being packed")
    with current_services().database.engine.begin() as connection:
        # One statement finds and changes it: nobody can ship the order in between.
        connection.execute(orders.update().where(still_packed).values(status="cancelled"))
        status = connection.execute(sql.select(orders.c.status).where(this_order)).scalar()
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
        tools = [activity_as_tool(cancel_order, **TOOL)]
        super().__init__(Agent(name="Juniper", instructions=INSTRUCTIONS, tools=tools))

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()
