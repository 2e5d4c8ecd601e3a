"""The desk while a new version is rolled out: two turns on the old one, the end of the second's run, and a third on the new one.

Each version has a worker of its own from the start, and either may be killed: `v2 before workflow task` is the rollout that
dies after the new version has been made current and before it has done anything.
"""

from typing import Any, ClassVar

from course import Lab, LabError
from course.desk import ConversationWorkflow
from course.lab.versions import Versioned
from tests.crash.desk import Desk
from tests.crash.sweep import CrashSweep
from tests.lab_helpers import renewed, until
from tests.versions import NewerDesk


class Deployment(Versioned):
    """Of one play: its queue is its own, and so are the versions of its workers."""

    def __init__(self, lab: Lab, id: str) -> None:
        self.temporal, self.workers, self.task_queue, self._talks = lab.temporal, lab.workers, id, {}

    async def is_made_current(self, version: str) -> bool:
        """False as long as the server has not heard of such a worker."""
        try:
            await self.make_current(version)
        except LabError:
            return False
        return True


class Versions(Desk):
    name = "versions"
    workflows = (ConversationWorkflow,)
    versions: ClassVar = {"v1": (ConversationWorkflow,), "v2": (NewerDesk,)}
    activities: ClassVar = {
        "invoke_model_activity": 4,
        "look_up_order": 1,
        "save_to_database": 3,
        "send_notification": 3,
        "process_batch": 1,
        "generate_report": 1,
    }
    done_by: ClassVar = {
        "v1": {
            "invoke_model_activity": 3,
            "look_up_order": 1,
            "save_to_database": 2,
            "send_notification": 2,
            "workflow task": 10,
        },
        "v2": {
            "invoke_model_activity": 1,
            "save_to_database": 1,
            "send_notification": 1,
            "process_batch": 1,
            "generate_report": 1,
            "workflow task": 7,
        },
    }
    messages = ("Where is order 1042?", "Thank you.", "Hello again!")
    replies = 3

    def every_point(self) -> list[str]:
        around = [
            f"{when} {name} #{n} of {version}"
            for version, done in self.done_by.items()
            for name, times in done.items()
            for n in range(1, times + 1)
            for when in ("before", "after")
        ]
        return [*around, "before reply #1 of v1", "before reply #2 of v1", "before reply #1 of v2"]

    async def play(self, sweep: CrashSweep, id: str) -> list[Any]:
        rollout = Deployment(sweep.lab, id)
        await until(lambda: rollout.is_made_current("v1"), "v1 is current", 180)
        chat = await sweep.start(ConversationWorkflow, id)
        replies = [await chat.send(self.messages[0], timeout=90)]
        # The turn's duties, too: a task after them would see the new version, and end the run.
        await chat.record.quiet(90)
        await until(lambda: rollout.is_made_current("v2"), "v2 is current", 90)
        replies.append(await chat.send(self.messages[1], timeout=90))
        await renewed(chat, 2)
        replies.append(await chat.send(self.messages[2], timeout=90))
        began_on = await chat.handle.query("began_on")
        summary = await chat.close(timeout=90)
        return [*replies, began_on, summary["turns"], summary["answered"]]
