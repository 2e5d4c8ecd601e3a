"""Lesson 02: activities as tools. The agent decides whether they run, and with what.

The same refund is wrapped as a tool in three ways: where its error ends up differs. Then tools of one's own, of each kind.
"""

import asyncio
from typing import Any

from agents import Agent, Tool, function_tool
from temporalio import activity, workflow
from temporalio.openai_agents.workflow import activity_as_tool

with workflow.unsafe.imports_passed_through():
    from course.desk import activities
    from course.desk.activities import Customer
    from course.desk.policies import TOOL
    from course.desk.services import current_services
    from course.desk.tools import customers_tool
    from course.lessons import money

from course.lessons.plain_conversation import (
    INSTRUCTIONS,
    MAY_REFUND,
    PlainConversation,
    conversation,
    juniper,
)
from course.lessons.telling import tell_the_model


@workflow.defn
class ToolsWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(
            Agent(
                name="Juniper",
                instructions=INSTRUCTIONS,
                tools=[
                    customers_tool(Customer(customer), activities.look_up_order, **TOOL),
                    activity_as_tool(activities.check_stock, **TOOL),
                ],
            )
        )

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()


def refund_agent(tool: Tool) -> Agent[Any]:
    return juniper(instructions=MAY_REFUND, tools=[tool])


# 1. The activity is the tool. An error that is not retried fails the agent's run: the model never sees it.


@conversation
class RefundByActivityWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        tool = customers_tool(Customer(customer), money.issue_refund, **TOOL)
        super().__init__(refund_agent(tool))


# 2. A function tool runs the activity. The model is handed an error text, and goes on.


class RefundConversation(PlainConversation):
    customer: str

    async def issue_refund(self, refund_id: str, order_id: str, amount_cents: int) -> str:
        """Pay money back for an order."""
        return await workflow.execute_activity(
            money.issue_refund,
            args=[Customer(self.customer), refund_id, order_id, amount_cents],
            **TOOL,
        )


@conversation
class RefundByFunctionWorkflow(RefundConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        self.customer = customer
        tool = function_tool(self.issue_refund)
        super().__init__(refund_agent(tool))


# 3. The same, with words of our own for the model.


@conversation
class RefundWithOwnWordsWorkflow(RefundConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        self.customer = customer
        tool = function_tool(self.issue_refund, failure_error_function=tell_the_model)
        super().__init__(refund_agent(tool))


# Tools of one's own: an activity that waits for a network, and calculations in the workflow.


@activity.defn
async def mail_works() -> str:
    """Check whether the shop's mail server answers."""
    mail = current_services().mail
    reader, writer = await asyncio.open_connection(mail.host, mail.port)
    try:
        greeting = await reader.readline()
    finally:
        writer.close()
    ready = greeting.startswith(b"220")
    return "The mail server is ready." if ready else "The mail server takes no mail."


async def postage(plants: int) -> str:
    """Work out the postage for a number of plants."""
    return f"Postage for {plants} plants: {(490 + 50 * plants) / 100:.2f} EUR."


def discount(plants: int) -> str:
    """Work out the discount for a number of plants."""
    return f"Discount for {plants} plants: {min(plants, 10)} %."


@conversation
class OwnToolsWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        tools = [
            activity_as_tool(activities.check_stock, **TOOL),
            activity_as_tool(mail_works, **TOOL),
            function_tool(postage),
            function_tool(discount),
        ]
        super().__init__(juniper(tools=tools))
