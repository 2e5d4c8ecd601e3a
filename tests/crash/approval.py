"""A conversation with an approval of lesson 10: a refund that waits, a question meanwhile, a decision, the payment."""

from typing import Any, ClassVar

from temporalio.client import WorkflowHistory

from course import Lab, LabError
from course.desk.services import database
from course.lessons.lesson_10.approval import ApprovalWorkflow
from course.lessons.lesson_10.asking import AskingWorkflow
from tests.crash.sweep import CrashSweep, Found, Scenario, keys
from tests.lab_helpers import until

VERDICT = {"decision": "approve", "by": "Bea", "reason": "Sorry!"}


class Approval(Scenario):
    name = "approval"
    workflows = (AskingWorkflow, ApprovalWorkflow)
    activities: ClassVar = {
        "invoke_model_activity": 3,
        "save_to_database": 3,
        "send_notification": 1,
        "record_decision": 1,
        "issue_refund": 1,
    }
    workflow_tasks = 12
    replies = 3  # two of the desk's, one of the approval's

    async def play(self, sweep: CrashSweep, id: str) -> list[Any]:
        rich = database.orders.update().values(paid_cents=90_000_000)  # every play is paid back
        with sweep.lab.world.services.database.engine.begin() as connection:
            connection.execute(rich)
        chat = await sweep.start(AskingWorkflow, id, "ada")
        messages = ("Please refund 34 EUR for order 1042.", "How much light does a Monstera need?")
        replies: list[Any] = [await chat.send(message, timeout=90) for message in messages]
        approval = sweep.lab.conversation(f"{id}/refund-1").handle
        replies.append(await approval.execute_update("decide", VERDICT, id="click"))
        replies.append(await approval.result())

        async def is_told() -> bool:
            return "system" in set((await chat.transcript()).role)

        await until(is_told, "the customer is told", 90)
        replies += (await chat.transcript()).text.tolist()
        return [*replies, await chat.close(timeout=90)]

    def effects(self, lab: Lab, id: str) -> Found:
        return {
            "turn": keys(lab, "turns", id),
            "decision": keys(lab, "decisions", id),
            "refund": keys(lab, "refunds", id, "refund_id"),
            "mail": [text.split(":")[0] for text in lab.inbox()["text"] if f" {id}/" in text],
        }

    def wanted(self, id: str) -> Found:
        return {
            "turn": [f"{id}/turn-{n}" for n in (1, 2, 3)],
            "decision": [f"{id}/refund-1"],
            "refund": [f"{id}/refund-1"],
            "mail": [f"Please decide about {id}/refund-1"],
        }

    async def histories(self, lab: Lab, id: str) -> list[WorkflowHistory]:
        found = await lab.conversation(id).record.histories()
        try:
            return [*found, *await lab.conversation(f"{id}/refund-1").record.histories()]
        except LabError:  # not asked yet
            return found
