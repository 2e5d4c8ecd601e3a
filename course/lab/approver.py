"""Somebody who decides from outside: a client of its own, that knows the server's address and nothing of the lab."""

from datetime import timedelta

from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode

from course.lab.awaiting import awaited
from course.lab.errors import LabError


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
        approval = self._client.get_workflow_handle(number)
        verdict = {"decision": decision, "by": self.name, "reason": reason}
        try:
            return await approval.execute_update(
                "decide", verdict, result_type=str, rpc_timeout=timedelta(seconds=30)
            )
        except WorkflowUpdateFailedError as error:
            raise LabError(str(error.cause)) from None
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            if "already completed" not in error.message:
                raise LabError(f"There is no approval {number!r}. Nothing was changed.") from None
            state = (await approval.query("view"))["state"]
            raise LabError(f"{number} was already {state}. You are too late: nothing was changed.") from None
