"""Lesson 05: every duty before the reply; three attempts; and the four timeouts, each on the same activity."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.workflow import ActivityConfig

with workflow.unsafe.imports_passed_through():
    from course.desk import activities
    from course.desk.answering import why
    from course.desk.policies import BACKGROUND, RECORD

from course.lessons.plain_conversation import (
    PlainConversation,
    UntilClosed,
    conversation,
    juniper,
)


@conversation
class DutiesFirstWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        self._customer = customer
        super().__init__(juniper(activities.look_up_order, customer=customer))

    async def turn(self, text: str) -> str:
        answer = await self.answer(text)
        record = activities.TurnRecord(
            conversation=workflow.info().workflow_id,
            turn=self.turns,
            customer=self._customer,
            message=text,
            answer=answer.text,
            outcome=answer.outcome,
        )
        await workflow.execute_activity(
            activities.save_to_database, args=[self.key, record], **RECORD
        )
        notice = f"{self._customer} wrote, and was {answer.outcome}: {text}"
        await workflow.execute_activity(
            activities.send_notification, args=[self.key, notice, "email"], **BACKGROUND
        )
        return answer.text


@conversation
class ThreeAttemptsWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(juniper())

    async def turn(self, text: str) -> str:
        answer = await self.answer(text)
        record = activities.TurnRecord(turn=self.turns, message=text, answer=answer.text)
        await workflow.execute_activity(
            activities.save_to_database,
            args=[self.key, record],
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(maximum_attempts=3),
        )
        return answer.text


# A clock does not jump over an attempt that runs: this is real time.
SHORT = timedelta(seconds=0.3)
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
class TimeoutsWorkflow(UntilClosed):
    @workflow.run
    async def run(self, customer: str) -> None:
        await self.until_closed()

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
