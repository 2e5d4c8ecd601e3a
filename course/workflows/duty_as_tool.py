"""Lesson 04, one duty in the agent's hand: the model is told to save every turn."""

from agents import Agent
from temporalio import workflow
from temporalio.openai_agents.workflow import activity_as_tool

with workflow.unsafe.imports_passed_through():
    from course import activities
    from course.workflows.policies import RECORD, TOOL

from course.workflows.plain import PlainConversation

INSTRUCTIONS = """You are the support agent of Juniper, a plant shop. Look up what you do not know.
You must always record every message: call save_to_database with task_id='{key}' and, in data,
conversation='{conversation}', turn={turn}, customer='{customer}', the message, your answer, and
outcome='answered'."""


@workflow.defn
class DutyAsToolWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        self._customer = customer
        super().__init__(
            Agent(
                name="Juniper",
                tools=[
                    activity_as_tool(activities.look_up_order, **TOOL),
                    activity_as_tool(activities.save_to_database, **RECORD),
                ],
            )
        )

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()

    async def turn(self, text: str) -> str:
        self.agent.instructions = INSTRUCTIONS.format(
            key=self.key,
            conversation=workflow.info().workflow_id,
            turn=self.turns,
            customer=self._customer,
        )
        return (await self.answer(text)).text
