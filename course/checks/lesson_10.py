"""Exercise 10: the rejected and the unanswered path of an approval."""

import asyncio
import builtins
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from course.checks.complaints import meaning
from course.checks.talking import OwnLab, Talk, defined, lab_for, own_part, replaced_by
from course.checks.verdict import NotYet, quoted, require, shortened
from course.desk.activities import Customer
from course.desk.answering import why
from course.lab import LabError
from course.lab.compat import workflow_definition
from course.lessons import money
from course.models import OfflineModel

SLIPS = (ArithmeticError, AttributeError, ImportError, LookupError, NameError, RecursionError, TypeError)
"""What Python raises by itself. A reader who refuses with one of Python's errors takes another: ValueError, say."""

FORBIDDEN = ("ReadOnlyContextError", "RestrictedWorkflowAccessError")
"""What Temporal raises when a validator does what only a handler may, or what no workflow may."""

REASON = "On your photo it only needs water."
HELD_UP = "1045"


@activity.defn(name="issue_refund")
def issue_refund(customer: Customer, refund_id: str, order_id: str, amount_cents: int) -> str:
    """The real one. For one order the shop is away for an hour, so that the payment waits."""
    if order_id == HELD_UP and activity.info().attempt == 1:
        raise ApplicationError("The shop is away.", next_retry_delay=timedelta(hours=1))
    return money.issue_refund(customer, refund_id, order_id, amount_cents)


async def check(module: Any) -> str:
    approval, definition = defined(module, "Approval")
    if "decide" not in definition.updates:
        raise NotYet("Approval has no update `decide` any more: the person decides with it.")
    async with lab_for(module, [approval], OfflineModel(), replaced_by(issue_refund)) as lab:
        await _approved(lab)
        await _anothers_order(lab)
        rejected = await _rejected(lab)
        unanswered = await _unanswered(lab)
        await _answered_late(lab)
        refused = await _decided_twice(lab)
    return f"""An approved refund was paid once, and one of another customer's order was not. A rejected one was not paid, and the customer was told
        {quoted(rejected, 100)}. With no answer it waited for three days, was not paid, and the customer was told
        {quoted(unanswered, 100)}; an answer on the third day still counted. A second decision was refused with
        {quoted(refused, 100)}, and changed nothing."""


async def asked(
    lab: OwnLab, number: str, order_id: str, amount_cents: int, customer: str = "ada"
) -> "Approval":
    """Somebody's refund needs the reader's approval."""
    order = {"order_id": order_id, "amount_cents": amount_cents}
    request = {"number": number, "customer": customer, **order}
    approval = workflow_definition(lab.module.Approval).name
    await lab.client.start_workflow(
        approval, request, id=number, task_queue=lab.task_queue, task_timeout=timedelta(seconds=3)
    )
    return Approval(lab.conversation(number), lab)


class Approval(Talk):
    """One of the reader's approvals: who decides about it, and what happens to it."""

    async def decide(self, by: str, approved: bool, reason: str = "") -> None:
        """The first decision about a request, which has to count."""
        refusal = await self.refusal(by, approved, reason)
        if refusal is not None:
            words = f": {quoted(refusal, 100)}" if refusal else " without a sentence"
            raise NotYet(f"{by} was the first to decide, and `decide` refused it{words}.")

    async def refusal(self, by: str, approved: bool, reason: str = "") -> str | None:
        """Somebody decides. Returns what they are told if that is refused, and None if it counts."""
        decision = {"approved": approved, "by": by, "reason": reason}
        sending = asyncio.create_task(self.refused("decide", decision))
        answered = await self.wait_for(sending, seconds=4)
        require(answered, f"`decide` did not answer {by}: it must not wait for anything.")
        refused = await sending
        return _sentence(by, refused) if refused else None

    async def told(self, happened: str, otherwise: str) -> str:
        """What the customer is told. When there is no end, raises `NotYet` with the words for it."""
        ending = asyncio.create_task(self.handle.result())
        require(await self.wait_for(ending, seconds=2), f"{happened}, and {otherwise}")
        try:
            text = await ending
        except WorkflowFailureError as error:
            raise NotYet(f"""{happened}, and the approval ended as failed: {_failure(error)}. The customer is
                told what `run` returns, and it returned nothing.""") from None
        told = isinstance(text, str) and text.strip()
        require(told, f"`run` returned {text!r}, and the customer has to be told something.")
        return text

    async def is_replayed(self) -> None:
        """Replays an approval that has ended, as a worker does that takes one over: no validator is run."""
        try:
            await self.replay(self.lab.module.Approval)
        except LabError:
            raise NotYet("""An approved refund was paid. But a worker that takes over the approval replays its
                record, and your code then does not come to the same result. A replay runs `decide` and no validator:
                is the decision kept in `decide` itself?""") from None

    def paid(self) -> int:
        table = self.lab.table("refunds")
        return int((table.refund_id == self.id).sum())


