"""The course's desk with another channel for its notices."""

from temporalio import workflow

from course.desk import ConversationWorkflow
from course.desk.conversation import Summary, Turn

with workflow.unsafe.imports_passed_through():
    from course.desk import activities
    from course.desk.policies import BACKGROUND


@workflow.defn
class WebhookDesk(ConversationWorkflow):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(customer)

    @workflow.run
    async def run(self, customer: str) -> Summary:
        return await super().run(customer)

    async def _tell_the_team(self, turn: Turn) -> None:
        args = [self._key(turn), turn.message, "webhook"]
        await self._step(turn, "notice", activities.send_notification, args, BACKGROUND)
