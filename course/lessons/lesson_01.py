"""Lesson 01: an agent, made durable; one that is given each message alone; and one whose code does not do the same twice."""

import asyncio
import re
import time

from agents import Agent, Runner, TResponseInputItem
from temporalio import workflow

from course.lessons.plain_conversation import UntilClosed, juniper

INSTRUCTIONS = "You are the support agent of Juniper, a plant shop."


@workflow.defn
class HelloWorkflow:
    @workflow.init
    def __init__(self, customer: str) -> None:
        self._agent = Agent(name="Juniper", instructions=INSTRUCTIONS)
        self._memory: list[TResponseInputItem] = []
        self._one_at_a_time = asyncio.Lock()
        self._closing = False

    @workflow.run
    async def run(self, customer: str) -> int:
        await workflow.wait_condition(
            lambda: self._closing and workflow.all_handlers_finished()
        )
        return len(self._memory)

    @workflow.update
    async def send(self, text: str) -> str:
        async with self._one_at_a_time:
            result = await Runner.run(
                self._agent, [*self._memory, {"role": "user", "content": text}]
            )
            self._memory = result.to_input_list()
            return str(result.final_output)

    @workflow.signal
    def close(self) -> None:
        self._closing = True


@workflow.defn
class MessageAloneWorkflow(UntilClosed):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__()
        self._agent = juniper(instructions=INSTRUCTIONS)

    @workflow.run
    async def run(self, customer: str) -> None:
        await self.until_closed()

    @workflow.update
    async def send(self, text: str) -> str:
        result = await Runner.run(self._agent, text)
        return str(result.final_output)


# Without failure_exception_types= such a mistake fails nothing: the workflow waits for fixed code (lesson 06).
@workflow.defn(failure_exception_types=[workflow.NondeterminismError])
class ClockAndSetWorkflow(UntilClosed):
    @workflow.run
    async def run(self, customer: str) -> None:
        await self.until_closed()

    @workflow.update
    async def send(self, text: str) -> str:
        if "time" in text:
            return f"It is {time.ctime(time.time())}."
        return " ".join(set(re.findall(r"\d{4}", text)))
