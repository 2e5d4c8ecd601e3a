"""What the small workflows have in common: memory, one message at a time, an end."""

import asyncio
from typing import Any

from agents import Agent, TResponseInputItem
from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from course.desk.answering import Answer, ask
    from course.desk.duties import Duties
    from course.desk.messages import check_message

INSTRUCTIONS = "You are the support agent of Juniper, a shop for house plants. Look up what you do not know."


class PlainConversation:
    """A conversation with one agent. A workflow derives from it, gives it the agent, and has a `run`."""

    def __init__(self, agent: Agent[Any]) -> None:
        self.agent = agent
        self.turns = 0
        self._memory: list[TResponseInputItem] = []
        self._one_at_a_time = asyncio.Lock()
        self._closing = False
        self.closing_words = "The conversation is closing and takes no more messages."

    async def until_closed(self) -> int:
        """The life of the conversation. Returns its number of turns."""
        await workflow.wait_condition(
            lambda: self._closing and workflow.all_handlers_finished()
        )
        return self.turns

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

    @workflow.signal
    def close(self) -> None:
        self._closing = True

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
        await workflow.wait_condition(lambda: self.is_idle() and self._closing)
        return self.turns
