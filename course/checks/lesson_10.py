"""Exercise 10: the rejected and the unanswered path of an approval."""

import asyncio
import builtins
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from course.checks.complaints import meaning
from course.checks.talking import OwnLab, Stuck, Talk, defined, dice_of, lab_for, own_part, replaced_by
from course.checks.verdict import NotYet, quoted, require, shortened
from course.checks.waiting import on_this_machine
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

HELD_UP = "1045"

Decision = dict[str, Any]
"""As a workflow's result has it: `approved`, `by` and `reason`."""


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
        await _rejected(lab)
        await _unanswered(lab)
        await _answered_late(lab)
        refused = await _decided_twice(lab)
    return f"""An approved refund was paid once, and one of another customer's order was not. A rejected one was not paid,
        and the result says who rejected it and why. With no answer it waited for three days, was not paid, and names
        nobody; an answer on the third day still counted. A second decision was refused with {quoted(refused, 100)}, and
        changed nothing."""


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
        refusal, _ = await self.answered(by, approved, reason)
        if refusal is not None:
            words = f": {quoted(refusal, 100)}" if refusal else " without a sentence"
            raise NotYet(f"{by} was the first to decide, and `decide` refused it{words}.")

    async def answered(self, by: str, approved: bool, reason: str = "") -> tuple[str | None, Any]:
        """Somebody decides. Returns what they are told if that is refused (None if it is not), and else the answer."""
        decision = {"approved": approved, "by": by, "reason": reason}
        sending = asyncio.create_task(self.handle.execute_update("decide", decision))
        in_time = await self.wait_for(sending, on_this_machine(4))
        require(in_time, f"`decide` did not answer {by}: it must not wait for anything.")
        try:
            return None, await sending
        except WorkflowUpdateFailedError as error:
            return _sentence(by, error.cause), None

    async def ends(self, happened: str, otherwise: str, paid: bool, decision: Decision | None) -> None:
        """Compares payment and result with what happened. When there is no end, raises `NotYet` with the words for it."""
        ending = asyncio.create_task(self.handle.result())
        require(await self.wait_for(ending, on_this_machine(2)), f"{happened}, and {otherwise}")
        try:
            said = await ending
        except WorkflowFailureError as error:
            raise NotYet(f"""{happened}, and the approval ended as failed: {_failure(error)}. The customer's mail is
                written from what `run` returns, and it returned nothing.""") from None
        if self.paid() != paid:
            wrong = (
                "nothing was paid under its number, request.number" if paid else "it was paid all the same"
            )
            raise NotYet(f"{happened}, and {wrong}.")
        if said != decision:
            named = shortened(repr(said), 160)
            words = "who decided, and why, in that person's own words" if decision else "that nobody decided"
            raise NotYet(f"""{happened}. `run` returned {named}, and should return the decision, {decision}: the customer
                is told {words}.""")

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
    later = "two seconds later the approval had not ended."
    await approval.ends("Bea approved a refund", later, True, _by("Bea", True, "Sorry!"))
    await approval.is_replayed()


async def _anothers_order(lab: OwnLab) -> None:
    approval = await asked(lab, "refund-8106", "1043", 1500, customer="fay")
    await approval.decide("Bea", True, "Sorry!")
    await approval.activities()  # the shop has refused it, or not
    if approval.paid():
        raise NotYet("""fay asked for a refund of order 1043, which is ada's. Bea approved it without a look, and it was
            paid. For whom it is paid is the request's customer: leave that part as it was.""")


async def _rejected(lab: OwnLab) -> None:
    approval = await asked(lab, "refund-8102", "1043", 4400)
    reason = f"Photo {dice_of(lab.module).randint(100, 999)} shows that it only needs water."
    await approval.decide("Cy", False, reason)
    waits = "the approval still waits: for whom?"
    await approval.ends("Cy rejected a refund", waits, False, _by("Cy", False, reason))


async def _unanswered(lab: OwnLab) -> None:
    approval = await asked(lab, "refund-8103", "1044", 2500)
    await approval.fast_forward(timedelta(days=2, hours=23))
    if await approval.status() != WorkflowExecutionStatus.RUNNING:
        raise NotYet("""Nobody had decided for two days and 23 hours, and the approval had ended already. A
            person has three days.""")
    await approval.fast_forward(timedelta(hours=2))
    await approval.ends(
        "Nobody decided for three days", "an hour after that the approval still waits.", False, None
    )


async def _answered_late(lab: OwnLab) -> None:
    approval = await asked(lab, "refund-8104", "1046", 1200)
    await approval.fast_forward(timedelta(days=2, hours=12))
    await approval.decide("Dee", True, "Just in time.")
    happened, later = "Dee approved on the third day, which is in time", "two seconds later it had not ended."
    await approval.ends(happened, later, True, _by("Dee", True, "Just in time."))


async def _decided_twice(lab: OwnLab) -> str:
    """Returns what the second to decide was told."""
    approval = await asked(lab, "refund-8105", HELD_UP, 2000)
    await approval.decide("Bea", True, "Sorry!")
    said = []
    for by, approved in (("Cy", False), ("Dee", True), ("Bea", False)):
        try:
            refusal, answer = await approval.answered(by, approved, "No.")
        except Stuck as error:
            if error.outcome != "error" or _is_slip(error.kind):
                raise
            # `run` waits for the shop, so it was the handler that raised.
            raise NotYet(f"""Bea had decided, {by} decided too, and `decide` raised {error.kind}. In the body of an update
                handler such an error does not refuse: it fails the workflow task, which is tried again, and {by} gets no
                answer. Raise it in a validator (@decide.validator), or raise ApplicationError.""") from None
        require(refusal != "", f"{by}'s decision was refused without a sentence: say why.")
        if refusal is None:
            also = (
                "she rejected it after all"
                if by == "Bea"
                else f"{by} {'approved' if approved else 'rejected'} it"
            )
            raise NotYet(f"""Bea approved a refund, and while the shop was paying it, {also}. `decide` returned
                {shortened(repr(answer), 80)}, and to whoever sent it that means: it counts, whatever the text says. A
                decision counts once: refuse another in a validator, by an error with a sentence.""")
        said.append(refusal)
    await approval.fast_forward(timedelta(hours=2))
    happened = "Bea approved, Cy's later word was refused"
    await approval.ends(happened, "the approval did not end.", True, _by("Bea", True, "Sorry!"))
    return said[0]


def _by(by: str, approved: bool, reason: str) -> Decision:
    return {"approved": approved, "by": by, "reason": reason}
