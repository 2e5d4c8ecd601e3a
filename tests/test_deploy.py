"""New workflow code for conversations under way: `lab.deploy`."""

import pytest

from course import Lab, LabError
from course.lessons.lesson_01 import HelloWorkflow
from tests.lab_helpers import until
from tests.lab_invalid_version import Invalid
from tests.lab_strangers import BrokenHello


async def test_a_frozen_conversation_is_thawed_by_mended_code(lab: Lab) -> None:
    chat, other = await lab.converse(HelloWorkflow, "ada"), await lab.converse(HelloWorkflow, "ben")
    assert "Welcome" in await chat.send("Hello!")
    await lab.deploy(BrokenHello)

    async def frozen() -> bool:
        return (await chat.handle.describe()).raw_description.pending_workflow_task.attempt > 1

    reply = other.begin("Hello!")
    waiting = chat.begin("How much light does a Monstera need?")
    await until(frozen, "the workflow task fails")
    assert not waiting.done()
    await lab.deploy(HelloWorkflow)
    assert "light" in await waiting
    assert "Welcome" in await reply
    calls = (await chat.activities()).activity
    assert calls.tolist() == ["invoke_model_activity"] * 2


async def test_what_cannot_be_deployed_leaves_the_code_from_before(lab: Lab) -> None:
    chat = await lab.converse(HelloWorkflow, "ada")
    with pytest.raises(LabError, match="is not a workflow"):
        await lab.deploy(int)
    with pytest.raises(LabError, match="nothing to deploy"):
        await lab.deploy()
    with pytest.raises(LabError, match=r"Not deployed: .* The code from before runs on\."):
        await lab.deploy(Invalid)
    assert "Welcome" in await chat.send("Hello!")
    process = await lab.worker_process()
    with pytest.raises(LabError, match="Kill it first"):
        await lab.deploy(HelloWorkflow)
    process.kill()
    await process.died()
    await lab.deploy(HelloWorkflow)
    assert "Welcome" in await chat.send("Hello!")
