"""Lesson 04, the same duty in the workflow's hand: code saves every turn."""

from agents import Agent
from temporalio import workflow
from temporalio.openai_agents.workflow import activity_as_tool

with workflow.unsafe.imports_passed_through():
    from course import activities
    from course.workflows.policies import RECORD, TOOL

from course.workflows.plain import INSTRUCTIONS, PlainConversation


@workflow.defn
class DutyAsStepWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        self._customer = customer
        super().__init__(
            Agent(
                name="Juniper",
                instructions=INSTRUCTIONS,
                tools=[activity_as_tool(activities.look_up_order, **TOOL)],
            )
        )

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
        args = [self.key, record]
        await workflow.execute_activity(activities.save_to_database, args=args, **RECORD)
        return answer.text
