"""Lesson 09's claims that its notebook does not hold already."""

import contextlib
import json
import re
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import nbformat
import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.openai_agents import OpenAIAgentsPlugin
from temporalio.worker import Replayer

from course import Lab, LabError
from course.lab import replay
from course.lab.runtime import runtime
from course.lessons.lesson_09 import (
    GrowingPatchedWorkflow,
    GrowingPerTurnWorkflow,
    GrowingRewordedWorkflow,
    GrowingWithNoticeWorkflow,
    GrowingWorkflow,
)
from tests.lab_helpers import requests, scheduled
from tests.replay import edits
from tests.replay.record import RECORDED

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "09_change_a_running_system.ipynb"


def runs(name: str) -> list[dict[str, Any]]:
    return json.loads((RECORDED / f"{name}.json").read_text())["runs"]


async def test_a_change_takes_effect_in_mid_conversation_and_every_history_is_green() -> None:
    """Another timeout, prompt, model and tool; the history has the old ones and then the new."""
    async with await Lab.start(workflows=[GrowingWorkflow], ui=False) as lab:
        chat = await lab.converse(GrowingWorkflow, "ada")
        await chat.send("Where is order 1042?")
        assert "clean" in await chat.replay(GrowingRewordedWorkflow)
        await lab.deploy(GrowingRewordedWorkflow)
        await chat.send("Thanks!")
        assert "clean" in await chat.replay(GrowingRewordedWorkflow)
        record = await chat.activities(times=True)
        history = await chat.history()
    asked = [one for one in requests(history) if one.activity_type.name == "save_to_database"]
    timeouts = [one.start_to_close_timeout.ToTimedelta() for one in asked]
    assert timeouts == [timedelta(seconds=10), timedelta(seconds=60)]
    calls = [call for [call] in record[record.activity == "invoke_model_activity"].input]
    assert [call["model_name"] for call in calls] == [None, None, "a-smaller-model"]
    assert "plant" in calls[-1]["system_instructions"]
    assert [len(call["tools"]) for call in calls] == [1, 1, 2]


async def test_a_conversation_that_has_not_asked_yet_takes_the_new_branch() -> None:
    """The answer is remembered from the first question on. Nobody wrote before the deployment: no question."""
    async with await Lab.start(workflows=[GrowingWorkflow], ui=False) as lab:
        asked, silent = await lab.converse(GrowingWorkflow, "ada"), await lab.converse(GrowingWorkflow, "ben")
        await asked.send("Hello!")
        await lab.deploy(GrowingPatchedWorkflow)
        for chat in (asked, silent):
            await chat.send("Thanks!")
            await chat.activities()
        assert "send_notification" not in scheduled(await asked.history())
        assert "send_notification" in scheduled(await silent.history())


@pytest.mark.parametrize("version", [GrowingPatchedWorkflow, GrowingPerTurnWorkflow, GrowingRewordedWorkflow])
async def test_patched_versions_fit_the_histories_of_the_first(version: type) -> None:
    assert "2 runs replay clean" in await replay(runs("growing"), version)
    with pytest.raises(LabError, match="UpdateAccepted .* of turn 2"):
        await replay(runs("growing"), GrowingWithNoticeWorkflow)


async def test_a_patch_is_deprecated_when_no_run_from_before_it_is_left() -> None:
    assert "clean" in await replay(runs("growing_patched"), edits.Deprecated)
    with pytest.raises(LabError, match="one more step"):
        await replay(runs("growing"), edits.Deprecated)


def test_a_patch_for_each_turn_costs_two_events_a_turn() -> None:
    [run] = runs("growing_per_turn")
    kinds = Counter(event["eventType"] for event in run["events"])
    assert kinds["EVENT_TYPE_MARKER_RECORDED"] == kinds["EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES"] == 1


async def test_a_replay_meets_a_patchs_marker_at_its_place_and_not_before() -> None:
    """Turn 2 has the marker. Asked in turn 1 already, a replay is told False, and remembers it in turn 2."""
    with pytest.raises(LabError, match="'tell-the-team/turn-2', and the code does not ask for that patch"):
        await replay(runs("growing_per_turn"), edits.AsksInEveryTurn)


async def test_the_lessons_own_test_works_as_it_stands(tmp_path: Path) -> None:
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    [code] = re.findall(r"```python\n(.*?)```", "\n".join(cell.source for cell in cells), re.S)
    (tmp_path / "histories").mkdir()
    file = tmp_path / "histories" / "old.json"
    file.write_text(json.dumps(runs("growing")[0]))

    def replayer(**options: Any) -> Replayer:
        return Replayer(**options, runtime=runtime())

    names = {"pytest": pytest, "Path": Path, "WorkflowHistory": WorkflowHistory, "Replayer": replayer}
    for code_of, expected in (
        (GrowingPatchedWorkflow, contextlib.nullcontext()),
        (GrowingWithNoticeWorkflow, pytest.raises(workflow.NondeterminismError)),
    ):
        space = names | {"OpenAIAgentsPlugin": OpenAIAgentsPlugin, "WORKFLOWS": [code_of]}
        exec(code, space)
        with expected:
            await space["test_todays_code_fits_old_histories"](file)
