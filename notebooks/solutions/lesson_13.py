"""Exercise 13: a reminder that is cancelled by an answer."""

import asyncio
from datetime import timedelta

from agents import Agent
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from course.desk import activities
from course.desk.policies import BACKGROUND
from course.lessons.plain_conversation import INSTRUCTIONS, DutifulConversation

PATIENCE = timedelta(days=2)


@workflow.defn
class PatientDesk(DutifulConversation):
    """A desk that reminds once, and whose reminder ends with the customer's next message."""

    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(Agent(name="Juniper", instructions=INSTRUCTIONS))
        self.customer = customer
        self.reminding: asyncio.Task[None] | None = None

    @workflow.run
    async def run(self, customer: str) -> int:
        await workflow.wait_condition(lambda: self._closing)
        self.stop_reminding()
        return await self.until_closed()

    async def turn(self, text: str) -> str:
        self.stop_reminding()
        answer = await self.answer(text)
        if not self._closing:
            self.reminding = self.later(self.remind(self.key))
        return answer.text

    async def remind(self, key: str) -> None:
        await workflow.sleep(PATIENCE)
        args = [f"{key}/reminder", f"{self.customer} has not answered yet", "email"]
        await self.duty(activities.send_notification, args, BACKGROUND)

    def stop_reminding(self) -> None:
        if self.reminding:
            self.reminding.cancel()
