"""What the lessons say of Temporal and of the Agents SDK, and neither their outputs nor a line of source shows."""

import asyncio
import inspect
import json
import re
import smtplib
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from agents import RunResult
from aiosmtpd.smtp import SMTP
from temporalio import client as temporal
from temporalio.api.enums.v1 import EventType, TimeoutType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.runtime import MetricBuffer, Runtime, TelemetryConfig
from temporalio.service import RetryConfig, RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from course import Lab, LabError
from course.desk import ConversationWorkflow
from course.desk.jobs import WeeklyReportWorkflow
from course.history import activity_table
from course.lab import everything, replay
from course.lab.server import temporal_binary
from course.lessons.lesson_10.asking import AskingWorkflow
from course.models import ToolCall
from tests.claims import workflows
from tests.claims.register import lessons, text
from tests.lab_helpers import attributes, requests, scheduled, task_failures, until, until_failed
from tests.replay.edits import WithChild, WithoutTools
from tests.replay.record import RECORDED

# A workflow here asks for a model, and imports its client: the sandbox remarks on it, in this test and in the next.
pytestmark = pytest.mark.filterwarnings("ignore:Module .* was imported after initial workflow load")

PAY = ToolCall("pay", {"order": "1042"})


@pytest.fixture(scope="module")
async def lab() -> AsyncIterator[Lab]:
    async with await Lab.start(
        workflows=[ConversationWorkflow, WeeklyReportWorkflow, *workflows.WORKFLOWS],
        activities=[*everything.activities(), *workflows.ACTIVITIES],
        ui=False,
    ) as lab:
        yield lab


async def begin(lab: Lab, workflow: type, argument: str = "ada") -> WorkflowHandle[Any, Any]:
    run: Any = workflow.run
    return await lab.client.start_workflow(run, argument, id=str(uuid4()), task_queue=lab.task_queue)


# Temporal


async def test_the_table_is_made_from_what_the_server_holds(lab: Lab) -> None:
    """By a client that knows the conversation's id, and nothing of the notebook."""
    chat = await lab.converse(ConversationWorkflow, "ada")
    await chat.send("Where is order 1042?")
    told = await chat.activities()
    stranger = await Client.connect(lab.address)
    history = await stranger.get_workflow_handle(chat.id).fetch_history()
    assert activity_table(history).to_dict() == told.to_dict()


async def test_the_command_line_knows_what_the_lessons_name_and_shows_a_history(lab: Lab) -> None:
    named = {name for lesson in lessons() for name in re.findall(r"`temporal (workflow \w+)", text(lesson))}
    assert {"workflow show", "workflow reset", "workflow delete", "workflow list"} <= named
    for command in sorted(named):
        assert f"temporal {command}" in await lab.cli(*command.split(), "--help")
    chat = await lab.converse(ConversationWorkflow, "ben")
    await chat.send("Where is order 1042?")
    told = await chat.activities()
    shown = await lab.cli("workflow", "show", "--workflow-id", chat.id, "--output", "json")
    assert activity_table(shown).to_dict() == told.to_dict()


async def test_two_activities_of_one_type_that_swap_places_get_each_others_results(lab: Lab) -> None:
    chat = await lab.converse(workflows.Reads, "ada")
    await chat.activities()
    assert await chat.handle.query("what") == {"1042": "row 1042", "1043": "row 1043"}
    assert "clean" in await chat.replay(workflows.ReadsTheOtherWayRound)
    await lab.deploy(workflows.ReadsTheOtherWayRound)
    assert await chat.handle.query("what") == {"1043": "row 1042", "1042": "row 1043"}
    assert not task_failures(await chat.history())


async def test_time_ids_and_random_numbers_of_the_workflow_are_the_same_in_a_replay(lab: Lab) -> None:
    chat = await lab.converse(workflows.NotesTimeAndId, "ada")
    await chat.activities()
    noted = await chat.handle.query("what")
    await lab.deploy(workflows.NotesTimeAndId)  # the worker has forgotten: it replays
    assert await chat.handle.query("what") == noted


async def test_what_a_task_raises_that_nobody_awaits_reaches_nobody(lab: Lab) -> None:
    chat = await lab.converse(workflows.LeavesATaskAlone, "ada")
    await chat.activities()
    assert await chat.close() == "it ran"
    history = await chat.history()
    assert not task_failures(history)
    assert not attributes(history, "workflow_execution_failed")


