"""A recorded history as a test: taken once, kept beside the tests, replayed with today's code whenever they run."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHandle

from course.history.sources import read


async def record(handle: WorkflowHandle[Any, Any], file: str | PathLike[str]) -> None:
    """Writes the history of a workflow run to a JSON file, as far as it has come. It may still be open.

    With `replay`, this is all that a test in plain pytest needs:

        await record(client.get_workflow_handle("ada"), "ada.json")  # once, of a conversation in production

        async def test_conversations_of_yesterday_go_on():
            await replay("ada.json", Desk, plugins=[OpenAIAgentsPlugin()])

    Args:
        handle: Of the workflow. Its last run is written, unless the handle names one.
        file: Where to. What was there is overwritten. It holds what customers wrote, encoded if the payloads are.

    Raises `temporalio.service.RPCError` if the server has no such workflow, and OSError if the file cannot be written.
    """
    history = await handle.fetch_history()
    Path(file).write_text(history.to_json(), encoding="utf-8")


async def replay(file: str | PathLike[str], *workflows: type, plugins: Sequence[Any] = ()) -> None:
    """Runs today's workflow code on a recorded history: no server, no activity, no model. Returns if it fits.

    Args:
        file: What `record` wrote, or anything else that `read` reads. Every run in it is replayed.
        workflows: Classes with @workflow.defn, among them the one that has the history's workflow type.
        plugins: Those of the worker. An agent's workflow needs `temporalio.openai_agents.OpenAIAgentsPlugin()`:
            without it, the agent's run would leave the workflow.

    Raises:
        temporalio.workflow.NondeterminismError: The code asks for something else than the history holds.
        RuntimeError: The code raises, or no class has this workflow type.
        CannotRead: The file is not there, or is no history.
    """
    from temporalio.worker import Replayer  # late: whoever only reads histories needs no worker

    # Without a build id, the first one of a process would make a hash of all its code, for a third of a second.
    replayer = Replayer(workflows=workflows, plugins=plugins, build_id="replayed")
    for run in read(file):
        await replayer.replay_workflow(run)
