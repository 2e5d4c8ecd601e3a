"""Lesson 04: one duty in the agent's hand and in the workflow's; both hands in one turn; the third way: the agent
proposes, the workflow disposes; and a tool that asks the model whose order it is to look up.
"""

from pydantic import BaseModel
from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.openai_agents.workflow import activity_as_tool

with workflow.unsafe.imports_passed_through():
    from course.desk import activities
    from course.desk.activities import Customer
    from course.desk.answering import APOLOGY
    from course.desk.policies import RECORD, TOOL
    from course.lessons import money

from course.lessons.plain_conversation import (
    INSTRUCTIONS,
    PlainConversation,
    conversation,
    juniper,
)

TOLD_TO_RECORD = """You are the support agent of Juniper, a plant shop. Look up what you do not know.
You must always record every message: call save_to_database with task_id='{key}' and, in data,
conversation='{conversation}', turn={turn}, customer='{customer}', the message, your answer, and
outcome='answered'."""


@conversation
class DutyAsToolWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        self._customer = customer
        record = activity_as_tool(activities.save_to_database, **RECORD)
        super().__init__(
            juniper(activities.look_up_order, customer=customer, tools=[record])
        )

    async def turn(self, text: str) -> str:
        self.agent.instructions = TOLD_TO_RECORD.format(
            key=self.key,
            conversation=workflow.info().workflow_id,
            turn=self.turns,
            customer=self._customer,
        )
        return (await self.answer(text)).text


@conversation
class DutyAsStepWorkflow(PlainConversation):
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
        args = [self.key, record]
        await workflow.execute_activity(activities.save_to_database, args=args, **RECORD)
        return answer.text


@conversation
class AskedNameWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        # The model fills in all of its arguments: also whose order it is.
        look_up = activity_as_tool(activities.look_up_order, **TOOL)
        super().__init__(juniper(tools=[look_up]))


@conversation
class BothHandsWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        self._customer = customer
        super().__init__(juniper(activities.look_up_order, customer=customer))

    async def turn(self, text: str) -> str:
        answer = await self.answer(text)
        # The workflow's own look at the same order, with the same argument.
        args = [Customer(self._customer), "1042"]
        await workflow.execute_activity(activities.look_up_order, args=args, **TOOL)
        return answer.text


LIMIT_CENTS = 5000
"""What the desk may refund without a person."""


class RefundProposal(BaseModel):
    """What the agent wants. It is data, and does nothing."""

    order_id: str
    amount_cents: int
    reason: str


class Decision(BaseModel):
    """The agent's output: what to say, and what it proposes to do."""

    reply: str
    refund: RefundProposal | None = None


@conversation
class ProposalWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        self._customer = customer
        super().__init__(
            juniper(
                activities.look_up_order,
                customer=customer,
                instructions=INSTRUCTIONS
                + " You may propose a refund; whether it is paid is not yours to decide.",
                output_type=Decision,
            )
        )

    async def turn(self, text: str) -> str:
        answer = await self.answer(text)
        if not isinstance(answer.output, Decision):
            return answer.text
        reply = answer.output.reply
        if answer.output.refund is not None:
            reply = f"{reply} {await self._dispose(answer.output.refund)}"
        return reply if reply.strip() else APOLOGY

    async def _dispose(self, proposal: RefundProposal) -> str:
        """Checks a proposal and pays it, if the rules allow."""
        if proposal.amount_cents > LIMIT_CENTS:
            return f"More than {LIMIT_CENTS / 100:.2f} EUR needs a colleague: nothing was paid."
        try:
            return await workflow.execute_activity(
                money.issue_refund,
                args=[
                    Customer(self._customer),
                    f"order-{proposal.order_id}",
                    proposal.order_id,
                    proposal.amount_cents,
                ],
                **RECORD,
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            # The shop's own sentence, such as "Order 1042 was paid with 34.00 EUR; …".
            return (
                error.cause.message
                if isinstance(error.cause, ApplicationError)
                else APOLOGY
            )
