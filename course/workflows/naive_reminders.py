"""Lesson 13, the naive ways to remind: a timer in the process, and a job that sweeps the table."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from course import activities
    from course.workflows.policies import BACKGROUND

from course.workflows.answering import Answer
from course.workflows.questioning import QuestioningDesk, asks


@workflow.defn
class NaiveTimerWorkflow(QuestioningDesk):
    """Leaves the deadline to a timer of the worker's process."""

    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(customer)

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()

    async def turn(self, text: str) -> str:
        answer = await self.answer_and_save(text)
        if asks(answer.text):
            args = [self.key, f"Reminder to {self.customer}: {answer.text}"]
            await workflow.execute_activity(
                activities.naive_remind_later, args=args, **BACKGROUND
            )
        return answer.text


@workflow.defn
class NaiveSweptWorkflow(QuestioningDesk):
    """Notes in the table that it waits. A job beside it reads that, once a day."""

    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(customer)

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()

    async def turn(self, text: str) -> str:
        return (await self.answer_and_save(text)).text

    def outcome_of(self, answer: Answer) -> str:
        return "waiting" if asks(answer.text) else answer.outcome


@workflow.defn
class NaiveSweepWorkflow:
    """The job."""

    @workflow.run
    async def run(self) -> int:
        return await workflow.execute_activity(activities.naive_sweep, **BACKGROUND)
