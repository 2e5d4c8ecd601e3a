"""Edits of the desk that do not fit its recorded histories."""

import asyncio

from temporalio import workflow

from course.desk import ConversationWorkflow
from course.desk.conversation import Turn
from course.lessons.lesson_09 import GrowingWorkflow
from tests.inheriting import inherits_run


@workflow.defn(name="ConversationWorkflow")
@inherits_run
class WithoutNotice(ConversationWorkflow):
    async def _tell_the_team(self, turn: Turn) -> None: ...


@workflow.defn(name="ConversationWorkflow")
@inherits_run
class WithTimer(ConversationWorkflow):
    async def _write_report(self) -> None:
        await asyncio.sleep(60)
        await super()._write_report()


@workflow.defn(name="ConversationWorkflow")
@inherits_run
class SavesTwice(ConversationWorkflow):
    async def _save(self, turn: Turn, answer: str, outcome: str) -> None:
        for _ in range(2):
            await super()._save(turn, answer, outcome)


@workflow.defn(name="ConversationWorkflow")
@inherits_run
class Raises(ConversationWorkflow):
    async def _save(self, turn: Turn, answer: str, outcome: str) -> None:
        raise LookupError("a mistake in the new code")


@workflow.defn(name="GrowingWorkflow")
@inherits_run
class Deprecated(GrowingWorkflow):
    """The patch of GrowingPatchedWorkflow when no run from before it is left."""

    async def turn(self, text: str) -> str:
        answer = await self.answer(text)
        await self.save(text, answer)
        workflow.deprecate_patch("tell-the-team")
        self.tell_the_team(text)
        return answer.text


@workflow.defn(name="GrowingWorkflow")
@inherits_run
class AsksInEveryTurn(GrowingWorkflow):
    """Asks in turn 1 already for the patch that GrowingPerTurnWorkflow has first asked for in turn 2."""

    async def turn(self, text: str) -> str:
        answer = await self.answer(text)
        await self.save(text, answer)
        if workflow.patched("tell-the-team/turn-2"):
            self.tell_the_team(text)
        return answer.text


@workflow.defn(name="GrowingWorkflow")
@inherits_run
class WithoutTools(GrowingWorkflow):
    async def turn(self, text: str) -> str:
        self.agent.tools = []
        return await super().turn(text)


@workflow.defn(name="GrowingWorkflow")
@inherits_run
class WithChild(GrowingWorkflow):
    async def turn(self, text: str) -> str:
        answer = await super().turn(text)
        await workflow.start_child_workflow("GrowingWorkflow", "ada", id=f"{self.turns}")
        return answer
