"""Lesson 03: a desk without a lock, and an audit row for every tool call through the Agents SDK's run hooks.

The lesson's own desk is `course.desk.ConversationWorkflow`.
"""

from typing import Any

from agents import Agent, RunHooks, Runner, Tool
from agents.tool_context import ToolContext
from temporalio import workflow
from temporalio.openai_agents.workflow import activity_as_tool

with workflow.unsafe.imports_passed_through():
    from course.desk import activities
    from course.desk.policies import RECORD, TOOL
    from course.lessons import records

from course.lessons.plain_conversation import INSTRUCTIONS, PlainConversation


@workflow.defn
class TurnsAtOnceWorkflow:
    @workflow.init
    def __init__(self, customer: str) -> None:
        tools = [
            activity_as_tool(activities.look_up_order, **TOOL),
            activity_as_tool(activities.check_stock, **TOOL),
        ]
        self._agent = Agent(name="Juniper", instructions=INSTRUCTIONS, tools=tools)
        self._messages: list[str] = []
        self._closing = False

    @workflow.run
    async def run(self, customer: str) -> int:
        await workflow.wait_condition(
            lambda: self._closing and workflow.all_handlers_finished()
        )
        return len(self._messages)

    @workflow.update
    async def send(self, text: str) -> str:
        number = len(self._messages) + 1  # read here …
        result = await Runner.run(self._agent, text)
        answer = str(result.final_output)
        record = activities.TurnRecord(
            conversation=workflow.info().workflow_id,
            turn=number,
            message=text,
            answer=answer,
        )
        key = str(
            workflow.uuid4()
        )  # … and a key that says nothing, so nobody can refuse the repeat
        await workflow.execute_activity(
            activities.save_to_database, args=[key, record], **RECORD
        )
        self._messages.append(text)  # … written here: another message came in between
        if number % 3 == 0:
            await workflow.execute_activity(
                activities.process_batch,
                args=[key, self._messages[-3:], number // 3],
                **RECORD,
            )
        return answer

    @workflow.signal
    def close(self) -> None:
        self._closing = True


class Audit(RunHooks[Any]):
    """Records each tool call before the tool runs. The model is not asked."""

    def __init__(self, key: str) -> None:
        self._key = key

    async def on_tool_start(self, context: Any, agent: Agent[Any], tool: Tool) -> None:
        assert isinstance(context, ToolContext)
        await workflow.execute_activity(
            records.record_tool_call,
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
