"""Lesson 10: the tool waits for a flag, and the turn waits for the tool."""

from temporalio import workflow

from course.lessons.lesson_10.approval import Request
from course.lessons.lesson_10.asking import RefundingDesk, needs_a_person
from course.lessons.plain_conversation import conversation


@conversation
class WaitingInTurnWorkflow(RefundingDesk):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(customer)
        self.approved = False

    async def dispose(self, request: Request) -> str:
        if needs_a_person(request.amount_cents):
            self.approved = False
            await workflow.wait_condition(lambda: self.approved)
        return await self.pay(request)

    @workflow.signal
    def approve(self, approved: bool) -> None:
        self.approved = approved
