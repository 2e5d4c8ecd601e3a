"""The jobs of lesson 13: a schedule starts the weekly report, another the cleanup. Each play has a week of its own."""

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleBackfill,
    ScheduleOverlapPolicy,
    ScheduleSpec,
    WorkflowHistory,
)

from course import Lab, LabError
from course.desk.jobs import CleanupWorkflow, WeeklyReportWorkflow
from course.desk.services import database
from course.lab import runs_of_schedule
from tests.crash.sweep import CrashSweep, Found, Scenario, keys

JOBS: dict[str, tuple[Any, list[Any]]] = {
    "report": (WeeklyReportWorkflow.run, []),
    "cleanup": (CleanupWorkflow.run, [1]),
}
FIRST = datetime(2040, 1, 2, 6, tzinfo=UTC)
"""A Monday. A schedule can be backfilled for a time to come."""


def due(id: str) -> datetime:
    """When a play's jobs are due: its week is the one before."""
    return FIRST + timedelta(weeks=int(id.split("-")[1]))


def week(id: str) -> str:
    return (due(id) - timedelta(weeks=1)).date().isoformat()


class Jobs(Scenario):
    name = "jobs"
    workflows = (WeeklyReportWorkflow, CleanupWorkflow)
    activities: ClassVar = dict.fromkeys(
        ("write_weekly_report", "send_notification", "forget_words", "delete_reports"), 1
    )
    workflow_tasks = 6
    replies = 0

    async def play(self, sweep: CrashSweep, id: str) -> list[Any]:
        for turn in (1, 2):
            row = {"task_id": f"{id}/turn-{turn}", "conversation": id, "turn": turn, "customer": id}
            row |= {"message": "Hello!", "outcome": "answered"}
            at = {"at": (due(id) - timedelta(days=turn + 1)).isoformat()}
            sweep.lab.world.services.database.insert_once(database.turns, {**row, "details": at})
        results = []
        for job, (run, args) in JOBS.items():
            action = ScheduleActionStartWorkflow(
                run, args=args, id=f"{id}-{job}", task_queue=id, task_timeout=timedelta(seconds=3)
            )
            spec = ScheduleSpec(cron_expressions=["0 6 * * MON"])
            client, weekly = sweep.lab.client, Schedule(action=action, spec=spec)
            schedule = await client.create_schedule(f"{id}-{job}", weekly)
            allow, hour = ScheduleOverlapPolicy.ALLOW_ALL, timedelta(hours=1)
            await schedule.backfill(ScheduleBackfill(due(id) - hour, due(id) + hour, overlap=allow))
            results.append((await runs_of_schedule(client, schedule, 1, timeout=90)).result[0])
        file = results[0]
        page = (sweep.lab.reports / file).read_text()
        return [f"<td>{id}</td><td>2</td><td>2</td>" in page, file.startswith(f"week-{week(id)}")]

    async def histories(self, lab: Lab, id: str) -> list[WorkflowHistory]:
        found = []
        for job in JOBS:
            try:
                found.append(await lab.conversation(f"{id}-{job}-{due(id):%Y-%m-%dT%H:%M:%SZ}").history())
            except LabError:  # not started yet
                continue
        return found

    def effects(self, lab: Lab, id: str) -> Found:
        turns = lab.table("turns")
        mine = turns[turns.conversation == id]
        return {
            "turn": keys(lab, "turns", id),
            "words": mine[mine.message.notna()].task_id.tolist(),
            "report": keys(lab, "reports", f"week-{week(id)}"),
            "file": [path.name[:15] for path in lab.reports.glob(f"week-{week(id)}-*.html")],
            "mail": [text[:-11] for text in lab.inbox()["text"] if f"week-{week(id)}-" in text],
        }

    def wanted(self, id: str) -> Found:
        return {
            "turn": [f"{id}/turn-{n}" for n in (1, 2)],
            "words": [],
            "report": [f"week-{week(id)}"],
            "file": [f"week-{week(id)}"],
            "mail": [f"The weekly report is there: week-{week(id)}-"],
        }
