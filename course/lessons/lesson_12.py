"""Lesson 12: one workflow run for ever; two ways to keep a conversation small, each alone and both together; and two
places in which to unpack what a new run takes along.

A new run (continue-as-new) begins with an empty history. A window lets the agent forget.
"""

from dataclasses import dataclass, field
from typing import Any

from agents import Agent, Runner, TResponseInputItem
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from course.desk import activities
    from course.desk.activities import Customer
    from course.desk.policies import TOOL
    from course.desk.tools import customers_tool

from course.lessons.plain_conversation import (
    INSTRUCTIONS,
    PlainConversation,
    UntilClosed,
    juniper,
)


@workflow.defn
class WholeMemoryWorkflow(UntilClosed):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__()
        self._agent = juniper(activities.look_up_order, customer=customer)
        self._memory: list[TResponseInputItem] = []
        self._turns = 0

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()

    async def until_closed(self) -> int:
        await super().until_closed()
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


TURNS_A_RUN = 3
"""After so many turns a new workflow run begins. Few, so that you see it happen."""

WINDOW = 3
"""The turns that the agent is given word for word."""


@dataclass
class Carried:
    """What a conversation takes along into a new workflow run."""

    turns: int = 0
    memory: list[dict[str, Any]] = field(default_factory=list)


def last_turns(memory: list[TResponseInputItem], turns: int) -> list[TResponseInputItem]:
    """The last turns of a conversation, whole ones: a turn begins with the customer's message."""
    begins = [at for at, item in enumerate(memory) if item.get("role") == "user"]
    return memory[begins[-turns] :] if len(begins) > turns else memory


class LongConversation(PlainConversation):
    """What the three desks share. They differ in `renews` and `forgets`."""

    renews = True
    forgets = True

    def __init__(self, customer: str, carried: Carried | None) -> None:
        tools = [customers_tool(Customer(customer), activities.look_up_order, **TOOL)]
        super().__init__(Agent(name="Juniper", instructions=INSTRUCTIONS, tools=tools))
        self.customer = customer
        if carried:
            self.turns, self._memory = carried.turns, carried.memory
        self._turns_before = self.turns

    async def until_closed(self) -> int:
        await workflow.wait_condition(lambda: self._closing or self._is_full())
        await workflow.wait_condition(workflow.all_handlers_finished)
        if not self._closing:
            carried = Carried(self.turns, self._memory)
            workflow.continue_as_new(args=[self.customer, carried])
        return self.turns

    async def turn(self, text: str) -> str:
        answer = await self.answer(text)
        if self.forgets:
            self._memory = last_turns(self._memory, WINDOW)
        return answer.text

    def _is_full(self) -> bool:
        suggested = workflow.info().is_continue_as_new_suggested()
        enough = self.turns - self._turns_before >= TURNS_A_RUN
        return self.renews and (suggested or enough)


@workflow.defn
class OnlyNewRunsWorkflow(LongConversation):
    forgets = False

    @workflow.init
    def __init__(self, customer: str, carried: Carried | None = None) -> None:
        super().__init__(customer, carried)

    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> int:
        return await self.until_closed()


@workflow.defn
class OnlyWindowWorkflow(LongConversation):
    renews = False

    @workflow.init
    def __init__(self, customer: str, carried: Carried | None = None) -> None:
        super().__init__(customer, carried)

    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> int:
        return await self.until_closed()


@workflow.defn
class BoundedWorkflow(LongConversation):
    @workflow.init
    def __init__(self, customer: str, carried: Carried | None = None) -> None:
        super().__init__(customer, carried)

    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> int:
        return await self.until_closed()


@workflow.defn
class UnpackedInRunWorkflow(PlainConversation):
    def __init__(self) -> None:
        super().__init__(Agent(name="Juniper", instructions=INSTRUCTIONS))

    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> int:
        if carried:
            self.turns, self._memory = carried.turns, carried.memory
        full = self.turns + TURNS_A_RUN
        await workflow.wait_condition(lambda: self._closing or self.turns >= full)
        await workflow.wait_condition(workflow.all_handlers_finished)
        if not self._closing:
            carried = Carried(self.turns, self._memory)
            workflow.continue_as_new(args=[customer, carried])
        return self.turns


@workflow.defn(name="WholeMemoryWorkflow")
class LastTurnWorkflow(WholeMemoryWorkflow):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(customer)

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()

    def remembered(self) -> list[TResponseInputItem]:
        return last_turns(self._memory, 1)
