"""Lesson 11: one agent with every tool, told in words what it may not do where."""

from typing import Any

from agents import Agent
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from course.desk.policies import RECORD
    from course.lessons import records

from course.lessons.lesson_11.machine import TOOLS
from course.lessons.lesson_11.ticket import Answered, tool
from course.lessons.plain_conversation import PlainConversation, conversation

INSTRUCTIONS = """You are the support agent of Juniper, a plant shop. A ticket begins in triage.
In triage you only sort: NEVER pay a refund there. Move on to clarify or resolve.
In clarify you ask for what is missing. NEVER pay a refund there, either.
In resolve you do what the customer asks for, and move on to confirm.
In confirm you find out whether the customer is content. Only then move to closed."""


@conversation
class OneAgentWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        self._customer = customer
        super().__init__(self._agent_in("triage"))
        self._state = "triage"
        self._moves = 0

    def _agent_in(self, state: str) -> Agent[Any]:
        return Agent(
            name="Juniper",
            instructions=f"{INSTRUCTIONS}\nThe ticket is in {state} now.",
            tools=[tool(name, self._customer) for name in TOOLS],
            output_type=Answered,
        )

    async def turn(self, text: str) -> str:
        self.agent = self._agent_in(self._state)
        answer = await self.answer(text)
        if isinstance(answer.output, Answered) and answer.output.move:
            await self._moved(answer.output.move)
        return answer.output.reply if isinstance(answer.output, Answered) else answer.text

    async def _moved(self, to_state: str) -> None:
        self._moves += 1
        record = records.MoveRecord(
            ticket=workflow.info().workflow_id,
            from_state=self._state,
            to_state=to_state,
            by="model",
            outcome="moved",
        )
        key = f"{workflow.info().workflow_id}/move-{self._moves}"
        await workflow.execute_activity(records.record_move, args=[key, record], **RECORD)
        self._state = to_state
