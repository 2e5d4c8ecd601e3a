"""Lesson 01, the naive way: each message reaches the agent alone, so it remembers nothing."""

from agents import Agent, Runner
from temporalio import workflow


@workflow.defn
class NaiveForgetfulWorkflow:
    @workflow.init
    def __init__(self, customer: str) -> None:
        self._agent = Agent(
            name="Juniper",
            instructions="You are the support agent of Juniper, a plant shop.",
        )
        self._closing = False

    @workflow.run
    async def run(self, customer: str) -> None:
        await workflow.wait_condition(
            lambda: self._closing and workflow.all_handlers_finished()
        )

    @workflow.update
    async def send(self, text: str) -> str:
        result = await Runner.run(
            self._agent, text
        )  # and result.to_input_list() is thrown away
        return str(result.final_output)

    @workflow.signal
    def close(self) -> None:
        self._closing = True
