"""The ticket of lesson 11: from triage over resolve and confirm to closed, and opened again by staff."""

from typing import Any, ClassVar

from course import Lab
from course.lessons.lesson_11.ticket import TicketWorkflow
from tests.crash.sweep import CrashSweep, Found, Scenario

MESSAGES = ("Where is order 1042?", "Thank you!")
PATH = ("triage → resolve", "resolve → confirm", "confirm → closed", "closed → reopened")


class Ticket(Scenario):
    name = "ticket"
    workflows = (TicketWorkflow,)
    activities: ClassVar = {
        "invoke_model_activity": 5,  # triage, resolve before and after its tool, confirm, closed
        "look_up_order": 1,
        "record_move": len(PATH),
    }
    workflow_tasks = 14
    replies = len(MESSAGES) + 1

    async def play(self, sweep: CrashSweep, id: str) -> list[Any]:
        chat = await sweep.start(TicketWorkflow, id, "ada")
        replies = [await chat.send(message, timeout=90) for message in MESSAGES]
        moved = await chat.handle.execute_update("move", "reopened")
        return [*replies, moved, await chat.close(timeout=90)]

    def effects(self, lab: Lab, id: str) -> Found:
        moves = lab.table("moves")
        moves = moves[moves.ticket == id]
        assert (moves.outcome == "moved").all()
        return {
            "move": [f"{start} → {end}" for start, end in zip(moves.from_state, moves.to_state, strict=True)]
        }

    def wanted(self, id: str) -> Found:
        return {"move": PATH}
