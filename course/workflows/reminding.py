"""Lesson 13: deadlines. Reminders that an answer cancels, and an end for a conversation that nobody goes on with."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from course import activities
    from course.workflows.policies import BACKGROUND, REPORT

from course.workflows.answering import why
from course.workflows.questioning import QuestioningDesk, asks

REMINDERS = (timedelta(days=1), timedelta(days=2))
"""How long nobody answers until a reminder: the first a day after the question, the second two days later."""
IDLE = timedelta(days=30)
"""How long nobody writes until the conversation ends itself."""


@dataclass
class Ended:
    """The workflow's result."""

    turns: int
    report: str | None
    ending: str
    """What whoever comes late is told."""


@workflow.defn
class RemindingWorkflow(QuestioningDesk):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(customer)
        self.heard_at = workflow.now()
        self.reminding: asyncio.Task[None] | None = None

    @workflow.run
    async def run(self, customer: str) -> Ended:
        ending = await self.until_the_end()
        self.closing_words = f"{ending} This conversation takes no more messages."
        self._closing = True
        self.stop_reminding()
        turns = await self.until_closed()  # what is under way comes to its end
        report = await self.write_report()
        ending += f" Its report: {report}." if report else " Its report failed."
        await self.tell_the_crm(ending)
        return Ended(turns, report, ending)

    # A turn, and the reminders after it

    async def turn(self, text: str) -> str:
        self.heard_at = workflow.now()
        self.stop_reminding()
        answer = await self.answer_and_save(text)
        if asks(answer.text) and not self._closing:
            self.reminding = self.later(self.remind(self.key, answer.text))
        return answer.text

    async def remind(self, key: str, question: str) -> None:
        for number, delay in enumerate(REMINDERS, 1):
            await workflow.sleep(delay)
            reminder = f"Reminder to {self.customer}: {question}"
            args = [f"{key}/reminder-{number}", reminder, "email"]
            await self.duty(activities.send_notification, args, BACKGROUND)

    def stop_reminding(self) -> None:
        """Cancels the timer that is under way, or the mail that is tried again and again."""
        if self.reminding:
            self.reminding.cancel()

    # The end

    async def until_the_end(self) -> str:
        """Waits until somebody closes, or nobody has written for 30 days; returns which it was."""
        while (left := self.heard_at + IDLE - workflow.now()) > timedelta(0):
            try:
                await workflow.wait_condition(self.is_over, timeout=left)
                return "It was closed."
            except TimeoutError:  # somebody may have written since this timer began
                continue
        return f"Nobody wrote for {IDLE.days} days, so it ended itself."

    def is_over(self) -> bool:
        self.raise_bug()
        return self._closing

    async def write_report(self) -> str | None:
        summary = {"customer": self.customer, "turns": self.record}
        try:
            return await workflow.execute_activity(
                activities.generate_report,
                args=[workflow.info().workflow_id, summary],
                **REPORT,
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning("No report: %s", why(error))
            return None

    async def tell_the_crm(self, ending: str) -> None:
        id = workflow.info().workflow_id
        args = [f"{id}/ended", f"Conversation {id}: {ending}", "webhook"]
        await self.duty(activities.send_notification, args, BACKGROUND)