async def test_an_activity_sends_no_heartbeats_of_its_own(lab: Lab) -> None:
    """With Temporal's worker alone. The lab's and the desk's have an interceptor that beats."""
    plain = await Client.connect(lab.address)
    work: dict[str, Any] = {"workflows": [workflows.IsSilentInAnActivity], "activities": [workflows.silent]}
    async with Worker(plain, task_queue="plain", **work):
        handle = await plain.start_workflow("IsSilentInAnActivity", "ada", id="plain-1", task_queue="plain")
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        history = await handle.fetch_history()
    [ended] = attributes(history, "activity_task_timed_out")
    kind = ended.failure.timeout_failure_info.timeout_type
    assert kind == TimeoutType.TIMEOUT_TYPE_HEARTBEAT
    assert await (await begin(lab, workflows.IsSilentInAnActivity)).result() == "done"


async def test_a_failed_workflow_task_is_counted(lab: Lab) -> None:
    metrics: MetricBuffer = MetricBuffer(10_000)
    measured = await Client.connect(lab.address, runtime=Runtime(telemetry=TelemetryConfig(metrics=metrics)))
    async with Worker(measured, task_queue="measured", workflows=[workflows.Raises]):
        handle = await measured.start_workflow("Raises", "ada", id="raises-1", task_queue="measured")

        def counted() -> bool:
            names = [one.metric.name for one in metrics.retrieve_updates()]
            return "temporal_workflow_task_execution_failed" in names

        await until(counted, "a failed task in the metrics")
        await handle.terminate()


async def test_a_server_skips_time_only_if_it_was_told_to() -> None:
    """As `start_time_skipping_v2` starts it by itself, and with the arguments that lesson 13 names."""
    option = ["--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"]
    assert ", ".join(f'"{argument}"' for argument in option) in text("13")
    program = str(temporal_binary())

    async def starts(arguments: list[str]) -> None:
        async with await WorkflowEnvironment.start_time_skipping_v2(
            dev_server_existing_path=program, dev_server_extra_args=[*arguments, "--output", "none"]
        ) as server:
            await server.client.start_workflow("Any", id="ada", task_queue="nobody's")

    await starts(option)
    with pytest.raises(RPCError, match="not enabled"):
        await starts([])


async def test_a_run_takes_ten_updates_in_flight_and_the_client_tries_the_others_again(lab: Lab) -> None:
    chat = await lab.converse(workflows.HoldsItsUpdates, "ada")
    held = [asyncio.ensure_future(chat.handle.execute_update("send", str(n))) for n in range(10)]

    async def all_are_on_record() -> bool:
        return len(attributes(await chat.history(), "workflow_execution_update_accepted")) == 10

    await until(all_are_on_record, "ten updates in flight")
    once = await Client.connect(lab.address, retry_config=RetryConfig(max_retries=1))
    with pytest.raises(RPCError, match="in-flight updates") as refused:
        await once.get_workflow_handle(chat.id).execute_update("send", "10")
    assert refused.value.status == RPCStatusCode.RESOURCE_EXHAUSTED
    late = asyncio.ensure_future(chat.handle.execute_update("send", "11"))
    await chat.handle.signal("let_go")
    assert await asyncio.gather(*held, late) == [*map(str, range(10)), "11"]


async def test_the_server_takes_calls_of_up_to_four_megabytes(lab: Lab) -> None:
    chat = await lab.converse(workflows.HoldsItsUpdates, "ada")
    with pytest.raises(RPCError, match="4194304"):
        await chat.handle.execute_update("send", "x" * 4_200_000)
    assert (await chat.handle.describe()).status == WorkflowExecutionStatus.RUNNING


async def test_the_arguments_of_a_call_may_have_two_mebibytes_together(lab: Lab) -> None:
    handle = await lab.client.start_workflow("Nobody", id="payload-1", task_queue="nobody")
    await handle.signal("keep", "x" * (2 * 1024**2 - 1000))
    for sizes in ([2 * 1024**2 + 1000], [1024**2, 1024**2]):
        with pytest.raises(RPCError, match="size exceeds limit"):
            await handle.signal("keep", args=["x" * size for size in sizes])


async def test_a_new_run_cuts_off_a_handler_and_its_sender_gets_an_error(lab: Lab) -> None:
    handle = await begin(lab, workflows.CutsItsUpdatesOff)
    with pytest.raises(temporal.WorkflowUpdateFailedError) as cut:
        await handle.execute_update("send", "x")
    assert getattr(cut.value.cause, "type", None) == "AcceptedUpdateCompletedWorkflow"
    await handle.signal("close")
    assert await handle.result() is None


