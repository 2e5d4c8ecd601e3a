"""The desk's jobs on a schedule: the report of the last whole week, and the deletion that privacy asks for.

Lesson 13 is about them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import SearchAttributeKey

with workflow.unsafe.imports_passed_through():
    from course.desk import activities
    from course.desk.policies import BACKGROUND, RECORD, REPORT

SCHEDULED = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")


def due() -> datetime:
    """The time that this run is for, by its schedule. It may run later than that, or again."""
    scheduled = workflow.info().typed_search_attributes.get(SCHEDULED)
    return scheduled or workflow.info().start_time


@workflow.defn
class WeeklyReportWorkflow:
    """The week is the key: late or twice, it is one report and one mail. A turn of that week that was saved after
    it (the database was down, say) is counted when the week is run again."""

    @workflow.run
    async def run(self) -> str:
        day = due().date()
        week = (day - timedelta(days=day.weekday() + 7)).isoformat()
        file = await workflow.execute_activity(
            activities.write_weekly_report, week, **REPORT
        )
        notice = [f"week-{week}", f"The weekly report is there: {file}", "email"]
        await workflow.execute_activity(
            activities.send_notification, args=notice, **BACKGROUND
        )
        return file


@dataclass
class Cleaned:
    """How much is older than the limit, and gone. It is not how much *this* run took away, so a second run says the same."""

    turns_without_words: int
    reports_deleted: int


@workflow.defn
class CleanupWorkflow:
    @workflow.run
    async def run(self, keep_days: int) -> Cleaned:
        before = (due().date() - timedelta(days=keep_days)).isoformat()
        turns = await workflow.execute_activity(activities.forget_words, before, **RECORD)
        reports = await workflow.execute_activity(
            activities.delete_reports, before, **RECORD
        )
        return Cleaned(turns, reports)
