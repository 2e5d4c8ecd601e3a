"""A story whose worker is killed at a point of its record: is anything lost, does anything happen twice?

Many plays of it at once, since most of the time is spent waiting for the timeouts that tell Temporal of a
death: one lab, and for each play a task queue and worker processes of its own.
"""

import asyncio
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.common import WorkerDeploymentVersion

from course import Lab
from course.lab import Conversation
from course.lab.processes import WorkerProcess
from course.lab.running import WorkerSettings
from course.models import OfflineModel
from tests.lab_helpers import attempts

Kill = str | float
"""A moment (`after save_to_database #2`, of a version: `… #2 of v1`), or seconds after the process has begun to work."""

Found = Mapping[str, Sequence[Any]]
"""Effects by what they are: `{"turn": ["ada/turn-1", …], "mail": […]}`."""


class Scenario:
    """A story to be played. `id` is a name of its own for each play: a workflow's id, and the customer's name."""

    name: str
    workflows: Sequence[type]
    versions: Mapping[str, Sequence[type]] = MappingProxyType({})
    """By build id, the workflows of each version: each has a worker of its own. Default: one worker, without a version."""
    activities: Mapping[str, int]
    """What one play does, and how often, its child workflows included."""
    workflow_tasks: int
    """Those that every play has. A few more come when activities end one by one."""
    replies: int
    """How many updates are answered."""

    async def play(self, sweep: "CrashSweep", id: str) -> list[Any]:
        """From the start to the end. Returns what those outside were told: the same in every play."""
        raise NotImplementedError

    def effects(self, lab: Lab, id: str) -> Found:
        """What this play has caused so far."""
        raise NotImplementedError

    def wanted(self, id: str) -> Found:
        """What it causes, each thing once."""
        raise NotImplementedError

    async def histories(self, lab: Lab, id: str) -> list[WorkflowHistory]:
        """All runs of all its workflows."""
        return await lab.conversation(id).record.histories()

    def every_point(self) -> list[str]:
        things = [*self.activities.items(), ("workflow task", self.workflow_tasks)]
        around = [f"{name} #{n}" for name, times in things for n in range(1, times + 1)]
        points = [f"{when} {one}" for one in around for when in ("before", "after")]
        return points + [f"before reply #{n}" for n in range(1, self.replies + 1)]

    def random_cuts(self, count: int, seed: int) -> list[tuple[Kill, ...]]:
        """By turns: once at any time, and at two points, the second of the process that took over."""
        dice = random.Random(seed)
        points = self.every_point()
        return [
            (dice.uniform(0, 1.5),) if n % 2 else (dice.choice(points), dice.choice(points))
            for n in range(count)
        ]


def keys(lab: Lab, table: str, id: str, column: str = "task_id") -> list[str]:
    """The keys of a table's rows that belong to a play."""
    return [key for key in lab.table(table)[column] if key.split("/")[0] == id]


class CountedModel(OfflineModel):
    """Writes down who asks it, every time, before it answers: what a provider would bill."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file

    async def get_response(self, *args: Any, **kwargs: Any) -> Any:
        info = activity.info()
        call = f"{info.workflow_run_id}/{info.activity_id}"
        with self.file.open("a") as file:  # one short line: appended whole, whoever else writes
            file.write(f"{info.workflow_id} {call} {os.getpid()}\n")
        return await super().get_response(*args, **kwargs)

    def asked(self, play: str) -> list[tuple[str, str]]:
        """A play's logical calls, and the processes that asked: one an attempt."""
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        return [(call, pid) for id, call, pid in map(str.split, lines) if id.split("/")[0] == play]


