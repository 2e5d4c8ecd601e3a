"""Lesson 10: an approval is a thing of its own. It has an id, waits for a person, and is settled once."""

from contextlib import suppress
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from course.desk import activities
    from course.desk.activities import Customer
    from course.desk.policies import BACKGROUND, RECORD
    from course.lessons import money, records

from course.desk.duties import Duties

A_DAY = timedelta(days=1)
ESCALATED_AFTER = 3  # days
GIVEN_UP_AFTER = 4
IN_WORDS = {"approve": "approved", "reject": "rejected", "expire": "given up"}


@dataclass
class Request:
    """What a person is asked to approve."""

    number: str
    """The refund's own number. It names the approval, its record, and the payment."""
    customer: str
    order_id: str
    amount_cents: int
    reason: str
    conversation: str
    """Who is told of the decision."""

    def __str__(self) -> str:
        return f"{self.amount_cents / 100:.2f} EUR for order {self.order_id}"


@dataclass
class Verdict:
    """What a person has decided: `approve` or `reject`."""

    decision: str = ""
    by: str = ""
    reason: str = ""


NOBODY = Verdict("expire", "nobody", "Nobody could decide about it in time.")


@dataclass
class Settled:
    """How a request ended, in the words that the customer reads."""

    number: str
    text: str


def in_words(verdict: Verdict) -> str:
    """How a request ended, such as `approved by Bea`."""
    how = IN_WORDS[verdict.decision]
    return how if verdict.decision == "expire" else f"{how} by {verdict.by}"


def check_verdict(number: str, verdict: Verdict, before: Verdict | None) -> None:
    """Raises `ApplicationError`, with a sentence, for a decision that cannot count."""
    waits = f"{number} still waits."
    texts = astuple(verdict) if isinstance(verdict, Verdict) else (None,)
    if before:
        so = f"{number} was already {in_words(before)}."
        problem = f"{so} A decision counts once: nothing was changed."
    elif not all(isinstance(text, str) for text in texts):
        problem = f"A decision has three texts: decision, by, reason. {waits}"
    elif verdict.decision not in ("approve", "reject"):
        other = f"{verdict.decision[:40]!r}"
        problem = f"A decision is 'approve' or 'reject', and not {other}. {waits}"
    elif not verdict.by.strip():
        problem = f"A decision needs the name of the person who makes it. {waits}"
    elif verdict.decision == "reject" and not verdict.reason.strip():
        problem = f"The customer is told why: a rejection needs a reason. {waits}"
    else:
        return
    raise ApplicationError(problem)


async def keep(request: Request, verdict: Verdict, asked_at: datetime) -> None:
    """Puts on record who has decided what, when and why."""
    row = records.DecisionRecord(
        customer=request.customer,
        order_id=request.order_id,
        amount_cents=request.amount_cents,
        decision=verdict.decision,
        decided_by=verdict.by,
        reason=verdict.reason,
        asked_at=asked_at.isoformat(),
        decided_at=workflow.now().isoformat(),
    )
    await workflow.execute_activity(
        records.record_decision, args=[request.number, row], **RECORD
    )


@workflow.defn
class ApprovalWorkflow(Duties):
    @workflow.init
    def __init__(self, request: Request) -> None:
        super().__init__()
        self.request = request
        self.verdict: Verdict | None = None
        self._asked_at = workflow.now()

    @workflow.run
    async def run(self, request: Request) -> str:
        self._mail(
            "asked",
            f"Please decide about {request.number}: {request}. {request.customer} wrote: "
            f"{request.reason}",
        )
        self.verdict = await self._wait_for_a_person() or NOBODY
        await keep(request, self.verdict, self._asked_at)
        text = await self._settle(self.verdict)
        await self._tell(text)
        await workflow.wait_condition(self.is_idle)
        return text

    # A person decides

    @workflow.update
    def decide(self, verdict: Verdict) -> str:
        """For a sender who wants to know whether the decision counts."""
        self.verdict = verdict
        return f"{self.request.number} is {in_words(verdict)}: {self.request}."

    @decide.validator
    def check_decide(self, verdict: Verdict) -> None:
        check_verdict(self.request.number, verdict, self.verdict)

    @workflow.signal
    def decision(self, verdict: Verdict) -> None:
        """For a sender who does not wait for an answer: a signal has no reply."""
        try:
            check_verdict(self.request.number, verdict, self.verdict)
        except ApplicationError as error:
            workflow.logger.warning("Dropped a decision: %s", error)
        else:
            self.verdict = verdict

    @workflow.query
    def view(self) -> dict[str, Any]:
        """What the approver sees: what would run, with which arguments, and how it stands."""
        request, verdict, state = self.request, self.verdict, "waits"
        if verdict:
            why = f" (“{verdict.reason}”)" if verdict.reason else ""
            state = in_words(verdict) + why
        return {
            "number": request.number,
            "customer": request.customer,
            "runs": "issue_refund",
            "arguments": {
                "order_id": request.order_id,
                "amount_cents": request.amount_cents,
            },
            "reason": request.reason,
            "state": state,
        }

    async def _wait_for_a_person(self) -> Verdict | None:
        for day in range(1, GIVEN_UP_AFTER + 1):
            with suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: self.verdict is not None, timeout=A_DAY
                )
            if self.verdict or day == GIVEN_UP_AFTER:
                break
            what = "Escalation" if day == ESCALATED_AFTER else f"Reminder {day}"
            self._mail(
                f"day-{day}", f"{what}: {self.request.number} waits, {self.request}."
            )
        return self.verdict

    # What follows from it

    async def _settle(self, verdict: Verdict) -> str:
        """Pays, or does not. Returns what the customer is told."""
        request = self.request
        if verdict.decision != "approve":
            return f"{request} is not paid back. {verdict.reason}"
        try:
            return await workflow.execute_activity(
                money.issue_refund,
                args=[
                    Customer(request.customer),
                    request.number,
                    request.order_id,
                    request.amount_cents,
                ],
                **RECORD,
            )
        except ActivityError as error:
            refused = error.cause  # the shop has the last word
            if is_cancelled_exception(error) or not isinstance(refused, ApplicationError):
                raise
            return f"{request} was approved and could not be paid. {refused.message}"

    async def _tell(self, text: str) -> None:
        """The conversation tells the customer. If it has ended, the team has to."""
        desk = workflow.get_external_workflow_handle(self.request.conversation)
        try:
            await desk.signal("settled", Settled(self.request.number, text))
        except ApplicationError:
            self._mail(
                "told", f"{self.request.customer} has left and is to be told: {text}"
            )

    def _mail(self, step: str, text: str) -> None:
        """A mail to the team. Nothing waits for it: the mail server may be down."""
        args = [f"{self.request.number}/{step}", text, "email"]
        self.later(self.duty(activities.send_notification, args, BACKGROUND))
