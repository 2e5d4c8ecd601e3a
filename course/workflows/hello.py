"""Lesson 01: an agent, made durable. Nothing else."""

from agents import Agent, Runner, TResponseInputItem
from temporalio import workflow


@workflow.defn
class HelloWorkflow:
    @workflow.init
    def __init__(self, customer: str) -> None:
        self._agent = Agent(
            name="Juniper",
            instructions="You are the support agent of Juniper, a plant shop.",
        )
        self._memory: list[TResponseInputItem] = []
        self._closing = False

    @workflow.run
    async def run(self, customer: str) -> int:
        await workflow.wait_condition(
            lambda: self._closing and workflow.all_handlers_finished()
        )
        return len(self._memory)

    @workflow.update
    async def send(self, text: str) -> str:
        result = await Runner.run(
            self._agent, [*self._memory, {"role": "user", "content": text}]
        )
        self._memory = result.to_input_list()
        return str(result.final_output)

    @workflow.signal
    def close(self) -> None:
        self._closing = True