@dataclass
class Outcome:
    """What became of one play."""

    kills: Sequence[Kill]
    at_death: list[Counter[str]] = field(default_factory=list)
    """For each death, what was there: effects, model calls, completed workflow tasks."""
    told: list[Any] = field(default_factory=list)
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
    """One lab in which each play has a task queue of its own. Use it as `async with`."""

    def __init__(self, scenario: Scenario, at_once: int) -> None:
        self.scenario = scenario
        self._places = asyncio.Semaphore(at_once)
        self._number = 0
        self._stack = AsyncExitStack()
        self._uncut: list[Any] | None = None

    async def __aenter__(self) -> "CrashSweep":
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self.model = CountedModel(folder / "asked")
        self.lab = await Lab.start(workflows=self.scenario.workflows, model=self.model, ui=False)
        self._stack.push_async_callback(self.lab.stop)
        uncut = await self.play()
        assert (uncut.lost, uncut.twice, uncut.asked_again) == ([], [], 0), uncut
        self._uncut = uncut.told
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def plays(self, cuts: Sequence[Sequence[Kill]]) -> AsyncIterator[Outcome]:
        """One play for each, as many at once as there are places; as they end."""

        async def one(kills: Sequence[Kill]) -> Outcome:
            async with self._places:
                return await self.play(*kills)

        for done in asyncio.as_completed([one(kills) for kills in cuts]):
            yield await done

    async def start(self, workflow: Any, id: str, customer: str = "") -> Conversation:
        """Starts a play's workflow on the play's own task queue, with the lab's timeout of a workflow task.

        A play that is about an order's owner names the `customer`; any other has one of its own.
        """
        run, options = workflow.run, {"task_queue": id, "task_timeout": timedelta(seconds=3)}
        await self.lab.client.start_workflow(run, customer or id, id=id, **options)
        return self.lab.conversation(id)

    async def play(self, *kills: Kill) -> Outcome:
        """From the start to the end. A worker process that is killed is replaced by the next one."""
        self._number += 1
        id = f"customer-{self._number:04}"
        outcome = Outcome(kills)
        began = time.monotonic()
        working = asyncio.create_task(self._work(id, outcome))
        try:
            outcome.told = [str(one).replace(id, "ID") for one in await self.scenario.play(self, id)]
        finally:
            working.cancel()
            await asyncio.wait([working])
        outcome.seconds = time.monotonic() - began
        self._compare(outcome, id, await self.scenario.histories(self.lab, id))
        return outcome

    async def _work(self, id: str, outcome: Outcome) -> None:
        settings: WorkerSettings = replace(self.lab.workers.settings, task_queue=id)
        workers = [
            replace(settings, workflows=workflows, version=WorkerDeploymentVersion(id, build_id))
            for build_id, workflows in self.scenario.versions.items()
        ]
        await asyncio.gather(*(self._serve(one, id, outcome) for one in workers or [settings]))

    async def _serve(self, settings: WorkerSettings, id: str, outcome: Outcome) -> None:
        """Worker processes, one after the other, the last of which is not killed."""
        for kill in [*_kills_of(settings, outcome.kills), None]:
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

    async def _there(self, id: str) -> Counter[str]:
        completed = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        histories = await self.scenario.histories(self.lab, id)
        there = Counter({what: len(found) for what, found in self.scenario.effects(self.lab, id).items()})
        there["model call"] = len({call for call, _ in self.model.asked(id)})
        there["workflow task"] = sum(e.event_type == completed for h in histories for e in h.events)
        return there

    def _compare(self, outcome: Outcome, id: str, histories: Sequence[WorkflowHistory]) -> None:
        outcome.expect("told", outcome.told, outcome.told if self._uncut is None else self._uncut)
        found = self.scenario.effects(self.lab, id)
        for what, wanted in self.scenario.wanted(id).items():
            outcome.expect(what, found[what], wanted)
        done = [one for history in histories for one in attempts(history)]
        wanted = [name for name, times in self.scenario.activities.items() for _ in range(times)]
        outcome.expect("activity", [name for name, _ in done], wanted)

        asked = self.model.asked(id)
        calls, processes = {call for call, _ in asked}, set(asked)
        outcome.expect("model call", sorted(calls), [call for h in histories for call in _model_calls(h)])
        outcome.asked_again = len(processes) - len(calls)
        outcome.taken_for_dead = len(asked) - len(processes)
        on_record = sum(last for name, last in done if name == "invoke_model_activity")
        if outcome.asked_again > len(outcome.at_death) or len(asked) > on_record:
            outcome.twice.append(
                f"model: {len(asked)} answers for {on_record} attempts on record, by {asked}"
            )


def _kills_of(settings: WorkerSettings, kills: Sequence[Kill]) -> list[Kill]:
    """Those of one version's worker; seconds are for each."""
    if not settings.version:
        return list(kills)
    of = f" of {settings.version.build_id}"
    mine = [kill.removesuffix(of) for kill in kills if isinstance(kill, str) and kill.endswith(of)]
    return mine or [kill for kill in kills if isinstance(kill, float)]


def _model_calls(history: WorkflowHistory) -> list[str]:
    run = history.events[0].workflow_execution_started_event_attributes.original_execution_run_id
    scheduled = [event.activity_task_scheduled_event_attributes for event in history.events]
    model_calls = [one for one in scheduled if one.activity_type.name == "invoke_model_activity"]
    return [f"{run}/{one.activity_id}" for one in model_calls]
