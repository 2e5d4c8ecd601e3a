"""Lesson 06: a desk that lets out what an agent run raises; the same desk with an apology; and a guardrail of
the Agents SDK, before the model and beside it.
"""

import re
from dataclasses import dataclass
from typing import Any

from agents import (
    Agent,
    GuardrailFunctionOutput,
    InputGuardrail,
    RunContextWrapper,
    Runner,
    TResponseInputItem,
)
from agents.exceptions import AgentsException
from temporalio import activity, workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.openai_agents import AgentsWorkflowError

with workflow.unsafe.imports_passed_through():
    from course.desk import activities
    from course.desk.answering import APOLOGY
    from course.desk.policies import RECORD, TOOL

from course.lessons.plain_conversation import PlainConversation, conversation, juniper


@dataclass
class Message:
    text: str
    reply: str | None = None


@workflow.defn(name="Desk")
class OneLoopWorkflow:
    @workflow.init
    def __init__(self, customer: str) -> None:
        self._customer = customer
        self._agent = juniper(activities.look_up_order, customer=customer)
        self._memory: list[TResponseInputItem] = []
        self._messages: list[Message] = []
        self._answered = 0
        self._closing = False

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.answer_all()

    async def answer_all(self) -> int:
        """The life of the desk: one message after the other. Returns how many there were."""
        while True:
            await workflow.wait_condition(
                lambda: self._closing or self._answered < len(self._messages)
            )
            if self._answered == len(self._messages):
                await workflow.wait_condition(workflow.all_handlers_finished)
                return self._answered
            message = self._messages[self._answered]
            answer = await self.answer(message.text)
            await self._save(message.text, answer)
            message.reply = answer
            self._answered += 1

    async def answer(self, text: str) -> str:
        conversation = [*self._memory, {"role": "user", "content": text}]
        result = await Runner.run(self._agent, conversation)
        self._memory = result.to_input_list()
        return str(result.final_output)

    async def _save(self, text: str, answer: str) -> None:
        id, turn = workflow.info().workflow_id, self._answered + 1
        record = activities.TurnRecord(
            conversation=id, turn=turn, customer=self._customer, message=text, answer=answer
        )
        await workflow.execute_activity(
            activities.save_to_database, args=[f"{id}/turn-{turn}", record], **RECORD
        )

    @workflow.update
    async def send(self, text: str) -> str:
        message = Message(text)
        self._messages.append(message)
        await workflow.wait_condition(lambda: message.reply is not None)
        return message.reply or ""

    @workflow.signal
    def close(self) -> None:
        self._closing = True


@workflow.defn(name="Desk")
class ApologisingLoopWorkflow(OneLoopWorkflow):
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


CARD = re.compile(r"\b(?:\d[ -]?){12,18}\d\b")


@activity.defn
def has_card_number(text: str) -> bool:
    """Whether a text holds the number of a payment card: its last digit is the check digit of ISO/IEC 7812-1."""
    return any(_adds_up(re.sub(r"\D", "", found)) for found in CARD.findall(text))


def _adds_up(number: str) -> bool:
    """Every second digit counts twice, and 10 or more as the sum of its digits; all of it is a multiple of ten."""
    digits = [
        int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(number[::-1])
    ]
    return sum(sum(divmod(digit, 10)) for digit in digits) % 10 == 0


async def no_card_number(
    context: RunContextWrapper[Any],
    agent: Agent[Any],
    input: str | list[TResponseInputItem],
) -> GuardrailFunctionOutput:
    """Stops a run whose newest message holds the number of a payment card."""
    newest = input if isinstance(input, str) else str(input[-1].get("content"))
    found = await workflow.execute_activity(has_card_number, newest, **TOOL)
    return GuardrailFunctionOutput(output_info=None, tripwire_triggered=found)


BEFORE_THE_MODEL = InputGuardrail(no_card_number, run_in_parallel=False)
BESIDE_THE_MODEL = InputGuardrail(no_card_number)


@conversation
class GuardedWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(
            juniper(
                activities.look_up_order,
                customer=customer,
                input_guardrails=[BEFORE_THE_MODEL],
            )
        )


@conversation
class GuardedBesideWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(
            juniper(
                activities.look_up_order,
                customer=customer,
                input_guardrails=[BESIDE_THE_MODEL],
            )
        )
