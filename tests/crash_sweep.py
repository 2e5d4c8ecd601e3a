"""One conversation, whose worker is killed at a point of its record: is anything lost, does anything happen twice?

Many at once, since most of the time is spent waiting for the timeouts that tell Temporal of a death: one lab,
and for each conversation a task queue and worker processes of its own. `make soak` runs this as a program.
"""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio import activity

from course import Lab
from course.lab.processes import WorkerProcess
from course.models import OfflineModel
from course.workflows import ConversationWorkflow
from tests.lab_helpers import attempts

MESSAGES = ("Hello!", "Where is order 1042?", "Thank you.")

ACTIVITIES = {
    "invoke_model_activity": 4,  # the second turn asks, uses a tool, and asks again
    "look_up_order": 1,
    "save_to_database": 3,
    "send_notification": 3,
    "process_batch": 1,
    "generate_report": 1,
}
"""What one conversation does, and how often."""

WORKFLOW_TASKS = 15
"""That every conversation has. How many more there are depends on what comes together."""

Kill = str | float
"""A moment (`after save_to_database #2`), or seconds after the process has begun to work."""


def every_point() -> list[str]:
    things = [*ACTIVITIES.items(), ("workflow task", WORKFLOW_TASKS)]
    points = [
        f"{w} {name} #{n}" for name, times in things for n in range(1, times + 1) for w in ("before", "after")
    ]
    return points + [f"before reply #{n}" for n in range(1, len(MESSAGES) + 1)]


class CountedModel(OfflineModel):
    """Writes down every time that it is asked, in a file, before it answers: what a provider would bill."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file

    async def get_response(self, *args: Any, **kwargs: Any) -> Any:
        info = activity.info()
        with self.file.open("a") as file:  # one short line: appended whole, whoever else writes
            file.write(f"{info.workflow_id} {info.activity_id}\n")
        return await super().get_response(*args, **kwargs)

    def asked(self, workflow_id: str) -> Counter[str]:
        """How often each of a conversation's logical calls was asked, by its activity's id."""
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        return Counter(line.split()[1] for line in lines if line.split()[0] == workflow_id)


@dataclass
class Outcome:
    """What became of one conversation."""

    kills: tuple[Kill, ...]
    deaths: int = 0
    replies: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    asked_again: int = 0
    """How often the model was asked for an answer that it had given before: the call was cut."""
    took_over: list[float] = field(default_factory=list)
    """Seconds from each death to the next activity or workflow task that was completed."""

    @property
    def whole(self) -> bool:
        return not self.lost and not self.twice

    def expect(self, what: str, seen: Sequence[Any], wanted: Sequence[Any]) -> None:
        """Compares as multisets."""
        missing, more = Counter(wanted) - Counter(seen), Counter(seen) - Counter(wanted)
        self.lost += [f"{what}: {one}" for one in missing.elements()]
        self.twice += [f"{what}: {one}" for one in more.elements()]


class CrashSweep:
    """One lab whose conversations each have a task queue of their own. Use it as `async with`."""

    def __init__(self) -> None:
        self._number = 0
        self._stack = AsyncExitStack()
        self._uncut: list[str] = []

    async def __aenter__(self) -> "CrashSweep":
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self.model = CountedModel(folder / "asked")
        self.lab = await Lab.start(workflows=[ConversationWorkflow], model=self.model, ui=False)
        self._stack.push_async_callback(self.lab.stop)
        uncut = await self.conversation()
        assert uncut.whole, uncut
        self._uncut = uncut.replies
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def conversation(self, *kills: Kill) -> Outcome:
        """Three turns and the end. A worker process that is killed is replaced by the next one."""
        self._number += 1
        customer = f"customer-{self._number:04}"
        outcome = Outcome(kills)
        settings = replace(self.lab.worker_settings(), task_queue=customer)
        handle = await self.lab.client.start_workflow(
            ConversationWorkflow.run,
            customer,
            id=customer,
            task_queue=customer,
            task_timeout=timedelta(seconds=3),
        )
        working = asyncio.create_task(_work(settings, kills, outcome))
        try:
            chat = self.lab.conversation(handle.id)
            for message in MESSAGES:
                outcome.replies.append(await chat.send(message, timeout=90))
            summary = await chat.close(timeout=90)
        finally:
            working.cancel()
            await asyncio.wait([working])
        history = await chat.history()
        self._compare(outcome, customer, summary, history)
        return outcome

    def _compare(self, outcome: Outcome, id: str, summary: Any, history: Any) -> None:
        outcome.expect("reply", outcome.replies, self._uncut or outcome.replies)
        outcome.expect("summary", [(summary["turns"], summary["answered"])], [(3, 3)])
        keys = {
            "turns": [f"{id}/turn-{n}" for n in (1, 2, 3)],
            "batches": [f"{id}/turn-3"],
            "reports": [id],
        }
        for table, wanted in keys.items():
            rows = self.lab.table(table)["task_id"]
            outcome.expect(table, [key for key in rows if key.split("/")[0] == id], wanted)
        notices = [f"{id} wrote, and was answered: {message}" for message in MESSAGES]
        outcome.expect(
            "mail", [text for text in self.lab.inbox()["text"] if text.startswith(f"{id} ")], notices
        )
        done = attempts(history)
        outcome.expect(
            "activity", [name for name, _ in done], [n for n, k in ACTIVITIES.items() for _ in range(k)]
        )
        asked = self.model.asked(id)
        outcome.expect("model call", list(asked), _model_calls(history))
        outcome.asked_again = asked.total() - len(asked)
        if outcome.asked_again > outcome.deaths or max(asked.values(), default=0) > 1 + outcome.deaths:
            outcome.twice.append(f"model asked again {outcome.asked_again} times: {asked}")


def _model_calls(history: Any) -> list[str]:
    scheduled = [e.activity_task_scheduled_event_attributes for e in history.events]
    return [s.activity_id for s in scheduled if s.activity_type.name == "invoke_model_activity"]


async def _work(settings: Any, kills: Sequence[Kill], outcome: Outcome) -> None:
    """Worker processes, one after the other, the last of which is not killed."""
    for kill in [*kills, None]:
        process = await WorkerProcess.start(settings, kill if isinstance(kill, str) else None)
        try:
            if isinstance(kill, float):
                await asyncio.sleep(kill)
                process.kill()
            while process.alive:
                await asyncio.sleep(0.02)
            outcome.deaths += 1
        finally:
            process.kill()
