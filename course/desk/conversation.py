"""One conversation of the support desk.

A turn is `_turn`, top to bottom: answer (or apologise), save, reply; then tell the team, and learn from
every third message. The customer waits for the answer and its record, for nothing else: lesson 03.

A conversation may be as long as it likes: the agent's memory is bounded (`memory.py`), and before the history
is long the conversation goes on in a new run (`renewal.py`). Lesson 12 is about both.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from agents import Agent
from temporalio import workflow
from temporalio.exceptions import ApplicationError
from temporalio.openai_agents.workflow import activity_as_tool
from temporalio.workflow import ActivityConfig, ContinueAsNewVersioningBehavior

with workflow.unsafe.imports_passed_through():
    from course.desk import activities
    from course.desk.answering import ask
    from course.desk.duties import Duties
    from course.desk.listing import keep_showing
    from course.desk.memory import Memory
    from course.desk.messages import check_message
    from course.desk.policies import BACKGROUND, RECORD, REPORT, TOOL
    from course.desk.renewal import EVENTS, Renewal, newest
    from course.desk.tools import customers_tool


BATCH = 3
"""The desk learns from every third message. Another number is another sequence of commands: conversations that have
reached a batch could not be replayed. Lesson 09 is about such changes: it takes `workflow.patched`, or only new runs."""

LAST = 100
"""Turns that are known in the next run, and that the report lists. The same message again, sent because its
reply got lost, comes within seconds, and at most ten are under way: a hundred are plenty."""

INSTRUCTIONS = """You are the support agent of Juniper, a shop for house plants. Answer in a few plain
sentences. Look up what you do not know. You cannot pay refunds: say that a colleague will decide."""


@dataclass
class Turn:
    """One accepted message, and what became of it."""

    number: int
    message: str
    answer: str | None = None
    outcome: str = "in progress"
    notes: dict[str, str] = field(default_factory=dict)
    """What the system did, by step: `saved`, `notice`, `batch`."""
    message_id: str = ""
    asked_at: str = ""


@dataclass
class Carried:
    """What a conversation takes along into its next run. All of it is bounded.

    The next run may have newer code, and after a rollback older: a new field needs a default, and the older code leaves
    out what it does not know. A field that goes, or means something else, needs two deployments.
    """

    turns: int = 0
    answered: int = 0
    last: list[Turn] = field(default_factory=list)
    """For the next batch, for the report, and for a message that comes again."""
    memory: Memory = field(default_factory=Memory)
    listed: bool = False
    """Whether it shows itself in the server's list. Here, since another parameter of `run` would not fit recorded starts."""


@dataclass
class Line:
    """One line of the transcript. `turn` is None for what belongs to the whole conversation."""

    turn: int | None
    role: str
    text: str


@dataclass
class Summary:
    """The workflow's result."""

    customer: str
    turns: int
    answered: int
    report: str | None


