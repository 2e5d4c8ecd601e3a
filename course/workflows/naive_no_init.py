"""Lesson 12, the naive way: the state that a new run takes along is unpacked in `run`."""

from agents import Agent
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from course.workflows.plain import INSTRUCTIONS, PlainConversation

from course.workflows.long_runs import TURNS_A_RUN, Carried


@workflow.defn
class NaiveNoInitWorkflow(PlainConversation):
    def __init__(self) -> None:
        super().__init__(Agent(name="Juniper", instructions=INSTRUCTIONS))

    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> int:
        if carried:
            self.turns, self._memory = carried.turns, carried.memory
        full = self.turns + TURNS_A_RUN
        await workflow.wait_condition(lambda: self._closing or self.turns >= full)
        await workflow.wait_condition(workflow.all_handlers_finished)
        if not self._closing:
            carried = Carried(self.turns, self._memory)
            workflow.continue_as_new(args=[customer, carried])
        return self.turns
