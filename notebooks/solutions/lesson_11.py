"""Exercise 11: a state more."""

from dataclasses import replace
from datetime import timedelta

from temporalio import workflow

from course.lessons.lesson_11.machine import Move, State
from course.lessons.lesson_11.ticket import MOVES, STATES, TICKET, TicketDesk

MACHINE = replace(
    TICKET,
    states=STATES
    | {
        "escalated": State(
            "A colleague looks into the case. Tell the customer so, and what you know.",
            tools=("look_up_order",),
        )
    },
    moves=(
        *MOVES,
        Move("resolve", "escalated", "model", when="the customer asks for a person"),
        Move("escalated", "resolve", "staff"),
        Move("escalated", "closed", "staff"),
        Move("escalated", "resolve", "clock", after=timedelta(days=2)),
    ),
)


@workflow.defn
class EscalatingTicket(TicketDesk):
    """A ticket that a person can be asked to look into."""

    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(customer, MACHINE)

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()
