"""What to say when a wait was too long: what is pending, how it failed last, and what to do."""

from typing import Any

from course.desk.answering import why
from course.lab.errors import LabError
from course.lab.record import TOO_BIG, Record
from course.lab.temporal import Temporal
from course.lab.workers import Workers
from course.models import slow_model


async def no_reply(
    record: Record, temporal: Temporal, workers: Workers, happened: str, *, message: str | None = None
) -> LabError:
    """The error for a wait that took too long. `message`: the id of the message that got no reply, if it was one."""
    if ended := temporal.hint():
        return LabError(f"{happened}{ended}")
    if workers.failure:
        return LabError(f"{happened} The lab's worker has ended: {why(workers.failure)} Start a new lab.")
    raw = (await record.describe()).raw_description
    task = raw.pending_workflow_task
    if raw.pending_activities:
        pending = "; ".join(map(_pending, raw.pending_activities))
        advice = (
            "Nothing is lost: Temporal goes on trying. Fix the cause and wait, or move the clock to the next attempts with "
            "`await chat.fast_forward(timedelta(minutes=10))`; `await chat.pending()` shows them."
        )
        slow = next(filter(None, map(slow_model, raw.pending_activities)), None)
        cause = f"Still pending: {pending}. {slow or advice}"
    elif task.attempt > 1 and await record.is_too_big():
        cause = f"Its workflow task has failed {task.attempt - 1} times: {TOO_BIG}"
    elif task.attempt > 1:
        kept = (
            "It waits to be accepted until a worker runs fixed code: that is not on record yet."
            if message in await record.unaccepted()
            else "The message is kept, and is answered when a worker runs fixed code."
        )
        cause = (
            f"Its workflow task has failed {task.attempt - 1} times: the workflow's own code raises. {kept} "
            "`await chat.events()` shows the error."
        )
    else:
        cause = (
            "No activity is pending: the workflow itself waits, for a lock, a timer or a person. What it "
            "accepted is kept. `await chat.events()` shows how far it came."
        )
    return LabError(f"{happened} {cause}")


def _pending(activity: Any) -> str:
    failure = f", last failure: {failure_of(activity)}" if activity.HasField("last_failure") else ""
    return f"{activity.activity_type.name} (attempt {activity.attempt}{failure})"


def failure_of(activity: Any) -> str | None:
    """How a pending activity failed last, in one line; None if it has not failed."""
    if not activity.HasField("last_failure"):
        return None
    failure = activity.last_failure
    while failure.HasField("cause"):
        failure = failure.cause
    kind = failure.application_failure_info.type or "Error"
    return f"{kind}: {failure.message}".splitlines()[0][:200]
