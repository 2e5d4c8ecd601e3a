"""Lesson 06: what the model's failures do to a conversation, and how a frozen one goes on."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from temporalio.client import WorkflowExecutionStatus

from course import Lab, LabError
from course.lessons.lesson_06 import ApologisingLoopWorkflow, GuardedWorkflow, OneLoopWorkflow
from course.models import Mistakes
from tests.lab_helpers import count, until

QUESTION = "Where is order 1042?"


@pytest.fixture(scope="module")
async def lab() -> AsyncIterator[Lab]:
    async with await Lab.start(ui=False) as lab:
        yield lab


@pytest.fixture(autouse=True)
async def the_naive_code(lab: Lab) -> None:
    await lab.deploy(OneLoopWorkflow)


async def task_failures(lab: Lab, id: str) -> set[str]:
    """What the workflow's tasks failed with. (The server may record the same failure more than once.)"""
    return {
        event.workflow_task_failed_event_attributes.failure.message
        for event in (await lab.conversation(id).history()).events
        if event.HasField("workflow_task_failed_event_attributes")
    }


@pytest.mark.parametrize("mistake", ["refuse", "time_out", "malformed"])
async def test_what_temporal_takes_for_a_failure_ends_the_naive_desk(lab: Lab, mistake: str) -> None:
    lab.model.mistakes = Mistakes(**{mistake: 1})
    chat = await lab.converse(OneLoopWorkflow, mistake)
    chat.begin(QUESTION)
    if mistake == "time_out":
        await chat.fast_forward(timedelta(minutes=15))

    async def failed() -> bool:
        return (await chat.handle.describe()).status == WorkflowExecutionStatus.FAILED

    await until(failed, "the end of the naive desk")
    rows = lab.table("turns")
    assert chat.id not in rows.conversation.tolist()
    lab.model.mistakes = Mistakes()
    with pytest.raises(LabError, match="has ended and takes no more messages"):
        await chat.send("Hello!")


@pytest.mark.parametrize("mistake", ["loop", "invent", "mistyped"])
async def test_what_temporal_takes_for_a_bug_freezes_it_and_mended_code_thaws_it(
    lab: Lab, mistake: str
) -> None:
    chat = await lab.converse(OneLoopWorkflow, mistake)
    lab.model.mistakes = Mistakes()
    await chat.send("How much light does a Monstera need?")
    lab.model.mistakes = Mistakes(**{mistake: 1})
    waiting = chat.begin(QUESTION)
    [failure] = await until(lambda: task_failures(lab, chat.id), "a workflow task that fails")
    assert (await chat.handle.describe()).status == WorkflowExecutionStatus.RUNNING
    assert {"loop": "Max turns", "invent": "not found in agent", "mistyped": "validation error"}[
        mistake
    ] in failure
    frozen = count(await chat.history())
    assert not waiting.done()
    assert (await chat.transcript()).role.tolist() == [
        "customer",
        "agent",
        "customer",
    ]  # with no query's help
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