@workflow.defn
class ConversationWorkflow(Duties):
    renew_after = EVENTS
    """At how many events of history the conversation goes on in a new run."""

    @workflow.init
    def __init__(self, customer: str, carried: Carried | None = None) -> None:
        super().__init__()
        self._customer = customer
        self._agent = Agent(
            name="Juniper",
            instructions=INSTRUCTIONS,
            tools=[
                customers_tool(
                    activities.Customer(customer), activities.look_up_order, **TOOL
                ),
                activity_as_tool(activities.check_stock, **TOOL),
            ],
        )
        self._before = carried or Carried()  # the runs before this one
        self._memory = self._before.memory
        self._turns = list(self._before.last)
        self._turn_of = {turn.message_id: turn for turn in self._turns if turn.message_id}
        self._one_at_a_time = asyncio.Lock()
        self._closing = False
        self._report: str | None = None
        self._ending = ""
        self._renewal = Renewal(
            self.renew_after,
            is_idle=self.is_idle,
            is_answered=lambda: all(turn.answer is not None for turn in self._turns),
            duties=self.at_work,
            turns=self._count,
        )
        if self._before.listed:
            self._showing = asyncio.create_task(keep_showing(customer, self._stands))

    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> Summary:
        await workflow.wait_condition(self._is_over)
        await self._renewal.until_idle()  # no handler and no duty is at work
        if not self._closing:
            workflow.continue_as_new(
                args=[customer, self._carry()],
                initial_versioning_behavior=ContinueAsNewVersioningBehavior.AUTO_UPGRADE,
            )
        await self._write_report()
        return Summary(self._customer, self._count(), self._answered(), self._report)

    # What comes in

    @workflow.update
    async def send(self, text: str) -> str:
        """A message; returns the reply. Its id is the update's: sent again under the same id, because
        its reply got lost, it is the same turn."""
        update = workflow.current_update_info()
        assert update
        reply = await self._turn(update.id, text)
        await self._renewal.hold_back()  # waits only where a long history ends
        return reply

    @send.validator
    def check_send(self, text: str) -> None:
        self._accept(text)

    @workflow.signal
    async def post(self, message_id: str = "", text: str = "") -> None:
        """A message from a sender that does not wait. A refused one is dropped: a signal has no reply.

        Sent again under the same `message_id`, it is the same turn; without one, it is another message.
        """
        try:
            self._accept(text)
        except ApplicationError as error:
            workflow.logger.warning("Dropped message %s: %s", message_id, error)
            return
        await self._turn(message_id, text)

    @workflow.signal
    def close(self) -> None:
        self._closing = True

    # What can be asked

    @workflow.query
    def transcript(self) -> list[Line]:
        """Of this run: what was said in the runs before it, they can be asked."""
        lines = []
        for turn in self._own_turns():
            lines.append(Line(turn.number, "customer", turn.message))
            if turn.answer is not None:
                lines.append(Line(turn.number, "agent", turn.answer))
            notes = [turn.notes[step] for step in STEPS if step in turn.notes]
            lines += [Line(turn.number, "system", note) for note in notes]
        if self._ending:
            lines.append(Line(None, "system", self._ending))
        return lines

    @workflow.query
    def state(self) -> dict[str, Any]:
        return {
            "customer": self._customer,
            "turns": self._count(),
            "answered": self._answered(),
            "duties_running": len(self.duties),
            "closing": self._closing,
        }

    # One turn

    async def _turn(self, message_id: str, text: str) -> str:
        if message_id in self._turn_of:  # the same message again is the same turn
            turn = self._turn_of[message_id]
            await workflow.wait_condition(lambda: turn.answer is not None)
            return turn.answer or ""
        turn = Turn(self._count() + 1, text, message_id=message_id)
        turn.asked_at = workflow.now().isoformat(timespec="milliseconds")
        self._turns.append(turn)
        if message_id:
            self._turn_of[message_id] = turn

        # The lock keeps memory and order: the next message is answered with this one in mind.
        async with self._one_at_a_time:
            memory = self._memory.items()
            answer = await ask(self._agent, memory, text)
            self._memory.remember(answer.memory[len(memory) :])
        await self._save(turn, answer.text, answer.outcome)
        turn.answer, turn.outcome = answer.text, answer.outcome

        self.later(self._tell_the_team(turn))
        if turn.number % BATCH == 0:
            self.later(self._learn(turn))
        if self._memory.is_full():
            self.later(self._memory.fold())
        return answer.text

    async def _save(self, turn: Turn, answer: str, outcome: str) -> None:
        record = activities.TurnRecord(
            conversation=workflow.info().workflow_id,
            turn=turn.number,
            customer=self._customer,
            message=turn.message,
            answer=answer,
            outcome=outcome,
            asked_at=turn.asked_at,
            at=workflow.now().isoformat(timespec="seconds"),
        )
        args = [self._key(turn), record]
        await self._step(turn, "saved", activities.save_to_database, args, RECORD)

    async def _tell_the_team(self, turn: Turn) -> None:
        notice = f"{self._customer} wrote, and was {turn.outcome}: {turn.message}"
        args = [self._key(turn), notice, "email"]
        await self._step(turn, "notice", activities.send_notification, args, BACKGROUND)

    async def _learn(self, turn: Turn) -> None:
        batch = range(turn.number - BATCH + 1, turn.number + 1)
        messages = [t.message for t in self._turns if t.number in batch]
        args = [self._key(turn), messages, turn.number // BATCH]
        await self._step(turn, "batch", activities.process_batch, args, BACKGROUND)

    async def _step(
        self, turn: Turn, step: str, activity: Any, args: list[Any], policy: ActivityConfig
    ) -> None:
        """A duty that code decided on. If it fails for good, that is noted and costs the others nothing."""
        result, failure = await self.duty(activity, args, policy)
        if failure:
            turn.notes[step] = f"{step} failed: {failure}"
        elif step == "batch":
            turn.notes[step] = f"learned from turns up to {turn.number}"
        else:
            turn.notes[step] = str(result)

    # The end

    async def _write_report(self) -> None:
        summary = {
            "customer": self._customer,
            "totals": {"turns": self._count(), "answered": self._answered()},
            "turns": [  # the last of them
                {
                    "turn": turn.number,
                    "message": turn.message[:200],
                    "answer": (turn.answer or "")[:200],
                    "outcome": turn.outcome,
                }
                for turn in self._turns[-LAST:]
            ],
        }
        args = [workflow.info().workflow_id, summary]
        self._report, failure = await self.duty(activities.generate_report, args, REPORT)
        self._ending = (
            f"report failed: {failure}" if failure else f"report written: {self._report}"
        )

    # Small things

    def _accept(self, text: str) -> None:
        """Refuses what no turn can be made of, before it enters the history."""
        if self._closing:
            raise ApplicationError(
                "The conversation is closing and takes no more messages."
            )
        try:
            check_message(text)
        except ValueError as error:
            raise ApplicationError(str(error)) from None

    def _stands(self) -> tuple[str, str]:
        """Its state, and who has to act next."""
        if not self._closing and all(turn.answer is not None for turn in self._turns):
            return "idle", "customer"
        return "closing" if self._closing else "answering", "desk"

    def _is_over(self) -> bool:
        self.raise_bug()
        return self._closing or self._renewal.is_due()

    def _key(self, turn: Turn) -> str:
        """Names the intent: which conversation, which turn. Never the run, never the attempt."""
        return f"{workflow.info().workflow_id}/turn-{turn.number}"

    def _count(self) -> int:
        return self._turns[-1].number if self._turns else 0

    def _own_turns(self) -> list[Turn]:
        return [turn for turn in self._turns if turn.number > self._before.turns]

    def _answered(self) -> int:
        own = sum(turn.outcome == "answered" for turn in self._own_turns())
        return self._before.answered + own

    def _carry(self) -> Carried:
        last = newest(self._turns, BATCH, LAST)
        counts, listed = (self._count(), self._answered()), self._before.listed
        return Carried(*counts, last, self._memory, listed)


STEPS = ("saved", "notice", "batch")
