"""Lesson 02: activities as tools. The agent decides whether they run, and with what."""

from agents import Agent
from temporalio import workflow
from temporalio.openai_agents.workflow import activity_as_tool

with workflow.unsafe.imports_passed_through():
    from course import activities
    from course.workflows.policies import TOOL

from course.workflows.plain import INSTRUCTIONS, PlainConversation


@workflow.defn
class ToolsWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(
            Agent(
                name="Juniper",
                instructions=INSTRUCTIONS,
                tools=[
                    activity_as_tool(activities.look_up_order, **TOOL),
                    activity_as_tool(activities.check_stock, **TOOL),
                ],
            )
        )

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()