async def test_fifty_megabytes_of_history_end_a_run(lab: Lab) -> None:
    """By signals of 2 MB, which no worker has to take."""
    handle = await lab.client.start_workflow("Nobody", id="large-1", task_queue="nobody")
    sent = []

    async def send_on() -> None:
        for _ in range(40):
            await handle.signal("keep", "x" * 1_900_000)
            sent.append(1.9)

    with pytest.raises(RPCError, match="history size exceeds limit"):
        await send_on()
    assert 50 <= sum(sent) <= 60
    assert (await handle.describe()).status == WorkflowExecutionStatus.TERMINATED


async def test_a_new_run_is_suggested_from_4096_events_on(lab: Lab) -> None:
    handle = await begin(lab, workflows.WritesEvents)

    async def long_enough() -> bool:
        return (await handle.describe()).history_length > 6_000

    await until(long_enough, "6,000 events", seconds=60)
    await handle.terminate()
    events = (await handle.fetch_history()).events
    tasks = [(one.event_id, one.workflow_task_started_event_attributes) for one in events]
    suggested = {id: task.suggest_continue_as_new for id, task in tasks if task.identity}
    assert suggested == {id: id > 4_096 for id in suggested}
    assert {*suggested.values()} == {False, True}


async def test_a_patch_is_listed_in_a_search_attribute_until_that_is_full(lab: Lab) -> None:
    handle = await begin(lab, workflows.AsksForManyPatches)
    await handle.result()
    history = await handle.fetch_history()
    assert len(attributes(history, "marker_recorded")) == 150
    assert 50 < len(attributes(history, "upsert_workflow_search_attributes")) < 100


async def test_a_workflow_task_may_take_ten_seconds_by_default(lab: Lab) -> None:
    handle = await begin(lab, workflows.AsksForManyPatches)
    [began] = attributes(await handle.fetch_history(), "workflow_execution_started")
    assert began.workflow_task_timeout.ToTimedelta() == workflows.TEN_SECONDS
    await handle.result()


async def test_an_attempt_that_is_tried_again_leaves_no_event(lab: Lab) -> None:
    chat = await lab.converse(workflows.TriesAgain, "ada")
    await until_failed(chat, "refuse")
    await chat.fast_forward(timedelta(minutes=10))
    [waiting] = (await chat.pending()).to_dict("records")
    assert waiting["attempt"] > 5
    kinds = [EventType.Name(event.event_type) for event in (await chat.history()).events]
    assert [kind for kind in kinds if "ACTIVITY" in kind] == ["EVENT_TYPE_ACTIVITY_TASK_SCHEDULED"]


async def test_a_failed_workflow_that_is_reset_under_fixed_code_completes(lab: Lab) -> None:
    """What came after the point that it goes back to is done again."""
    await lab.deploy(workflows.Fails)
    chat = await lab.converse(workflows.Fails, "ada")
    with pytest.raises(WorkflowFailureError):
        await chat.handle.result()
    await lab.deploy(workflows.FailsNoMore)
    failed = await chat.handle.describe()
    assert failed.status == WorkflowExecutionStatus.FAILED  # a deployment alone brings nothing back
    await chat.reset(before="read")
    assert await chat.handle.result() == "row 1042"
    runs = [await chat.history(failed.run_id), await chat.history()]
    assert [scheduled(history) for history in runs] == [["read"], ["read"]]


async def test_the_server_knows_a_repeated_update_within_a_run_only(lab: Lab) -> None:
    chat = await lab.converse(workflows.Counts, "ada")
    for _ in range(2):
        assert await chat.handle.execute_update("send", "Hello!", id="message-1") == "1"
    await chat.handle.signal("renew")
    await chat.activities()  # waits for the new run
    assert await chat.handle.execute_update("send", "Hello!", id="message-1") == "2"


async def test_a_tool_that_the_history_used_is_missed_in_a_replay() -> None:
    runs = json.loads((RECORDED / "growing.json").read_text())["runs"]
    with pytest.raises(LabError, match="has the activity look_up_order, the code asks for save_to_database"):
        await replay(runs, WithoutTools)


async def test_a_child_that_the_history_does_not_know_is_missed_in_a_replay() -> None:
    runs = json.loads((RECORDED / "growing.json").read_text())["runs"]
    with pytest.raises(
        LabError,
        match=r"one more step \(Child workflow\) where the history goes on with WorkflowExecutionUpdateCompleted \(send\) of turn 1",
    ):
        await replay(runs, WithChild)


async def test_a_child_under_another_id_is_missed_in_a_replay() -> None:
    recorded = (RECORDED / "asking.json").read_text()
    runs = json.loads(recorded.replace('"ada-1/refund-1"', '"ada-1/another"'))["runs"]
    with pytest.raises(
        LabError, match=r"id of scheduled event 'ada-1/another' does not match .* 'ada-1/refund-1'"
    ):
        await replay(runs, AskingWorkflow)


