"""Lesson 13: what privacy asks to delete goes, on a schedule; what is kept for audit stays."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from course import activities
    from course.workflows.policies import RECORD

from course.workflows.scheduled import due


@dataclass
class Cleaned:
    """How much lies behind the limit and is gone. Not how much *this* run took away: run twice, it is the same."""

    turns_without_words: int
    reports_deleted: int


@workflow.defn
class CleanupWorkflow:
    @workflow.run
    async def run(self, keep_days: int) -> Cleaned:
        before = (due().date() - timedelta(days=keep_days)).isoformat()
        turns = await workflow.execute_activity(
            activities.forget_words, args=[before], **RECORD
        )
        reports = await workflow.execute_activity(
            activities.delete_reports, args=[before], **RECORD
        )
        return Cleaned(turns, reports)
