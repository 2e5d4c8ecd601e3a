"""Exercise 05: policies for the bad days."""

from datetime import timedelta

from agents import Agent
from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig

with workflow.unsafe.imports_passed_through():
    from course.desk import activities
    from course.desk.services import current_services
from course.lessons.plain_conversation import INSTRUCTIONS, DutifulConversation

# Never given up.
RECORD = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=10)),
)
# Given up after five days, and at once when the address is refused for good.
NOTICE = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    schedule_to_close_timeout=timedelta(days=5),
    retry_policy=RetryPolicy(maximum_interval=timedelta(hours=1), non_retryable_error_types=["Refused"]),
)


@activity.defn
def mail_the_team(task_id: str, message: str) -> None:
    """Raises `Refused` when the mail server refuses the address for good."""
    current_services().mail.send(task_id, subject=message, text=message)


@workflow.defn
class PatientDesk(DutifulConversation):
    """A desk whose duties survive outages, and whose customers do not notice them."""

    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(Agent(name="Juniper", instructions=INSTRUCTIONS))

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()

    async def turn(self, text: str) -> str:
        answer = await self.answer(text)
        record = activities.TurnRecord(turn=self.turns, message=text, answer=answer.text)
        self.later(self.duty(activities.save_to_database, [self.key, record], RECORD))
        self.later(self.duty(mail_the_team, [self.key, text], NOTICE))
        return answer.text
