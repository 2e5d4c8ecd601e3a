"""One conversation, whose worker is killed at a point of its record: is anything lost, does anything happen twice?

Many at once, since most of the time is spent waiting for the timeouts that tell Temporal of a death: one lab,
and for each conversation a task queue and worker processes of its own. `python -m tests.crash_sweep` kills at
every point, and 200 times at random.
"""

import asyncio
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory

from course import Lab
from course.lab.processes import WorkerProcess, WorkerSettings
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
"""That every conversation has. A few more come when activities end one by one."""

Kill = str | float
"""A moment (`after save_to_database #2`), or seconds after the process has begun to work."""


def every_point() -> list[str]:
    things = [*ACTIVITIES.items(), ("workflow task", WORKFLOW_TASKS)]
    around = [f"{name} #{n}" for name, times in things for n in range(1, times + 1)]
    points = [f"{when} {one}" for one in around for when in ("before", "after")]
    return points + [f"before reply #{n}" for n in range(1, len(MESSAGES) + 1)]


def random_cuts(count: int, seed: int) -> list[tuple[Kill, ...]]:
    """By turns: once at any time, and at two points, the second of the process that took over."""
    dice = random.Random(seed)
    points = every_point()
    return [
        (dice.uniform(0, 1.5),) if n % 2 else (dice.choice(points), dice.choice(points)) for n in range(count)
    ]


