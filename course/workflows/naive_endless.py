"""Lesson 12, the naive way: one run for ever, and every model call carries all that was ever said."""

from agents import Agent, Runner, TResponseInputItem
from temporalio import workflow
from temporalio.openai_agents.workflow import activity_as_tool

with workflow.unsafe.imports_passed_through():
    from course import activities
    from course.workflows.policies import TOOL

from course.workflows.plain import INSTRUCTIONS


@workflow.defn
class NaiveEndlessWorkflow:
    @workflow.init
    def __init__(self, customer: str) -> None:
        tools = [activity_as_tool(activities.look_up_order, **TOOL)]
        self._agent = Agent(name="Juniper", instructions=INSTRUCTIONS, tools=tools)
        self._memory: list[TResponseInputItem] = []
        self._turns = 0
        self._closing = False

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()

    async def until_closed(self) -> int:
        await workflow.wait_condition(
            lambda: self._closing and workflow.all_handlers_finished()
        )
        return self._turns

    @workflow.update
    async def send(self, text: str) -> str:
        self._turns += 1
        conversation = [*self.remembered(), {"role": "user", "content": text}]
        result = await Runner.run(self._agent, conversation)
        self._memory = result.to_input_list()
        return str(result.final_output)

    def remembered(self) -> list[TResponseInputItem]:
        return self._memory

    @workflow.signal
    def close(self) -> None:
        self._closing = True
