"""Exercise 12: a desk that may go on for ever."""

from dataclasses import dataclass

from agents import Agent
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from course.desk.answering import ask
    from course.desk.memory import Memory
    from course.lessons.plain_conversation import INSTRUCTIONS, DutifulConversation

TURNS_A_RUN = 5


@dataclass
class Carried:
    """What a new run needs to know. All of it is bounded."""

    turns: int
    memory: Memory


@workflow.defn
class LongDesk(DutifulConversation):
    @workflow.init
    def __init__(self, customer: str, carried: Carried | None = None) -> None:
        super().__init__(Agent(name="Juniper", instructions=INSTRUCTIONS))
        carried = carried or Carried(0, Memory(kept=2))
        self.turns, self.memory = carried.turns, carried.memory
        self.full = self.turns + TURNS_A_RUN

    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> int:
        await workflow.wait_condition(lambda: self._closing or self.turns >= self.full)
        await workflow.wait_condition(lambda: workflow.all_handlers_finished() and not self.duties)
        if not self._closing:
            workflow.continue_as_new(args=[customer, Carried(self.turns, self.memory)])
        return self.turns

    async def turn(self, text: str) -> str:
        before = self.memory.items()
        answer = await ask(self.agent, before, text)
        self.memory.remember(answer.memory[len(before) :])
        if self.memory.is_full():
            self.later(self.memory.fold())  # nobody waits for the notes
        return answer.text
