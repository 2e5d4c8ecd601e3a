"""The desk of lesson 03: three turns, a batch, the end and its report."""

from typing import Any, ClassVar

from course import Lab
from course.desk import ConversationWorkflow
from tests.crash.sweep import CrashSweep, Found, Scenario, keys


class Desk(Scenario):
    name = "desk"
    workflows = (ConversationWorkflow,)
    activities: ClassVar = {
        "invoke_model_activity": 4,  # the second turn asks, uses a tool, and asks again
        "look_up_order": 1,
        "save_to_database": 3,
        "send_notification": 3,
        "process_batch": 1,
        "generate_report": 1,
    }
    workflow_tasks = 15
    messages = ("Hello!", "Where is order 1042?", "Thank you.")
    replies = 3

    async def play(self, sweep: CrashSweep, id: str) -> list[Any]:
        chat = await sweep.start(ConversationWorkflow, id)
        replies = [await chat.send(message, timeout=90) for message in self.messages]
        summary = await chat.close(timeout=90)
        return [*replies, summary["turns"], summary["answered"]]

    def effects(self, lab: Lab, id: str) -> Found:
        return {
            "turn": keys(lab, "turns", id),
            "batch": keys(lab, "batches", id),
            "report": keys(lab, "reports", id),
            "mail": [text for text in lab.inbox()["text"] if text.startswith(f"{id} ")],
        }

    def wanted(self, id: str) -> Found:
        return {
            "turn": [f"{id}/turn-{n}" for n, _ in enumerate(self.messages, 1)],
            "batch": [f"{id}/turn-3"],
            "report": [id],
            "mail": [f"{id} wrote, and was answered: {message}" for message in self.messages],
        }
