"""Lesson 03: a desk without a lock, and an audit row for every tool call through the Agents SDK's run hooks.

The lesson's own desk is `course.desk.ConversationWorkflow`.
"""

from typing import Any

from agents import Agent, RunHooks, Runner, Tool
from agents.tool_context import ToolContext
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from course.desk import activities
    from course.desk.policies import RECORD
    from course.lessons import records

from course.lessons.plain_conversation import (
    PlainConversation,
    UntilClosed,
    conversation,
    juniper,
)


@workflow.defn
class TurnsAtOnceWorkflow(UntilClosed):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__()
        self._agent = juniper(
            activities.look_up_order, activities.check_stock, customer=customer
        )
        self._messages: list[str] = []

    @workflow.run
    async def run(self, customer: str) -> int:
        await self.until_closed()
        return len(self._messages)

    @workflow.update
    async def send(self, text: str) -> str:
        number = len(self._messages) + 1
        result = await Runner.run(self._agent, text)
        answer = str(result.final_output)
        record = activities.TurnRecord(
            conversation=workflow.info().workflow_id,
            turn=number,
            message=text,
            answer=answer,
        )
        key = str(workflow.uuid4())
        await workflow.execute_activity(
            activities.save_to_database, args=[key, record], **RECORD
        )
        self._messages.append(text)
        if number % 3 == 0:
            await workflow.execute_activity(
                activities.process_batch,
                args=[key, self._messages[-3:], number // 3],
                **RECORD,
            )
        return answer


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


@conversation
class AuditedWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(
            juniper(activities.look_up_order, activities.check_stock, customer=customer)
        )

    async def turn(self, text: str) -> str:
        return (await self.answer(text, hooks=Audit(self.key))).text
