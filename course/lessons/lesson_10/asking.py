"""Lesson 10: a desk that asks a person, and goes on. Each request is a workflow of its own."""

from contextlib import suppress
from dataclasses import asdict
from typing import Any

from agents import function_tool
from agents.tool_context import ToolContext
from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from course.desk import activities
    from course.desk.activities import Customer
    from course.desk.policies import PAYMENT, RECORD
    from course.lessons import money
    from course.lessons.till import LARGEST_CENTS

from course.lessons.lesson_10.approval import ApprovalWorkflow, Request, Settled
from course.lessons.plain_conversation import (
    MAY_REFUND,
    DutifulConversation,
    conversation,
    juniper,
)
from course.lessons.telling import tell_the_model

LIMIT_CENTS = 2000
"""What the desk may refund without a person, for one order in one conversation."""


def needs_a_person(amount_cents: int) -> bool:
    """Above the limit, a person decides. The shop refuses an impossible amount without one."""
    return LIMIT_CENTS < amount_cents <= LARGEST_CENTS


class RefundingDesk(DutifulConversation):
    """What this lesson's desks share: the agent's tools, and what was said."""

    def __init__(self, customer: str, **approval: Any) -> None:
        self.customer = customer
        self.lines: list[dict[str, Any]] = []
        self.requests: dict[str, Request] = {}  # by the model's call
        refund = function_tool(
            self.refund, failure_error_function=tell_the_model, **approval
        )
        super().__init__(
            juniper(
                activities.look_up_order,
                customer=customer,
                instructions=MAY_REFUND,
                tools=[refund],
            )
        )

    async def refund(
        self, call: ToolContext[Any], order_id: str, amount_cents: int, reason: str
    ) -> str:
        """Pay money back for an order.

        Args:
            order_id: The order's number, such as 1042.
            amount_cents: How much, in cents.
            reason: Why the customer wants it.
        """
        request = self.request(call.tool_call_id, order_id, amount_cents, reason)
        return await self.dispose(request)

    async def dispose(self, request: Request) -> str:
        """Pays, or asks a person to decide. Returns what the model is told."""
        raise NotImplementedError

    def request(
        self, call_id: str, order_id: str, amount_cents: int, reason: str
    ) -> Request:
        """Gives each call of the model's a refund number, once."""
        id = workflow.info().workflow_id
        if call_id not in self.requests:
            number = f"{id}/refund-{len(self.requests) + 1}"
            self.requests[call_id] = Request(
                number, self.customer, order_id, amount_cents, reason, id
            )
        return self.requests[call_id]

    async def pay(self, request: Request) -> str:
        return await workflow.execute_activity(
            money.issue_refund,
            args=[
                Customer(request.customer),
                request.number,
                request.order_id,
                request.amount_cents,
            ],
            **PAYMENT,
        )

    async def turn(self, text: str) -> str:
        turn, key = self.turns, self.key
        self.say(turn, "customer", text)
        reply = await self.reply(text)
        self.say(turn, "agent", reply)
        self.save(key, turn, text, reply)
        return reply

    async def reply(self, text: str) -> str:
        return (await self.answer(text)).text

    def say(self, turn: int, role: str, text: str) -> None:
        self.lines.append({"turn": turn, "role": role, "text": text})

    def save(self, key: str, turn: int, message: str, answer: str) -> None:
        row = activities.TurnRecord(
            conversation=workflow.info().workflow_id,
            turn=turn,
            customer=self.customer,
            message=message,
            answer=answer,
        )
        self.later(self.duty(activities.save_to_database, [key, row], RECORD))

    @workflow.query
    def transcript(self) -> list[dict[str, Any]]:
        return self.lines


@conversation
class AskingWorkflow(RefundingDesk):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(customer)
        self.waiting: dict[str, Request] = {}

    async def dispose(self, request: Request) -> str:
        orders = [one.order_id for one in self.requests.values()]
        # A second refund of an order needs a person, however small: its parts could be many.
        # Only this conversation's refunds are counted. Only the shop knows those of the others.
        is_first = orders.count(request.order_id) == 1
        if is_first and not needs_a_person(request.amount_cents):
            return await self.pay(request)
        for other in self.waiting.values():
            if other.order_id == request.order_id:
                return f"Refund {other.number} of {other} waits for a colleague already."
        self.waiting[request.number] = request
        # After a reset the approval may exist already. Then it goes on waiting.
        with suppress(WorkflowAlreadyStartedError):
            await workflow.start_child_workflow(
                ApprovalWorkflow.run,
                request,
                id=request.number,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                parent_close_policy=ParentClosePolicy.ABANDON,  # it outlives the conversation
            )
        return f"Refund {request.number} of {request} waits for a colleague to decide."

    @workflow.query
    def undecided(self) -> list[dict[str, Any]]:
        return [asdict(request) for request in self.waiting.values()]

    @workflow.signal
    async def settled(self, settled: Settled) -> None:
        """A decision opens a turn of its own. Code writes its words, not the model."""
        if self.waiting.pop(settled.number, None) is None:
            return  # told already
        async with self._one_at_a_time:
            self.turns += 1
            turn, key = self.turns, self.key
            self._memory += [{"role": "assistant", "content": settled.text}]
            self.say(turn, "system", settled.text)
        self.save(key, turn, f"decision on {settled.number}", settled.text)
