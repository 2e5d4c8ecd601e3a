"""Edits of the desk that do not fit its recorded histories."""

import asyncio

from temporalio import workflow

from course.desk import ConversationWorkflow
from course.desk.conversation import Summary, Turn
from course.lessons.lesson_09 import Carried, GrowingDesk


@workflow.defn(name="ConversationWorkflow")
class WithoutNotice(ConversationWorkflow):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(customer)

    @workflow.run
    async def run(self, customer: str) -> Summary:
        return await super().run(customer)

    async def _tell_the_team(self, turn: Turn) -> None: ...


@workflow.defn(name="ConversationWorkflow")
class WithTimer(ConversationWorkflow):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(customer)

    @workflow.run
    async def run(self, customer: str) -> Summary:
        return await super().run(customer)

    async def _write_report(self) -> None:
        await asyncio.sleep(60)
        await super()._write_report()


@workflow.defn(name="ConversationWorkflow")
class SavesTwice(ConversationWorkflow):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(customer)

    @workflow.run
    async def run(self, customer: str) -> Summary:
        return await super().run(customer)

    async def _save(self, turn: Turn, answer: str, outcome: str) -> None:
        for _ in range(2):
            await super()._save(turn, answer, outcome)


@workflow.defn(name="ConversationWorkflow")
class Raises(ConversationWorkflow):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(customer)

    @workflow.run
    async def run(self, customer: str) -> Summary:
        return await super().run(customer)

    async def _save(self, turn: Turn, answer: str, outcome: str) -> None:
        raise LookupError("a mistake in the new code")


@workflow.defn(name="GrowingWorkflow")
class Deprecated(GrowingDesk):
    """The patch of GrowingPatchedWorkflow when no run from before it is left."""

    @workflow.init
    def __init__(self, customer: str, carried: Carried | None = None) -> None:
        super().__init__(customer, carried)

    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> int:
        return await self.until_closed()

    async def turn(self, text: str) -> str:
        answer = await self.answer(text)
        await self.save(text, answer)
        workflow.deprecate_patch("tell-the-team")
        self.tell_the_team(text)
        return answer.text
