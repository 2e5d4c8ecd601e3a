"""Lesson 02: one activity, wrapped as a tool in three ways. What becomes of its error differs."""

from typing import Any

from agents import Agent, RunContextWrapper, Tool, function_tool
from temporalio import workflow
from temporalio.openai_agents.workflow import activity_as_tool

with workflow.unsafe.imports_passed_through():
    from course import activities

from course.workflows.answering import why
from course.workflows.plain import PlainConversation
from course.workflows.policies import TOOL


def refund_agent(tool: Tool) -> Agent[Any]:
    return Agent(
        name="Juniper",
        instructions="You are the support agent of Juniper, a plant shop. You may refund an order.",
        tools=[tool],
    )


# 1. The activity is the tool. An error that is not retried fails the agent's run: the model never sees it.

as_activity = activity_as_tool(activities.issue_refund, **TOOL)


# 2. A function tool runs the activity. The model is handed an error text, and goes on.


@function_tool(name_override="issue_refund")
async def as_function(refund_id: str, order_id: str, amount_cents: int) -> str:
    """Pay money back for an order."""
    return await workflow.execute_activity(
        activities.issue_refund, args=[refund_id, order_id, amount_cents], **TOOL
    )


# 3. The same, with words of our own for the model.


def tell_the_model(context: RunContextWrapper[Any], error: Exception) -> str:
    return f"The refund was not paid. Tell the customer why: {why(error)}"


@function_tool(name_override="issue_refund", failure_error_function=tell_the_model)
async def with_own_words(refund_id: str, order_id: str, amount_cents: int) -> str:
    """Pay money back for an order."""
    return await workflow.execute_activity(
        activities.issue_refund, args=[refund_id, order_id, amount_cents], **TOOL
    )


@workflow.defn
class RefundByActivityWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(refund_agent(as_activity))

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()


@workflow.defn
class RefundByFunctionWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(refund_agent(as_function))

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()


@workflow.defn
class RefundWithOwnWordsWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(refund_agent(with_own_words))

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()