async def test_a_schedule_keeps_the_servers_time_whatever_a_conversations_clock_says(lab: Lab) -> None:
    action = temporal.ScheduleActionStartWorkflow(
        WeeklyReportWorkflow.run, id="weekly", task_queue=lab.task_queue
    )
    next_month = datetime.now(UTC) + timedelta(days=40)
    spec = temporal.ScheduleSpec(intervals=[temporal.ScheduleIntervalSpec(every=timedelta(days=30))])
    schedule = await lab.client.create_schedule("weekly", temporal.Schedule(action=action, spec=spec))
    chat = await lab.converse(ConversationWorkflow, "ada")
    assert await chat.fast_forward(timedelta(days=100)) > next_month
    assert (await schedule.describe()).info.num_actions == 0
    await schedule.delete()


# The Agents SDK


async def test_a_result_has_no_messages() -> None:
    assert "messages" not in dir(RunResult)
    assert "messages" not in RunResult.__dataclass_fields__


@pytest.mark.parametrize(
    ("guarded", "seen"),
    [(workflows.ChecksBesideTheModel, ["4111"]), (workflows.ChecksBeforeTheModel, [])],
)
async def test_a_guardrail_that_waits_runs_beside_the_model_unless_it_is_told_not_to(
    lab: Lab, guarded: type, seen: list[str]
) -> None:
    handle = await begin(lab, guarded)
    assert await handle.result() == "stopped"
    asked = requests(await handle.fetch_history())
    assert [found[0] for one in asked if (found := re.findall("4111", str(one.input)))] == seen


async def test_a_function_tool_without_async_fails_in_a_workflow_and_the_model_goes_on(
    lab: Lab, own_rules: None
) -> None:
    lab.model.script = [ToolCall("now_without_async", {}), "It is noon, I think."]
    handle = await begin(lab, workflows.UsesATool)
    assert await handle.result() == "It is noon, I think."
    [_, second] = requests(await handle.fetch_history())
    told = json.loads(second.input.payloads[0].data)["input"][-1]
    assert told["output"].endswith("Error: ")


async def test_a_provider_that_keeps_the_conversation_is_given_the_new_message_alone(lab: Lab) -> None:
    handle = await begin(lab, workflows.LeavesTheMemoryToTheProvider)
    await handle.result()
    first, second = [json.loads(one.input.payloads[0].data) for one in requests(await handle.fetch_history())]
    assert first.get("previous_response_id") is None
    assert second["previous_response_id"].startswith("offline_")
    assert "My name is Ada." not in json.dumps(second["input"])
    assert "What is my name?" in json.dumps(second["input"])


async def test_a_run_that_is_resumed_from_json_is_durable_if_the_config_names_its_model(
    lab: Lab, own_rules: None
) -> None:
    lab.model.script = [PAY]
    handle = await begin(lab, workflows.CarriesAnInterruptedRun, "a-model")
    assert "1042 is paid" in await asyncio.wait_for(handle.result(), 20)
    assert scheduled(await handle.fetch_history()) == ["invoke_model_activity"]


async def test_a_run_that_is_resumed_from_json_without_a_named_model_asks_nobody(
    lab: Lab, own_rules: None
) -> None:
    """It would call the model from within the workflow. The sandbox refuses that, and the workflow is frozen."""
    lab.model.script = [PAY]
    handle = await begin(lab, workflows.CarriesAnInterruptedRun, "")

    async def failures() -> list[str]:
        return task_failures(await handle.fetch_history())

    failed = await until(failures, "a failed workflow task in the second run")
    assert "RestrictedWorkflowAccessError" in failed[0] or "Cannot access" in failed[0]
    assert scheduled(await handle.fetch_history()) == []
    await handle.terminate()


# Mail


async def test_a_mail_server_need_not_know_a_repeated_message_id() -> None:
    """A server that does no more than SMTP asks for takes both."""
    taken: list[str] = []

    class Takes:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            taken.append(envelope.content.decode())
            return "250 OK"

    def send() -> None:
        with smtplib.SMTP("127.0.0.1", server.sockets[0].getsockname()[1]) as client:
            for _ in range(2):
                client.sendmail("a@x.example", "b@x.example", "Message-ID: <1@x.example>\r\n\r\nHello")

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Takes()), "127.0.0.1", 0)
    async with server:
        await asyncio.to_thread(send)
    assert len(taken) == 2


def test_pythons_mail_client_has_no_timeout_of_its_own() -> None:
    default = inspect.signature(smtplib.SMTP).parameters["timeout"].default
    assert default is socket._GLOBAL_DEFAULT_TIMEOUT  # type: ignore[attr-defined]
    assert socket.getdefaulttimeout() is None
