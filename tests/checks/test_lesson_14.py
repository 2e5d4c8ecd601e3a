"""Answers to exercise 14, and what its check says to each."""

from tests.checks.answers import *

FOUND = "found = set(await listed(client, FROZEN))"
IN_VAIN = "in_vain = any(activity.attempt > PATIENCE for activity in raw.pending_activities)"
EACH = "if in_vain or (due and await pollers(client, description.task_queue) == 0):"
RUNNING = " AND ExecutionStatus = 'Running'"

STARTER = "does not name"

WRONG = {
    "the query alone": (
        "it has a notice that has failed more than ten times",
        (IN_VAIN, "in_vain = False"),
    ),
    "those that have ended, too": ("it was frozen, and has been terminated", (RUNNING + '"', '"')),
    "every retry": ("which is not stuck: it has a notice that has failed four times", ("> PATIENCE", "> 1")),
    "one attempt too early": ("has failed four times, and not five", ("> PATIENCE", ">= PATIENCE")),
    "a task that is not due": (
        "it starts in 30 days, so none of its tasks is due",
        ('raw.HasField("pending_workflow_task")', "bool(raw.pending_workflow_task)"),
    ),
    "whoever waits for a person": (
        "it waits for a colleague, as it should",
        after(FOUND, "found |= set(await listed(client, \"DeskWaitsFor = 'person'\"))"),
    ),
    "one queue": (
        "it has a task that is due, and nobody polls its queue",
        ("description.task_queue", '"juniper"'),
    ),
    "frozen by hand": (
        "it is frozen: its workflow task fails again and again",
        (FOUND, "found = set()"),
    ),
    "everything that runs": (
        "which is not stuck: it has answered, and waits for its customer",
        (EACH, "if True:"),
    ),
    "the descriptions": (
        "It returns a set of workflow ids, each a text",
        ("return found", "return sorted(found) or None"),
    ),
    "another name": ("There is no function sick in your cell", ("async def sick", "async def ill")),
    "not async": (
        "written with async def",
        ("async def sick", "def sick"),
        ("await ", ""),
        ("async for", "for"),
    ),
}

RIGHT = {
    "attempts of those that are due": (
        "In a fleet where all is well you named nobody",
        (FOUND, "found = {one.id async for one in client.list_workflows(FROZEN)}"),
    ),
}

SAMPLE = ["those that have ended, too", "one attempt too early"]