def _sentence(by: str, cause: BaseException) -> str:
    """What somebody is told whose decision is refused. Raises `NotYet` when no sentence of the reader's did that."""
    if not isinstance(cause, ApplicationError):
        return str(cause).strip()
    if cause.type == "AcceptedUpdateCompletedWorkflow":
        raise NotYet(f"""{by} decided, `run` went on and ended while `decide` was still waiting, and {by} got no
            answer: `decide` must not wait for anything.""")
    if cause.type in FORBIDDEN or _is_slip(cause.type):
        missing = "'ApplicationError'" in cause.message
        where = " ApplicationError comes from temporalio.exceptions." if missing else ""
        raised = f"{cause.type}: {shortened(cause.message).rstrip('.')}.{where}"
        raise NotYet(f"""{by}'s decision was refused by an error in your own code.
            {meaning(cause.message) or raised}""")
    # An empty message arrives as these words, which are Temporal's.
    return "" if cause.message.strip() == "Application error" else cause.message.strip()


def _failure(error: WorkflowFailureError) -> str:
    """Why a workflow failed, in one line. Below a TimeoutError there is only how Python came to it."""
    kind = error.cause.type if isinstance(error.cause, ApplicationError) else None
    return kind if kind == "TimeoutError" else own_part(why(error)).rstrip(".")


def _is_slip(kind: str | None) -> bool:
    error = getattr(builtins, kind or "", None)
    return isinstance(error, type) and issubclass(error, SLIPS)


async def _approved(lab: OwnLab) -> None:
    approval = await asked(lab, "refund-8101", "1042", 3100)
    await approval.decide("Bea", True, "Sorry!")
    await approval.told("Bea approved a refund", "two seconds later the approval had not ended.")
    if approval.paid() != 1:
        raise NotYet("""Bea approved a refund, and it was not paid under its number (request.number). Leave
            that part as it was.""")
    await approval.is_replayed()


async def _anothers_order(lab: OwnLab) -> None:
    approval = await asked(lab, "refund-8106", "1043", 1500, customer="fay")
    await approval.decide("Bea", True, "Sorry!")
    await approval.activities()  # the shop has refused it, or not
    if approval.paid():
        raise NotYet("""fay asked for a refund of order 1043, which is ada's. Bea approved it without a look, and it was
            paid. For whom it is paid is the request's customer: leave that part as it was.""")


async def _rejected(lab: OwnLab) -> str:
    approval = await asked(lab, "refund-8102", "1043", 4400)
    await approval.decide("Cy", False, REASON)
    text = await approval.told("Cy rejected a refund", "the approval still waits: for whom?")
    require(not approval.paid(), "Cy rejected a refund, and it was paid all the same.")
    if REASON not in text:
        raise NotYet(f"""Cy rejected a refund and gave the reason “{REASON}”. The customer was told
            {quoted(text, 80)}, and not the reason.""")
    return text


async def _unanswered(lab: OwnLab) -> str:
    approval = await asked(lab, "refund-8103", "1044", 2500)
    await approval.fast_forward(timedelta(days=2, hours=23))
    if await approval.status() != WorkflowExecutionStatus.RUNNING:
        raise NotYet("""Nobody had decided for two days and 23 hours, and the approval had ended already. A
            person has three days.""")
    await approval.fast_forward(timedelta(hours=2))
    nobody = "Nobody decided for three days"
    text = await approval.told(nobody, "an hour after that the approval still waits.")
    require(not approval.paid(), f"{nobody}, and the refund was paid. Silence is not approval.")
    if "paid." in text and "not" not in text:
        raise NotYet(f"Nobody decided, nothing was paid, and the customer was told {quoted(text, 80)}.")
    return text


async def _answered_late(lab: OwnLab) -> None:
    approval = await asked(lab, "refund-8104", "1046", 1200)
    await approval.fast_forward(timedelta(days=2, hours=12))
    await approval.decide("Dee", True, "Just in time.")
    await approval.told("Dee approved on the third day", "two seconds later it had not ended.")
    require(approval.paid(), "Dee approved on the third day, which is in time, and nothing was paid.")


async def _decided_twice(lab: OwnLab) -> str:
    """Returns what the second to decide was told."""
    approval = await asked(lab, "refund-8105", HELD_UP, 2000)
    await approval.decide("Bea", True, "Sorry!")
    said = []
    for by, approved in (("Cy", False), ("Dee", True), ("Bea", False)):
        refusal = await approval.refusal(by, approved, "No.")
        require(refusal != "", f"{by}'s decision was refused without a sentence: say why.")
        paying = "Bea approved a refund, and while the shop was paying it,"
        if refusal is None and by == "Bea":
            raise NotYet(f"""{paying} she rejected it after all, and was told that she had decided. A decision counts
                once, whoever comes second.""")
        if refusal is None:
            raise NotYet(f"""{paying} {by} {"approved" if approved else "rejected"} it. Both were told that they had
                decided. A decision counts once: refuse the second with a sentence.""")
        said.append(refusal)
    await approval.fast_forward(timedelta(hours=2))
    happened = "Bea approved, Cy's later word was refused"
    await approval.told(happened, "the approval did not end.")
    require(approval.paid() == 1, f"{happened}, and the refund was not paid.")
    return said[0]
