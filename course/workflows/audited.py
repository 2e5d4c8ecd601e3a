"""Lesson 03: an audit row for every tool call, through the Agents SDK's run hooks."""

from typing import Any

from agents import Agent, RunHooks, Tool
from agents.tool_context import ToolContext
from temporalio import workflow
from temporalio.openai_agents.workflow import activity_as_tool

with workflow.unsafe.imports_passed_through():
    from course import activities
    from course.workflows.policies import RECORD, TOOL

from course.workflows.plain import INSTRUCTIONS, PlainConversation


class Audit(RunHooks[Any]):
    """Records each tool call before the tool runs. The model is not asked."""

    def __init__(self, key: str) -> None:
        self._key = key

    async def on_tool_start(self, context: Any, agent: Agent[Any], tool: Tool) -> None:
        assert isinstance(context, ToolContext)
        await workflow.execute_activity(
            activities.record_tool_call,
            args=[f"{self._key}/{context.tool_call_id}", tool.name, context.tool_arguments],
            **RECORD,
        )


@workflow.defn
class AuditedWorkflow(PlainConversation):
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

    async def turn(self, text: str) -> str:
        return (await self.answer(text, hooks=Audit(self.key))).text
