"""Exercise 14: which conversations are stuck, and which only wait."""

from temporalio.client import Client

from course.lessons.lesson_14 import listed, pollers

PATIENCE = 5  # attempts of one activity that have failed
FROZEN = "TemporalReportedProblems IS NOT NULL AND ExecutionStatus = 'Running'"


async def sick(client: Client) -> set[str]:
    """The ids of the workflows that are stuck, and of no others."""
    found = set(await listed(client, FROZEN))
    async for one in client.list_workflows("ExecutionStatus = 'Running'"):
        description = await client.get_workflow_handle(one.id).describe()
        raw = description.raw_description
        in_vain = any(activity.attempt > PATIENCE for activity in raw.pending_activities)
        due = raw.HasField("pending_workflow_task")
        if in_vain or (due and await pollers(client, description.task_queue) == 0):
            found.add(one.id)
    return found
