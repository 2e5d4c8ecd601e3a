"""What the small workflows share: an agent, memory, one message at a time, an end."""

import asyncio
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from agents import Agent, Tool, TResponseInputItem
from temporalio import workflow
from temporalio.exceptions import ApplicationError
from temporalio.openai_agents.workflow import activity_as_tool

with workflow.unsafe.imports_passed_through():
    from course.desk.activities import Customer
    from course.desk.answering import Answer, ask
    from course.desk.duties import Duties
    from course.desk.messages import check_message
    from course.desk.policies import TOOL
    from course.desk.tools import customers_tool

INSTRUCTIONS = "You are the support agent of Juniper, a shop for house plants. Look up what you do not know."
MAY_REFUND = "You are the support agent of Juniper, a plant shop. You may refund an order."


def as_tool(activity: Callable[..., Any], customer: str) -> Tool:
    """An activity as a tool: one that takes a customer is given this one, whatever the model says."""
    if "customer" in inspect.signature(activity).parameters:
        return customers_tool(Customer(customer), activity, **TOOL)
    return activity_as_tool(activity, **TOOL)


def juniper(
    *activities: Callable[..., Any],
    customer: str = "",
    instructions: str = INSTRUCTIONS,
    tools: Sequence[Tool] = (),
    **options: Any,
) -> Agent[Any]:
    """The shop's agent for one customer. Its tools are these activities, and then `tools`."""
    as_tools = [as_tool(activity, customer) for activity in activities]
    return Agent(
        name="Juniper", instructions=instructions, tools=[*as_tools, *tools], **options
    )


def conversation(cls: type) -> type:
    """Makes a workflow of a class whose `run` is nothing but `until_closed`.

    Temporal wants a `run` in each workflow class itself: a base class's does not count.
    """

    async def run(self, customer: str) -> int:
        return await self.until_closed()

    run.__module__, run.__qualname__ = cls.__module__, f"{cls.__qualname__}.run"
    cls.run = workflow.run(run)
    return workflow.defn(cls)


class UntilClosed:
    """A workflow that lives until somebody closes it."""

    def __init__(self) -> None:
        self.turns = 0
        self._closing = False

    async def until_closed(self) -> int:
        """The life of the workflow. Returns its number of turns."""
        await workflow.wait_condition(
            lambda: self._closing and workflow.all_handlers_finished()
        )
        return self.turns

    @workflow.signal
    def close(self) -> None:
        self._closing = True


class PlainConversation(UntilClosed):
    """A conversation with one agent. A workflow derives from it, gives it the agent, and has a `run`."""

    def __init__(self, agent: Agent[Any]) -> None:
        super().__init__()
        self.agent = agent
        self._memory: list[TResponseInputItem] = []
        self._one_at_a_time = asyncio.Lock()
        self.closing_words = "The conversation is closing and takes no more messages."

    @workflow.update
    async def send(self, text: str) -> str:
        async with self._one_at_a_time:
            self.turns += 1
            return await self.turn(text)

    @send.validator
    def check_send(self, text: str) -> None:
        if self._closing:
            raise ApplicationError(self.closing_words)
        try:
            check_message(text)
        except ValueError as error:
            raise ApplicationError(str(error)) from None

    async def turn(self, text: str) -> str:
        """One turn. A workflow that has duties besides the answer overrides it."""
        return (await self.answer(text)).text

    async def answer(self, text: str, **options: Any) -> Answer:
        answer = await ask(self.agent, self._memory, text, **options)
        self._memory = answer.memory
        return answer

    @property
    def key(self) -> str:
        """Names this turn: what its duties are keyed by."""
        return f"{workflow.info().workflow_id}/turn-{self.turns}"


class DutifulConversation(Duties, PlainConversation):
    """Does not end before its duties have."""

    def __init__(self, agent: Agent[Any]) -> None:
        Duties.__init__(self)
        PlainConversation.__init__(self, agent)

    async def until_closed(self) -> int:
        try:
            await workflow.wait_condition(lambda: self.is_idle() and self._closing)
        except asyncio.CancelledError:
            self._closing = True  # and takes no more messages
            await workflow.wait_condition(self.is_idle)
            raise
        return self.turns
