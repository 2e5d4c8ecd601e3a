"""`record` and `replay`: a history becomes a test in two calls. Exercise 15 uses both on a real server."""

import json
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.openai_agents import OpenAIAgentsPlugin

from course.desk import ConversationWorkflow
from course.history import CannotRead, record, replay
from tests.replay import edits
from tests.replay.record import CODE, RECORDED

FILE = next(
    path
    for path in sorted(RECORDED.glob("*.json"))
    if CODE[json.loads(path.read_text())["workflow"]] is ConversationWorkflow
)
PLUGINS = [OpenAIAgentsPlugin()]


class Handle:
    """As far as `record` needs one."""

    async def fetch_history(self) -> WorkflowHistory:
        return WorkflowHistory.from_json("ada", json.loads(FILE.read_text())["runs"][0])


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    await record(Handle(), tmp_path / "hello.json")
    return tmp_path / "hello.json"


async def test_what_was_recorded_replays(file: Path) -> None:
    await replay(file, ConversationWorkflow, plugins=PLUGINS)


async def test_code_that_asks_for_something_else_is_refused(file: Path) -> None:
    with pytest.raises(workflow.NondeterminismError):
        await replay(file, edits.WithoutNotice, plugins=PLUGINS)


async def test_code_that_raises_is_refused(file: Path) -> None:
    with pytest.raises(RuntimeError, match="a mistake in the new code"):
        await replay(file, edits.Raises, plugins=PLUGINS)


async def test_a_replay_of_an_agents_workflow_needs_the_plugin(file: Path) -> None:
    with pytest.raises(RuntimeError, match="Failed validating workflow ConversationWorkflow"):
        await replay(file, ConversationWorkflow)


async def test_a_file_that_is_missing_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(CannotRead, match=r"nothing.json cannot be read"):
        await replay(tmp_path / "nothing.json", ConversationWorkflow)
