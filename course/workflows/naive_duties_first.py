"""Lesson 05, the naive way: every duty stands before the reply, so the reply waits for all of them."""

from agents import Agent
from temporalio import workflow
from temporalio.openai_agents.workflow import activity_as_tool

with workflow.unsafe.imports_passed_through():
    from course import activities
    from course.workflows.policies import BACKGROUND, RECORD, TOOL

from course.workflows.plain import INSTRUCTIONS, PlainConversation


@workflow.defn
class NaiveDutiesFirstWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        self._customer = customer
        tools = [activity_as_tool(activities.look_up_order, **TOOL)]
        super().__init__(Agent(name="Juniper", instructions=INSTRUCTIONS, tools=tools))

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()

    async def turn(self, text: str) -> str:
        answer = await self.answer(text)
        record = activities.TurnRecord(
            conversation=workflow.info().workflow_id,
            turn=self.turns,
            customer=self._customer,
            message=text,
            answer=answer.text,
            outcome=answer.outcome,
        )
        await workflow.execute_activity(
            activities.save_to_database, args=[self.key, record], **RECORD
        )
        notice = f"{self._customer} wrote, and was {answer.outcome}: {text}"
        await workflow.execute_activity(
            activities.send_notification, args=[self.key, notice, "email"], **BACKGROUND
        )
        return answer.text
