"""Lesson 11: a ticket is a conversation with states. The model proposes a move, and the machine permits it."""

from datetime import timedelta
from typing import Any

from agents import Agent, Tool, function_tool
from pydantic import BaseModel
from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from course.desk import activities
    from course.desk.activities import Customer
    from course.desk.answering import APOLOGY, ask
    from course.desk.policies import PAYMENT, RECORD
    from course.lessons import money, records

from course.lessons.lesson_11.machine import Machine, Move, State
from course.lessons.plain_conversation import PlainConversation, as_tool, conversation
from course.lessons.telling import tell_the_model

STATES = {
    "triage": State("Sort the message. You answer nothing yourself.", answers=False),
    "clarify": State("Ask for what is missing, in one question."),
    "resolve": State(
        "Do what the customer asks for. Then ask whether that is all.",
        tools=("look_up_order", "check_stock", "refund"),
    ),
    "confirm": State(
        "Find out whether the customer is content. You answer nothing yourself.",
        answers=False,
    ),
    "closed": State("Say goodbye in one sentence."),
    "reopened": State(
        "The customer is back. Sort the message. You answer nothing yourself.",
        tools=("look_up_order",),
        answers=False,
    ),
}

CLEAR = "the message names an order or a plant"
UNCLEAR = "otherwise: it is not clear what is meant"

MOVES = (
    Move("triage", "resolve", "model", when=CLEAR),
    Move("triage", "clarify", "model", when=UNCLEAR),
    Move("triage", "closed", "staff"),
    Move("clarify", "triage", "customer"),
    Move("clarify", "closed", "clock", after=timedelta(days=7)),
    Move("resolve", "confirm", "model", when="the order or the plant was seen to"),
    Move("resolve", "clarify", "model", when="something is missing or unclear"),
    Move("confirm", "closed", "model", when="the customer says thanks, thank you or yes"),
    Move("confirm", "resolve", "model", when="otherwise: something is still to be done"),
    Move("confirm", "closed", "clock", after=timedelta(days=3)),
    Move("closed", "reopened", "customer"),
    Move("closed", "reopened", "staff"),
    Move("reopened", "resolve", "model", when=CLEAR),
    Move("reopened", "clarify", "model", when=UNCLEAR),
)

TICKET = Machine("triage", "closed", timedelta(days=14), STATES, MOVES)

RUNS = 4
"""How many agent runs one message may take. Without a limit, a model could be refused for ever."""


class Sorted(BaseModel):
    """The output of an agent that sorts."""

    move: str


class Answered(BaseModel):
    """The output of an agent that answers: what to say, and which move it proposes."""

    reply: str
    move: str | None = None


def refund_tool(customer: str) -> Tool:
    async def refund(order_id: str, amount_cents: int) -> str:
        """Pay money back for an order.

        Args:
            order_id: The order's number, such as 1042.
            amount_cents: How much, in cents.
        """
        # The key is the order's, on purpose: one refund an order, whoever asks again, and in whatever words.
        # A second part (10 EUR, then 12) is refused. A shop that pays in parts gives each case a number, once,
        # before anything can be repeated, and makes that the key (lesson 07).
        key = f"order-{order_id}"
        return await workflow.execute_activity(
            money.issue_refund,
            args=[Customer(customer), key, order_id, amount_cents],
            **PAYMENT,
        )

    return function_tool(refund, failure_error_function=tell_the_model)


def tool(name: str, customer: str) -> Tool:
    """A tool by the name that the machine has for it. Code says whose orders it may see."""
    if name == "refund":
        return refund_tool(customer)
    return as_tool(getattr(activities, name), customer)


def agent_of(machine: Machine, name: str, customer: str) -> Agent[Any]:
    """The agent of one state: its instructions, its tools, and which moves it may propose."""
    state = machine.states[name]
    moves = [f"- {move.to_state}: {move.when}" for move in machine.moves_of(name, "model")]
    told = f"You are the support agent of Juniper, a plant shop. {state.instructions}"
    told += f" The ticket is in {name}."
    if moves:
        told += "\n".join(["\nWhat you may propose as `move`:", *moves])
    return Agent(
        name=f"Juniper, {name}",
        instructions=told,
        tools=[tool(one, customer) for one in state.tools],
        output_type=Answered if state.answers else Sorted,
    )


