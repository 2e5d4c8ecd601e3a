"""Lesson 05: the four timeouts, each on the same activity."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    is_cancelled_exception,
)
from temporalio.workflow import ActivityConfig

with workflow.unsafe.imports_passed_through():
    from course import activities
    from course.workflows.answering import why

SHORT = timedelta(
    seconds=0.3
)  # a clock does not jump over an attempt that runs: this is real time
ONE, TWO = RetryPolicy(maximum_attempts=1), RetryPolicy(maximum_attempts=2)

TIMEOUTS = {
    # How long it may lie in the queue until a worker takes it.
    "schedule_to_start": ActivityConfig(
        task_queue="a queue that no worker serves",
        schedule_to_start_timeout=SHORT,
        start_to_close_timeout=timedelta(seconds=10),
    ),
    # How long one attempt may take.
    "start_to_close": ActivityConfig(start_to_close_timeout=SHORT, retry_policy=TWO),
    # How long the worker that runs an attempt may go without a sign of life.
    "heartbeat": ActivityConfig(
        heartbeat_timeout=SHORT,
        start_to_close_timeout=timedelta(seconds=10),
        retry_policy=ONE,
    ),
    # How long it may take in all, with every attempt and the waiting between them.
    "schedule_to_close": ActivityConfig(
        schedule_to_close_timeout=timedelta(seconds=30),
        start_to_close_timeout=SHORT,
    ),
}


@workflow.defn
class TimeoutsWorkflow:
    @workflow.init
    def __init__(self, customer: str) -> None:
        self._closing = False

    @workflow.run
    async def run(self, customer: str) -> None:
        await workflow.wait_condition(
            lambda: self._closing and workflow.all_handlers_finished()
        )

    @workflow.update
    async def send(self, timeout: str) -> str:
        """Sends a notice under the timeout that is named; returns what ended it."""
        key = f"{workflow.info().workflow_id}/{timeout}"
        try:
            return await workflow.execute_activity(
                activities.send_notification, args=[key, timeout], **TIMEOUTS[timeout]
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return why(error)

    @send.validator
    def check_send(self, timeout: str) -> None:
        if timeout not in TIMEOUTS:
            raise ApplicationError(f"Name one of the timeouts: {', '.join(TIMEOUTS)}.")

    @workflow.signal
    def close(self) -> None:
        self._closing = True
