"""A real server, and a desk whose answers are another framework's: its history is kept."""

from pathlib import Path
from typing import Any

from temporalio import workflow
from temporalio.testing import WorkflowEnvironment

from tests.histories import activities as acts
from tests.histories.conversation import Conversation, step
from tests.histories.playing import IDENTITY, SERVER, record

RECORDED = Path(__file__).parent / "recorded"


class Desk(Conversation):
    """A step of the workflow's own before and after each answer of `self.answer`, which is the framework's."""

    @workflow.run
    async def run(self) -> None:
        await step(acts.notify, "open")
        await self.until_closed()

    async def answer(self, text: str) -> str:
        raise NotImplementedError

    async def turn(self, text: str) -> str:
        await step(acts.look_up, 1)
        reply = await self.answer(text)
        await step(acts.record, "x")
        return reply


async def play(name: str, desk: type[Desk], plugin: Any) -> None:
    async with await WorkflowEnvironment.start_local(
        identity=IDENTITY, dev_server_existing_path=SERVER, dev_server_log_level="error", ip="127.0.0.1"
    ) as environment:
        await record(environment, RECORDED / f"{name}.json", desk, plugin)
