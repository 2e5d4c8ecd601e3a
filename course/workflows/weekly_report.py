"""Lesson 13: the report of the last whole week, on a schedule."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from course import activities
    from course.workflows.policies import BACKGROUND, REPORT

from course.workflows.scheduled import due


@workflow.defn
class WeeklyReportWorkflow:
    @workflow.run
    async def run(self) -> str:
        day = due().date()
        # The week is the key: late or twice, it is one report and one mail. A turn of that week that
        # was saved after it (the database was down, say) is counted when the week is run again.
        week = (day - timedelta(days=day.weekday() + 7)).isoformat()
        file = await workflow.execute_activity(
            activities.write_weekly_report, args=[week], **REPORT
        )
        notice = [f"week-{week}", f"The weekly report is there: {file}", "email"]
        await workflow.execute_activity(
            activities.send_notification, args=notice, **BACKGROUND
        )
        return file