class CountedModel(OfflineModel):
    """Writes down who asks it, every time, before it answers: what a provider would bill."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file

    async def get_response(self, *args: Any, **kwargs: Any) -> Any:
        info = activity.info()
        with self.file.open("a") as file:  # one short line: appended whole, whoever else writes
            file.write(f"{info.workflow_id} {info.activity_id} {os.getpid()}\n")
        return await super().get_response(*args, **kwargs)

    def asked(self, workflow_id: str) -> list[tuple[str, str]]:
        """A conversation's logical calls, by the activity's id, and the processes that asked: one an attempt."""
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        return [(call, pid) for id, call, pid in map(str.split, lines) if id == workflow_id]


@dataclass
class Outcome:
    """What became of one conversation."""

    kills: Sequence[Kill]
    at_death: list[Counter[str]] = field(default_factory=list)
    """For each death, what was there: rows by table, model calls, completed workflow tasks."""
    replies: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    asked_again: int = 0
    """How often the model was asked again since a call had been cut."""
    taken_for_dead: int = 0
    """How often it was asked again by the same process, which had been silent for too long on a busy machine."""
    seconds: float = 0

    def expect(self, what: str, seen: Sequence[Any], wanted: Sequence[Any]) -> None:
        """Compares as multisets."""
        missing, more = Counter(wanted) - Counter(seen), Counter(seen) - Counter(wanted)
        self.lost += [f"{what}: {one}" for one in missing.elements()]
        self.twice += [f"{what}: {one}" for one in more.elements()]


class CrashSweep:
    """One lab whose conversations each have a task queue of their own. Use it as `async with`."""

    def __init__(self, at_once: int) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._number = 0
        self._stack = AsyncExitStack()
        self._uncut: list[str] = []

    async def __aenter__(self) -> "CrashSweep":
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self.model = CountedModel(folder / "asked")
        self.lab = await Lab.start(workflows=[ConversationWorkflow], model=self.model, ui=False)
        self._stack.push_async_callback(self.lab.stop)
        uncut = await self.conversation()
        assert (uncut.lost, uncut.twice, uncut.asked_again) == ([], [], 0), uncut
        self._uncut = uncut.replies
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def conversations(self, cuts: Sequence[Sequence[Kill]]) -> AsyncIterator[Outcome]:
        """One conversation for each, as many at once as there are places; as they end."""

        async def one(kills: Sequence[Kill]) -> Outcome:
            async with self._places:
                return await self.conversation(*kills)

        for done in asyncio.as_completed([one(kills) for kills in cuts]):
            yield await done

    async def conversation(self, *kills: Kill) -> Outcome:
        """Three turns and the end. A worker process that is killed is replaced by the next one."""
        self._number += 1
        id = f"customer-{self._number:04}"
        outcome = Outcome(kills)
        began = time.monotonic()
        handle = await self.lab.client.start_workflow(
            ConversationWorkflow.run, id, id=id, task_queue=id, task_timeout=timedelta(seconds=3)
        )
        chat = self.lab.conversation(handle.id)
        working = asyncio.create_task(self._work(id, outcome))
        try:
            for message in MESSAGES:
                outcome.replies.append(await chat.send(message, timeout=90))
            summary = await chat.close(timeout=90)
        finally:
            working.cancel()
            await asyncio.wait([working])
        outcome.seconds = time.monotonic() - began
        self._compare(outcome, id, summary, await chat.history())
        return outcome

    async def _work(self, id: str, outcome: Outcome) -> None:
        """Worker processes, one after the other, the last of which is not killed."""
        settings: WorkerSettings = replace(self.lab.worker_settings(), task_queue=id)
        for kill in [*outcome.kills, None]:
            process = await WorkerProcess.start(settings, kill if isinstance(kill, str) else ())
            try:
                if isinstance(kill, float):
                    await asyncio.sleep(kill)
                    process.kill()
                while process.alive:
                    await asyncio.sleep(0.02)
                outcome.at_death.append(await self._there(id))
            finally:
                process.kill()

    def _keys(self, table: str, id: str) -> list[str]:
        return [key for key in self.lab.table(table)["task_id"] if key.split("/")[0] == id]

    async def _there(self, id: str) -> Counter[str]:
        completed = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        events = (await self.lab.conversation(id).history()).events
        there = Counter({table: len(self._keys(table, id)) for table in ("turns", "batches", "reports")})
        there["model calls"] = len({call for call, _ in self.model.asked(id)})
        there["workflow tasks"] = sum(event.event_type == completed for event in events)
        return there

    def _compare(self, outcome: Outcome, id: str, summary: Any, history: WorkflowHistory) -> None:
        outcome.expect("reply", outcome.replies, self._uncut or outcome.replies)
        outcome.expect("summary", [(summary["turns"], summary["answered"])], [(3, 3)])
        outcome.expect("turn", self._keys("turns", id), [f"{id}/turn-{n}" for n in (1, 2, 3)])
        outcome.expect("batch", self._keys("batches", id), [f"{id}/turn-3"])
        outcome.expect("report", self._keys("reports", id), [id])
        mails = [text for text in self.lab.inbox()["text"] if text.startswith(f"{id} ")]
        outcome.expect("mail", mails, [f"{id} wrote, and was answered: {message}" for message in MESSAGES])
        names = [name for name, _ in attempts(history)]
        outcome.expect("activity", names, [name for name, times in ACTIVITIES.items() for _ in range(times)])

        asked = self.model.asked(id)
        calls, processes = {call for call, _ in asked}, set(asked)
        outcome.expect("model call", sorted(calls), _model_calls(history))
        outcome.asked_again = len(processes) - len(calls)
        outcome.taken_for_dead = len(asked) - len(processes)
        on_record = sum(last for name, last in attempts(history) if name == "invoke_model_activity")
        if outcome.asked_again > len(outcome.at_death) or len(asked) > on_record:
            outcome.twice.append(
                f"model: {len(asked)} answers for {on_record} attempts on record, by {asked}"
            )


def _model_calls(history: WorkflowHistory) -> list[str]:
    scheduled = [event.activity_task_scheduled_event_attributes for event in history.events]
    return [one.activity_id for one in scheduled if one.activity_type.name == "invoke_model_activity"]


async def soak(seed: int) -> int:
    """Every point and 200 random cuts. Prints what was found; returns how many conversations were not whole."""
    points = every_point()
    cuts: list[Sequence[Kill]] = [*((point,) for point in points), *random_cuts(200, seed)]
    outcomes = []
    began = time.monotonic()
    async with CrashSweep(at_once=6) as sweep:
        async for outcome in sweep.conversations(cuts):
            outcomes.append(outcome)
            if outcome.lost or outcome.twice:
                print(f"{outcome.kills}: lost {outcome.lost}, twice {outcome.twice}", flush=True)
    not_whole = [o for o in outcomes if o.lost or o.twice]
    lost, twice = sum(len(o.lost) for o in outcomes), sum(len(o.twice) for o in outcomes)
    deaths = sum(len(o.at_death) for o in outcomes)
    print(f"points {len(points)}, random cuts {len(cuts) - len(points)} (seed {seed}), deaths {deaths}")
    print(f"lost {lost}, duplicated {twice}")
    again, slow = sum(o.asked_again for o in outcomes), sum(o.taken_for_dead for o in outcomes)
    print(f"model asked again for {again} calls that were cut, and for {slow} of a process taken for dead")
    print(f"{time.monotonic() - began:.0f} s")
    return len(not_whole)


if __name__ == "__main__":
    from tests import crash_sweep  # worker processes find CountedModel under this name, and not in __main__

    sys.exit(min(asyncio.run(crash_sweep.soak(seed=int(os.environ.get("SEED", "1")))), 1))
