"""Exercise 10: the rejected and the unanswered path of an approval."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from course.desk.activities import Customer
    from course.lessons import money
from course.desk.policies import RECORD

THREE_DAYS = timedelta(days=3)


@dataclass
class Request:
    number: str
    customer: str
    order_id: str
    amount_cents: int


@dataclass
class Decision:
    approved: bool
    by: str
    reason: str


@workflow.defn
class Approval:
    @workflow.init
    def __init__(self, request: Request) -> None:
        self.decision: Decision | None = None

    @workflow.run
    async def run(self, request: Request) -> Decision | None:
        """Returns whose decision it was; None: nobody's. The customer's mail is written from it."""
        try:
            await workflow.wait_condition(lambda: self.decision is not None, timeout=THREE_DAYS)
        except TimeoutError:
            return None
        if not self.decision.approved:
            return self.decision
        args = [Customer(request.customer), request.number, request.order_id, request.amount_cents]
        await workflow.execute_activity(money.issue_refund, args=args, **RECORD)
        return self.decision

    @workflow.update
    def decide(self, decision: Decision) -> str:
        self.decision = decision
        return f"Decided by {decision.by}."

    @decide.validator
    def check(self, decision: Decision) -> None:
        if self.decision:
            raise ApplicationError(f"{self.decision.by} has decided already: nothing was changed.")
