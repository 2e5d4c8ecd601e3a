"""Lesson 06: the naive desk, mended. The same workflow type, so its frozen conversations go on with this code."""

from agents.exceptions import AgentsException
from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.openai_agents import AgentsWorkflowError

with workflow.unsafe.imports_passed_through():
    from course.workflows.answering import APOLOGY

from course.workflows.naive_uncaught import NaiveUncaughtWorkflow


@workflow.defn(name="Desk")
class CaughtWorkflow(NaiveUncaughtWorkflow):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(customer)

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.answer_all()

    async def answer(self, text: str) -> str:
        try:
            return await super().answer(text)
        except (AgentsException, AgentsWorkflowError, ActivityError) as error:
            if is_cancelled_exception(error.__cause__ or error):
                raise
            return APOLOGY
