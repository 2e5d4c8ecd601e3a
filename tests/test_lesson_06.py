"""Lesson 06: what the model's failures do to a conversation, and how a frozen one goes on."""

from collections import Counter

import pytest
from temporalio.client import WorkflowExecutionStatus

from course import Lab
from course.lessons.lesson_06 import ApologisingLoopWorkflow, GuardedWorkflow, OneLoopWorkflow
from course.models import Mistakes
from tests.lab_helpers import count, task_failures, until

QUESTION = "Where is order 1042?"


@pytest.fixture(autouse=True)
async def the_naive_code(lab: Lab) -> None:
    await lab.deploy(OneLoopWorkflow)


@pytest.mark.parametrize(
    ("mistake", "says"),
    [("loop", "Max turns"), ("invent", "not found in agent"), ("mistyped", "validation error")],
)
async def test_what_temporal_takes_for_a_bug_freezes_it_and_mended_code_thaws_it(
    lab: Lab, mistake: str, says: str
) -> None:
    chat = await lab.converse(OneLoopWorkflow, "ada")
    lab.model.mistakes = Mistakes()
    await chat.send("How much light does a Monstera need?")
    lab.model.mistakes = Mistakes(**{mistake: 1})
    waiting = chat.begin(QUESTION)

    async def failures() -> set[str]:
        return set(task_failures(await chat.history()))

    [failure] = await until(failures, "a workflow task that fails")
    assert (await chat.handle.describe()).status == WorkflowExecutionStatus.RUNNING
    assert says in failure
    frozen = count(await chat.history())
    assert not waiting.done()
    told = await chat.transcript()  # with no query's help
    assert told.role.tolist() == ["customer", "agent", "customer"]
    assert frozen["save_to_database"] == 1

    lab.model.mistakes = Mistakes()
    await lab.deploy(ApologisingLoopWorkflow)
    assert "I am sorry" in await waiting
    thawed = count(await chat.history())
    assert thawed == frozen + Counter(save_to_database=1)  # nothing was done again, nothing left out
    assert "Order 1043" in await chat.send("Where is order 1043?")
    assert await chat.close() == 3


async def test_a_guardrail_costs_no_model_call_and_the_next_message_works(lab: Lab) -> None:
    lab.model.mistakes = Mistakes()
    chat = await lab.converse(GuardedWorkflow, "ada")
    calls = lab.model.attempts
    assert "I am sorry" in await chat.send("My card is 4111 1111 1111 1111. Where is order 1042?")
    assert count(await chat.history()).total() == 0
    assert lab.model.attempts == calls
    assert "Order 1042" in await chat.send(QUESTION)
    assert "4111" not in str((await chat.activities(times=True)).input.tolist())
