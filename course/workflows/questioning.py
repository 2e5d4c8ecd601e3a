"""What the desks of lesson 13 have in common: the agent, the record with its time, and what a question is."""

from agents import Agent
from temporalio import workflow
from temporalio.openai_agents.workflow import activity_as_tool

with workflow.unsafe.imports_passed_through():
    from course import activities
    from course.workflows.policies import RECORD, TOOL

from course.workflows.answering import Answer
from course.workflows.duties import DutifulConversation

ANYTHING_ELSE = "Is there anything else I can do for you?"
INSTRUCTIONS = f"""You are the support agent of Juniper, a shop for house plants. Look up what you do not
know, and ask for what you need. When nothing is open, end with: {ANYTHING_ELSE}"""


def asks(reply: str) -> bool:
    """Whether a reply waits for an answer. A rule of the desk's: no model decides when it reminds."""
    return "?" in reply.replace(ANYTHING_ELSE, "")


class QuestioningDesk(DutifulConversation):
    def __init__(self, customer: str) -> None:
        tools = [activity_as_tool(activities.look_up_order, **TOOL)]
        super().__init__(Agent(name="Juniper", instructions=INSTRUCTIONS, tools=tools))
        self.customer = customer
        self.record: list[activities.TurnRecord] = []

    async def answer_and_save(self, text: str) -> Answer:
        answer = await self.answer(text)
        row = activities.TurnRecord(
            conversation=workflow.info().workflow_id,
            turn=self.turns,
            customer=self.customer,
            message=text,
            answer=answer.text,
            outcome=self.outcome_of(answer),
            at=workflow.now().isoformat(timespec="seconds"),
        )
        self.record.append(row)
        await workflow.execute_activity(
            activities.save_to_database, args=[self.key, row], **RECORD
        )
        return answer

    def outcome_of(self, answer: Answer) -> str:
        return answer.outcome
