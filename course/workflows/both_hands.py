"""Lesson 04: the same activity in both hands, in one turn. Can the record tell them apart?"""

from agents import Agent
from temporalio import workflow
from temporalio.openai_agents.workflow import activity_as_tool

with workflow.unsafe.imports_passed_through():
    from course import activities
    from course.workflows.policies import TOOL

from course.workflows.plain import INSTRUCTIONS, PlainConversation


@workflow.defn
class BothHandsWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
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
        # The workflow's own look at the same order, with the same argument.
        await workflow.execute_activity(activities.look_up_order, "1042", **TOOL)
        return answer.text
