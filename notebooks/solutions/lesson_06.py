"""Exercise 06: a desk that survives a misbehaving model."""

from agents import Runner
from agents.exceptions import AgentsException
from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.openai_agents import AgentsWorkflowError

from course.lessons.lesson_06 import OneLoopWorkflow

SORRY = "I am sorry, I could not find an answer. Please try again, or ask for a colleague."


@workflow.defn
class SturdyDesk(OneLoopWorkflow):
    """A desk that replies to every message, whatever the model does."""

    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(customer)
        self._reasons: list[str] = []

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.answer_all()

    async def answer(self, text: str) -> str:
        conversation = [*self._memory, {"role": "user", "content": text}]
        try:
            result = await Runner.run(self._agent, conversation)
        except (AgentsException, AgentsWorkflowError, ActivityError) as error:
            if is_cancelled_exception(error.__cause__ or error):
                raise  # somebody's decision to stop, and no failure
            cause: BaseException = error  # "Activity task failed" says little: what lies beneath it says why
            while cause.__cause__ is not None:
                cause = cause.__cause__
            return self._sorry(f"{type(cause).__name__}: {cause}")
        answer = str(result.final_output)
        if not answer.strip():
            return self._sorry("The model answered without a word.")
        self._memory = result.to_input_list()
        self._reasons.append("")
        return answer

    def _sorry(self, reason: str) -> str:
        """An apology. The memory stays as it was before this message."""
        self._reasons.append(reason)
        return SORRY

    @workflow.query
    def reasons(self) -> list[str]:
        return self._reasons
