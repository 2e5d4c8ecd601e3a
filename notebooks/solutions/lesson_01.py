"""Exercise 01: an agent, made durable."""

import asyncio

from agents import Agent, Runner, TResponseInputItem
from temporalio import workflow


@workflow.defn
class DurableAgent:
    """One customer's conversation with one agent."""

    @workflow.init
    def __init__(self, customer: str) -> None:
        self.agent = Agent(name="Juniper", instructions="You are the support agent of Juniper, a plant shop.")
        self.memory: list[TResponseInputItem] = []
        self.one_at_a_time = asyncio.Lock()
        self.closing = False

    @workflow.run
    async def run(self, customer: str) -> None:
        """The life of the conversation: it ends when it has been closed and nobody waits for a reply."""
        await workflow.wait_condition(lambda: self.closing and workflow.all_handlers_finished())

    @workflow.update
    async def send(self, text: str) -> str:
        """One turn: a message comes in, the agent's reply goes out."""
        async with self.one_at_a_time:  # the next message is answered with this one in mind
            result = await Runner.run(self.agent, [*self.memory, {"role": "user", "content": text}])
            self.memory = result.to_input_list()
            return str(result.final_output)

    @workflow.signal
    def close(self) -> None:
        """Ends the conversation."""
        self.closing = True
