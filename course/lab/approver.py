"""Somebody who decides from outside: a client of its own, that knows the server's address and nothing of the lab."""

import asyncio
from datetime import timedelta

from temporalio.client import (
    Client,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from course.lab.awaiting import awaited
from course.lab.errors import LabError

ANSWER_TIMEOUT = timedelta(seconds=30)

FOREIGN = ("Update handler for 'decide' expected", "Failed decoding arguments", "positional argument")
"""How a workflow answers that takes no decision, or takes one in another form."""

UNKNOWN = "There is no approval {!r}. Nothing was changed. The mail that asks for a decision names its id."
NO_APPROVAL = (
    "{} is not an approval, and takes no decision. An approval's id is the number of its request, such as "
    "ada-1/refund-1: the mail that asks for a decision names it. Nothing was changed."
)
NOT_KNOWN = "Whether the decision counts is not known here: the query `view` of {} says how it stands."


class Approver:
    """A person with a client. `decision` is `approve` or `reject`."""

    def __init__(self, client: Client, name: str) -> None:
        self._client, self.name = client, name

    @awaited("approver.decide(…)")
    async def decide(self, number: str, decision: str, reason: str = "") -> str:
        """Decides about an approval, by its id.

        Raises:
            LabError: The decision does not count. The sentence says why, and how the matter stands.
        """
        if not isinstance(number, str) or not number.strip():
            raise LabError(UNKNOWN.format(number))
        approval = self._client.get_workflow_handle(number)
        verdict = {"decision": decision, "by": self.name, "reason": reason}
        try:
            return await approval.execute_update(
                "decide", verdict, result_type=str, rpc_timeout=ANSWER_TIMEOUT
            )
        except WorkflowUpdateFailedError as error:
            foreign = isinstance(error.cause, ApplicationError) and any(
                words in error.cause.message for words in FOREIGN
            )
            raise LabError(NO_APPROVAL.format(number) if foreign else str(error.cause)) from None
        except WorkflowUpdateRPCTimeoutOrCancelledError:
            if (task := asyncio.current_task()) and task.cancelling():  # this wait, not the decision
                raise asyncio.CancelledError from None
            raise LabError(
                f"{number} gave no answer in {ANSWER_TIMEOUT.total_seconds():g} s: is there a worker that "
                f"runs it? {NOT_KNOWN.format(number)}"
            ) from None
        except RPCError as error:
            raise await self._not_decided(number, error) from None

    async def _not_decided(self, number: str, error: RPCError) -> LabError:
        if error.status == RPCStatusCode.NOT_FOUND and "already completed" in error.message:
            try:
                view = await self._client.get_workflow_handle(number).query("view")
                return LabError(f"{number} was already {view['state']}. Nothing was changed.")
            except WorkflowQueryFailedError:
                return LabError(NO_APPROVAL.format(number))
            except RPCError as no_server:
                error = no_server
        elif error.status == RPCStatusCode.NOT_FOUND:
            return LabError(UNKNOWN.format(number))
        return LabError(
            f"{self.name}'s decision did not get through to the server: {error.message.rstrip('.')}. "
            f"{NOT_KNOWN.format(number)} (If the lab of this client was stopped, make one for the new lab: "
            f"`await lab.approver({self.name!r})`.)"
        )
