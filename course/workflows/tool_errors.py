"""Lesson 02: one activity, wrapped as a tool in three ways. What becomes of its error differs."""

from typing import Any

from agents import Agent, RunContextWrapper, Tool, function_tool
from temporalio import workflow
from temporalio.exceptions import ApplicationError
from temporalio.openai_agents.workflow import activity_as_tool

with workflow.unsafe.imports_passed_through():
    from course import activities
    from course.workflows.policies import TOOL

from course.workflows.plain import PlainConversation


def refund_agent(tool: Tool) -> Agent[Any]:
    return Agent(
        name="Juniper",
        instructions="You are the support agent of Juniper, a plant shop. You may refund an order.",
        tools=[tool],
    )


# 1. The activity is the tool. An error that is not retried fails the agent's run: the model never sees it.


@workflow.defn
class RefundByActivityWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        tool = activity_as_tool(activities.issue_refund, **TOOL)
        super().__init__(refund_agent(tool))

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()


# 2. A function tool runs the activity. The model is handed an error text, and goes on.


async def issue_refund(refund_id: str, order_id: str, amount_cents: int) -> str:
    """Pay money back for an order."""
    return await workflow.execute_activity(
        activities.issue_refund, args=[refund_id, order_id, amount_cents], **TOOL
    )


@workflow.defn
class RefundByFunctionWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        tool = function_tool(issue_refund)
        super().__init__(refund_agent(tool))

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()


# 3. The same, with words of our own for the model.


def tell_the_model(context: RunContextWrapper[Any], error: Exception) -> str:
    cause = error.__cause__
    if isinstance(cause, ApplicationError) and cause.non_retryable:
        # The shop's own words, written for customers.
        return f"The shop refused the refund. {cause.message}"
    return "It is not known whether the refund was paid. A colleague will look into it."


@workflow.defn
class RefundWithOwnWordsWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        tool = function_tool(issue_refund, failure_error_function=tell_the_model)
        super().__init__(refund_agent(tool))

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()
