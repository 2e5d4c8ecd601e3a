"""Lesson 06: what the model's failures do to a conversation, and how a frozen one goes on."""

import threading
from collections import Counter
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowExecutionStatus

from course import Lab, LabError
from course.lab.running import RunningWorker
from course.lessons.lesson_06 import (
    ApologisingLoopWorkflow,
    GuardedBesideWorkflow,
    GuardedWorkflow,
    OneLoopWorkflow,
    has_card_number,
)
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


async def test_the_lab_lists_a_workflow_after_two_failed_tasks(lab: Lab) -> None:
    lab.model.mistakes = Mistakes(loop=1)
    chat = await lab.converse(OneLoopWorkflow, "ada")
    waiting = chat.begin(QUESTION)

    async def listed() -> int | None:
        attempt = (await chat.handle.describe()).raw_description.pending_workflow_task.attempt
        query = "TemporalReportedProblems IS NOT NULL"
        return attempt if chat.id in await lab.cli("workflow", "list", "--query", query) else None

    attempt = await until(listed, "the search attribute", seconds=60)
    assert attempt <= 3  # the third is due: a server as it comes lists it when the sixth is
    lab.model.mistakes = Mistakes()
    await lab.deploy(ApologisingLoopWorkflow)
    assert "I am sorry" in await waiting


async def test_a_failed_conversation_is_brought_back_by_a_reset_under_fixed_code(lab: Lab) -> None:
    lab.model.mistakes = Mistakes(refuse=1)
    chat = await lab.converse(OneLoopWorkflow, "ada")
    chat.begin(QUESTION)
    await chat.activities()
    lab.model.mistakes = Mistakes()
    await lab.deploy(ApologisingLoopWorkflow)
    assert (await chat.handle.describe()).status == WorkflowExecutionStatus.FAILED
    await chat.reset(before="invoke_model_activity")
    await chat.activities()
    assert (await chat.transcript()).text.str.contains("Order 1042").sum() == 1


@pytest.mark.parametrize(("guarded", "asked"), [(GuardedWorkflow, 0), (GuardedBesideWorkflow, 1)])
async def test_a_guardrail_before_the_model_costs_no_model_call_and_the_next_message_works(
    lab: Lab, guarded: type, asked: int
) -> None:
    lab.model.mistakes = Mistakes()
    chat = await lab.converse(guarded, "ada")
    assert "I am sorry" in await chat.send("My card is 4111111111111111.")
    calls = [row for row in (await chat.activities()).activity if row != "has_card_number"]
    assert calls == ["invoke_model_activity"] * asked
    assert "Order 1042" in await chat.send(QUESTION)
    record = await chat.activities(times=True)
    seen = record[record.activity == "invoke_model_activity"].input.astype(str)
    assert seen.str.contains("1111").tolist() == [True] * asked + [False] * 2


async def test_beside_a_slow_guardrail_the_models_tools_run() -> None:
    looked_up = threading.Event()

    @activity.defn(name="has_card_number")
    def checks_slowly(text: str) -> bool:
        return looked_up.wait(20)

    @activity.defn(name="look_up_order")
    def look_up_order(customer: dict[str, str], order: str) -> str:
        looked_up.set()
        return "no such order"

    options = {"workflows": [GuardedBesideWorkflow], "activities": [checks_slowly, look_up_order]}
    async with await Lab.start(**options, ui=False) as lab:
        chat = await lab.converse(GuardedBesideWorkflow, "ada")
        assert "I am sorry" in await chat.send("Where is order 1042? My card is 4111111111111111.")
        assert [*(await chat.activities()).activity][:2] == ["has_card_number", "invoke_model_activity"]
        assert looked_up.is_set()


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("My card is 4111 1111 1111 1111. Where is it?", True),
        ("378282246310005", True),  # fifteen digits
        ("My card is 4111 1111 1111 1112.", False),  # the check digit is another one
        ("Order 1042, and 1043", False),
    ],
)
async def test_a_card_number_is_known_by_its_check_digit(text: str, holds: bool) -> None:
    assert has_card_number(text) is holds


async def test_the_code_from_before_is_named_where_another_has_its_place(lab: Lab) -> None:
    await lab.deploy(ApologisingLoopWorkflow)
    with pytest.raises(
        LabError, match=r"runs ApologisingLoopWorkflow .*`await lab.deploy\(OneLoopWorkflow\)"
    ):
        await lab.converse(OneLoopWorkflow, "ada")


async def test_a_workflow_from_a_cell_is_sent_to_a_file(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ApologisingLoopWorkflow, "__module__", "__main__")
    tried = []

    def refuses_a_notebooks(*about: Any) -> RunningWorker:  # here, __main__ is pytest's
        tried.append(about)
        if len(tried) == 1:
            raise AttributeError("module '__main__' has no attribute '__file__'")
        return RunningWorker(*about)

    monkeypatch.setattr("course.lab.workers.RunningWorker", refuses_a_notebooks)
    with pytest.raises(
        LabError, match=r"Not deployed: ApologisingLoopWorkflow is defined in a cell.*%%writefile"
    ):
        await lab.deploy(ApologisingLoopWorkflow)
