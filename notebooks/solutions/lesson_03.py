"""Exercise 03: an audit log that no accepted message avoids."""

from agents import Agent
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from course.desk import activities
    from course.desk.activities import Customer
from course.desk.policies import RECORD, TOOL
from course.desk.tools import customers_tool
from course.lessons.plain_conversation import INSTRUCTIONS, PlainConversation


@workflow.defn
class AuditedDesk(PlainConversation):
    """A desk that keeps a row of every accepted message."""

    @workflow.init
    def __init__(self, customer: str) -> None:
        self.customer = customer
        tools = [customers_tool(Customer(customer), activities.look_up_order, **TOOL)]
        super().__init__(Agent(name="Juniper", instructions=INSTRUCTIONS, tools=tools))

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()

    async def turn(self, text: str) -> str:
        answer = await self.answer(text)  # an apology, when the agent's run fails for good
        record = activities.TurnRecord(
            conversation=workflow.info().workflow_id,
            turn=self.turns,
            customer=self.customer,
            message=text,
            answer=answer.text,
            outcome=answer.outcome,
        )
        await workflow.execute_activity(activities.save_to_database, args=[self.key, record], **RECORD)
        return answer.text
