"""Lesson 06: a guardrail of the Agents SDK. Code looks at the message before the agent may answer."""

import re
from typing import Any

from agents import (
    Agent,
    GuardrailFunctionOutput,
    InputGuardrail,
    RunContextWrapper,
    TResponseInputItem,
)
from temporalio import workflow
from temporalio.openai_agents.workflow import activity_as_tool

with workflow.unsafe.imports_passed_through():
    from course import activities
    from course.workflows.policies import TOOL

from course.workflows.plain import INSTRUCTIONS, PlainConversation

CARD = re.compile(r"\b(?:\d[ -]?){15,16}\b")


async def no_card_number(
    context: RunContextWrapper[Any],
    agent: Agent[Any],
    input: str | list[TResponseInputItem],
) -> GuardrailFunctionOutput:
    """Stops a run whose newest message holds the number of a payment card."""
    newest = input if isinstance(input, str) else str(input[-1].get("content"))
    found = CARD.search(newest) is not None
    return GuardrailFunctionOutput(output_info=None, tripwire_triggered=found)


@workflow.defn
class GuardedWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(
            Agent(
                name="Juniper",
                instructions=INSTRUCTIONS,
                tools=[activity_as_tool(activities.look_up_order, **TOOL)],
                input_guardrails=[InputGuardrail(no_card_number)],
            )
        )

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()
