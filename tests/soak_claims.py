"""What the lessons say of Temporal's server and takes it minutes to show, so `make soak` runs it."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from course import Lab
from course.lessons.lesson_10.asking import AskingWorkflow
from course.lessons.lesson_13 import erase
from tests import dev_server
from tests.claims import workflows
from tests.lab_helpers import renewed, until


@pytest.fixture(scope="module")
async def lab() -> AsyncIterator[Lab]:
    async with await Lab.start(workflows=workflows.WORKFLOWS, ui=False) as lab:
        yield lab


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """Of a server as it comes: a lab's own marks a workflow after two failed tasks."""
    async with (
        await dev_server.start() as environment,
        Worker(environment.client, task_queue="plain", workflows=[workflows.Raises]),
    ):
        yield environment.client


async def test_after_five_failed_workflow_tasks_a_workflow_is_listed_and_the_pauses_grow(
    client: Client,
) -> None:
    handle = await client.start_workflow("Raises", "ada", id="raises", task_queue="plain")
    now, begun = asyncio.get_running_loop().time, {}

    async def listed() -> bool:
        attempt = (await handle.describe()).raw_description.pending_workflow_task.attempt
        begun.setdefault(attempt, now())
        query = "TemporalReportedProblems IS NOT NULL"
        return [found.id async for found in client.list_workflows(query)] == ["raises"]

    await until(listed, "the search attribute", seconds=120)
    assert max(begun) == 6  # the sixth attempt is due, or under way
    pauses = [after - before for before, after in pairwise(begun.values())]
    assert pauses[-1] > pauses[-2] > pauses[-3] > 1


async def test_a_run_takes_two_thousand_updates(lab: Lab) -> None:
    chat = await lab.converse(workflows.Counts, "ada")
    for _ in range(398):
        await asyncio.gather(*(chat.handle.execute_update("send", "x") for _ in range(5)))
    counted = ""

    async def go_on() -> None:
        nonlocal counted
        for _ in range(20):
            counted = await chat.handle.execute_update("send", "x")

    with pytest.raises(RPCError, match="total number of distinct updates"):
        await go_on()
    assert counted == "2000"
    await chat.handle.signal("renew")
    await renewed(chat, 2)  # until then the limit is the old run's
    assert await chat.handle.execute_update("send", "x") == "2001"


async def test_fifty_one_thousand_two_hundred_events_end_a_run(lab: Lab) -> None:
    handle = await lab.client.start_workflow("WritesEvents", "ada", id="long", task_queue=lab.task_queue)

    async def ended() -> bool:
        return (await handle.describe()).status != WorkflowExecutionStatus.RUNNING

    await until(ended, "the end of the run", seconds=300)
    description = await handle.describe()
    assert description.status == WorkflowExecutionStatus.TERMINATED
    assert 50_000 < description.history_length < 52_300


async def test_a_deletion_takes_one_run_within_minutes_and_the_one_before_it_stays(lab: Lab) -> None:
    id = str(uuid4())
    handle = await lab.client.start_workflow("Counts", "ada", id=id, task_queue=lab.task_queue)
    first = handle.first_execution_run_id
    await handle.signal("renew")

    async def renewed() -> str | None:
        run = (await handle.describe()).run_id
        return run if run != first else None

    last = await until(renewed, "the second run")
    await handle.signal("close")
    await handle.result()
    await lab.client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=lab.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=id, run_id=last),
        )
    )

    async def is_gone() -> bool:
        try:
            await lab.client.get_workflow_handle(id, run_id=last).describe()
        except RPCError as error:
            return error.status == RPCStatusCode.NOT_FOUND
        return False

    await until(is_gone, "the last run is deleted", seconds=300)
    kept = await lab.client.get_workflow_handle(id, run_id=first).describe()
    assert kept.status == WorkflowExecutionStatus.CONTINUED_AS_NEW


async def test_what_is_erased_is_gone_every_run_and_every_child(lab: Lab) -> None:
    """Two runs in a row, of which the second has a child that has a child."""
    handle = await lab.client.start_workflow("Counts", "ada", id="erased", task_queue=lab.task_queue)
    await handle.signal("renew")
    async with await Lab.start(ui=False) as desk:
        chat = await desk.converse(AskingWorkflow, "ada")
        await chat.send("Please refund 26 EUR for order 1044.")
        await chat.reset(before="invoke_model_activity")
        await chat.activities()

        async def nothing_is_found() -> bool:
            return not [*await erase(lab.client, "erased"), *await erase(desk.client, chat.id)]

        await until(nothing_is_found, "nothing is left", seconds=300)
        for client, id in (
            (lab.client, "erased"),
            (desk.client, chat.id),
            (desk.client, f"{chat.id}/refund-1"),
        ):
            with pytest.raises(RPCError) as gone:
                await client.get_workflow_handle(id).fetch_history()
            assert gone.value.status == RPCStatusCode.NOT_FOUND