class TicketDesk(PlainConversation):
    """A customer's ticket on any machine. A workflow derives from it, hands it both, and has a `run`.

    `close`, a signal that every conversation here has, ends it in any state, with no move on record.
    """

    def __init__(self, customer: str, machine: Machine) -> None:
        super().__init__(agent_of(machine, machine.start, customer))
        self.customer = customer
        self.machine = machine
        self._state = machine.start
        self._proposals = 0
        self._news = 0  # grows with every move and every message

    async def until_closed(self) -> int:
        """The life of the ticket: what has to happen while nobody writes or moves it, happens here."""
        while not self._closing:
            news = self._news
            try:
                await workflow.wait_condition(
                    lambda news=news: self._closing or self._news != news,
                    timeout=self._patience(),
                )
            except TimeoutError:
                async with self._one_at_a_time:  # a message may be under way
                    if self._news == news:
                        await self._time_is_up()
        return await super().until_closed()

    @workflow.query
    def state(self) -> str:
        return self._state

    # Moves

    async def _move(self, to_state: str, by: str) -> str | None:
        """The one place where a ticket moves. Returns the refusal, or None when it has moved.

        What was asked for goes on record first, refused or not. Then the ticket moves.
        """
        refusal = self.machine.refusal(self._state, to_state, by)
        self._proposals += 1
        record = records.MoveRecord(
            ticket=workflow.info().workflow_id,
            from_state=self._state,
            to_state=to_state[:40],
            by=by,
            outcome="refused" if refusal else "moved",
        )
        key = f"{workflow.info().workflow_id}/move-{self._proposals}"
        await workflow.execute_activity(records.record_move, args=[key, record], **RECORD)
        if not refusal:
            self._state = to_state
        self._news += 1
        return refusal

    @workflow.update
    async def move(self, to_state: str) -> str:
        """A move by staff. Returns the new state of the ticket."""
        async with self._one_at_a_time:
            if refusal := await self._move(to_state, "staff"):
                raise ApplicationError(refusal)
            return self._state

    @move.validator
    def check_move(self, to_state: str) -> None:
        if refusal := self.machine.refusal(self._state, to_state, "staff"):
            raise ApplicationError(refusal)

    def _patience(self) -> timedelta | None:
        if self._state == self.machine.end:
            return self.machine.ends_after
        move = self.machine.move_of(self._state, "clock")
        return move.after if move else None

    async def _time_is_up(self) -> None:
        move = self.machine.move_of(self._state, "clock")
        if move:
            await self._move(move.to_state, "clock")
        else:
            self._closing = True

    # One turn

    async def turn(self, text: str) -> str:
        if move := self.machine.move_of(self._state, "customer"):
            await self._move(move.to_state, "customer")
        reply = await self._seen_to(text)
        self._news += 1  # whatever the outcome: the clock starts again
        return reply

    async def _seen_to(self, text: str) -> str:
        """Hands the message to the agent of the current state, until one answers."""
        refusals: list[Any] = []
        for _ in range(RUNS):
            self.agent = agent_of(self.machine, self._state, self.customer)
            if self.machine.states[self._state].answers:
                return await self._answered(text)
            sorting = await ask(self.agent, [*self._memory, *refusals], text)
            if not isinstance(sorting.output, Sorted):
                return sorting.text
            if refusal := await self._move(sorting.output.move, "model"):
                refusals.append({"role": "system", "content": refusal})
        return APOLOGY

    async def _answered(self, text: str) -> str:
        answer = await self.answer(text)
        if not isinstance(answer.output, Answered):
            return answer.text
        reply, to_state = answer.output.reply, answer.output.move
        if to_state and (refusal := await self._move(to_state, "model")):
            self._memory.append({"role": "system", "content": refusal})
            reply += f" (Your ticket stays in {self._state!r}.)"
        return reply if reply.strip() else APOLOGY


@conversation
class TicketWorkflow(TicketDesk):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(customer, TICKET)
