"""The desk that goes on in a new run after its second turn: no death around that moment loses anything."""

from typing import Any, ClassVar

from tests.crash.desk import Desk
from tests.crash.sweep import CrashSweep
from tests.desks import ShortRunsDesk
from tests.lab_helpers import renewed


class LongRun(Desk):
    name = "long_run"
    workflows = (ShortRunsDesk,)
    activities: ClassVar = {
        "invoke_model_activity": 6,
        "look_up_order": 2,
        "save_to_database": 4,
        "send_notification": 4,
        "process_batch": 1,
        "generate_report": 1,
    }
    workflow_tasks = 18
    messages = ("Where is order 1043?", "Where is order 1042?", "Thank you.", "Hello again!")
    replies = 4

    async def play(self, sweep: CrashSweep, id: str) -> list[Any]:
        chat = await sweep.start(ShortRunsDesk, id)
        replies = [await self.send(chat, number) for number in (0, 1)]
        await renewed(chat, 2)
        replies += [await self.send(chat, number) for number in (2, 3, 1)]  # and one of the old run again
        summary = await chat.close(timeout=90)
        return [*replies, summary["turns"], summary["answered"]]

    async def send(self, chat: Any, number: int) -> str:
        return await chat.handle.execute_update("send", self.messages[number], id=f"message-{number}")
