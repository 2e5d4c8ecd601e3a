"""Conversations that began before today's change: their recorded histories must fit today's workflows (lesson 09)."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from course.lab import LabError, replay
from course.lessons import lesson_01, lesson_09
from tests.replay import edits
from tests.replay.record import CODE, EXEMPT, RECORDED, SCENARIOS, without_recording

FILES = sorted(RECORDED.glob("*.json"))

ADVICE = (
    "A conversation that is under way with this history would freeze. Lesson 09 (notebooks/09_change_a_running_system.ipynb) "
    "explains why, and what to do: put the new step behind workflow.patched, and keep the recording."
)


def recorded(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


async def fits(path: Path, *workflows: type) -> None:
    try:
        await replay(recorded(path)["runs"], *workflows)
    except LabError as error:
        raise AssertionError(f"{path.name}: {error}\n{ADVICE}") from error


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_todays_workflow_fits_a_recorded_history(path: Path) -> None:
    await fits(path, CODE[recorded(path)["workflow"]])


def test_every_workflow_has_a_recording() -> None:
    assert not without_recording(), "tests/replay/record.py needs a scenario for each (or a reason why not)"
    assert {path.stem for path in FILES} >= set(SCENARIOS), "`make histories` records them"
    assert all(len(reason) > 20 for reason in EXEMPT.values())


def test_the_recordings_hold_what_can_go_wrong() -> None:
    text = "".join(path.read_text() for path in FILES)
    kinds = "SIGNALED CONTINUED_AS_NEW TIME_SKIPPING_TRANSITIONED ACTIVITY_TASK_FAILED MARKER_RECORDED"
    for kind in kinds.split():
        assert f"_{kind}" in text, kind
    assert max(map(int, re.findall(r'"attempt":(\d+)', text))) > 10  # a retry
    assert '"name":"generate_report"' in text
    assert '"name":"process_batch"' in text
    assert "/tmp/" not in text
    assert "/home/" not in text


@pytest.mark.parametrize(
    ("edited", "words"),
    [
        (edits.WithoutNotice, "send_notification"),
        (edits.WithTimer, "one more step (Timer)"),
        (
            edits.SavesTwice,
            "one more step (Activity) where the history goes on with WorkflowExecutionUpdateCompleted",
        ),
        (edits.Raises, "a mistake in the new code"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_an_incompatible_edit_turns_the_suite_red_and_names_the_lesson(
    edited: type, words: str
) -> None:
    with pytest.raises(AssertionError) as failure:
        await fits(RECORDED / "desk.json", edited)
    assert words in str(failure.value)
    assert "Lesson 09 (notebooks/09_change_a_running_system.ipynb)" in str(failure.value)


# What is no history, or one that cannot be replayed


async def refused(history: Any, *workflows: type) -> str:
    with pytest.raises(LabError) as error:
        await replay(history, *workflows)
    text = str(error.value)
    assert text.endswith((".", ")"))
    return text


async def test_what_cannot_be_replayed_gets_a_sentence() -> None:
    code = lesson_09.GrowingPerTurnWorkflow
    whole = recorded(RECORDED / "growing_per_turn.json")["runs"][0]
    assert "1 run replays clean" in await replay(json.dumps(whole), code)
    assert "This cannot be replayed" in await refused("no JSON", code)
    assert "This cannot be replayed" in await refused([], code)
    assert "there is code for HelloWorkflow" in await refused(whole, lesson_01.HelloWorkflow)
    assert "there is code for nothing" in await refused(whole)
    assert "is not whole" in await refused({"events": whole["events"][5:]}, code)
    assert "is not whole" in await refused({"events": whole["events"][:9] + whole["events"][12:]}, code)
    assert "is not whole" in await refused({"events": []}, code)
    assert "it took the patch 'tell-the-team/turn-2'" in await refused(whole, lesson_09.GrowingWorkflow)
