"""OPERATIONS.md: each of its commands is run, in its order, against a server behind TLS that demands a certificate.

One run plays the whole page, once for a process of the test run. The tests read what it has seen.
"""

import asyncio
import configparser
import contextlib
import functools
import io
import itertools
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from temporalio import activity, workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.common import Priority
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkerTuner

from course.desk.__main__ import main
from course.desk.settings import temporal_server
from course.history.__main__ import main as history
from course.lab.receivers import Mailbox
from course.lab.server import ENVIRONMENT, temporal_binary
from tests import dev_server
from tests.desk_process import ROOT, SETTINGS, forked_desk, port_to_serve_at
from tests.lab_helpers import until as eventually
from tests.tls import Authority, beside, relay

PAGE = (ROOT / "OPERATIONS.md").read_text()
CLUSTER, FILES, DATA = "temporal.juniper.example:7233", "/etc/juniper", "/srv/juniper"

# Of a server that is asked these, what takes minutes takes seconds.
FAIR = {"matching.enableFairness": "true"}
SERVER = {
    "matching.TaskQueueInfoByBuildIdTTL": '"1ms"',
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
    "system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute": "1",
}


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.M | re.S)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines()]
SETTINGS_FILE, UNIT = blocks("ini")
[PROFILES] = blocks("toml")
[TUNING] = blocks("python")


class Played:
    """What the page's commands have said."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment
        self.said: dict[str, tuple[int, str]] = {}
        """By command: its exit code and all that it said, the last time."""
        self.rows: list[tuple[Any, ...]] = []
        self.fair: list[str] = []
        self.asked: subprocess.Popen[str]

    def run(self, command: str) -> tuple[int, str]:
        """Its exit code and all that it says. Ours run in this process, which has imported them."""
        command = command.replace(DATA, str(self.folder / "srv"))
        program, *arguments = shlex.split(command)
        ours = {"course.desk": main, "course.history": history}
        if program == "python" and arguments[1] in ours:
            both = io.StringIO()
            both.reconfigure = lambda **_: None  # type: ignore[attr-defined]
            here = patch.dict(os.environ, self.environment, clear=True)
            with here, redirect_stdout(both), redirect_stderr(both):
                code = ours[arguments[1]](arguments[2:])
            return code, both.getvalue()
        done = subprocess.run(
            ["sh", "-c", command], env=self.environment, cwd=self.folder, capture_output=True, text=True
        )
        return done.returncode, done.stdout + done.stderr

    def until(self, command: str, holds: Callable[[str], bool]) -> tuple[int, str]:
        """Runs it again and again, until what it says is so."""
        end = time.monotonic() + 90
        while not holds((result := self.run(command))[1]):
            assert time.monotonic() < end, f"{command}: {result}"
            time.sleep(0.5)
        return result

    def __call__(self, beginning: str) -> str:
        """What the command that begins so has said."""
        [said] = [said for command, (_, said) in self.said.items() if command.startswith(beginning)]
        return said


@functools.cache
def played() -> Played:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ca = Authority(folder / "etc")
        ca.issue("client")
        (folder / "srv").mkdir()
        mailbox = Mailbox()
        beside(mailbox.start())
        with patch.dict(os.environ, ENVIRONMENT):
            server = beside(dev_server.start(dev_server_extra_args=server_arguments(SERVER | FAIR)))
        stack.callback(lambda: beside(server.shutdown()))
        plain = dev_server.address_of(server)
        address = stack.enter_context(relay(plain, ca.issue("server"), ca.pem))
        at = {CLUSTER: address, FILES: str(folder / "etc"), DATA: str(folder / "srv")}
        at |= {
            "127.0.0.1:25\n": f"127.0.0.1:{mailbox.port}\n",
            "127.0.0.1:9464": f"127.0.0.1:{port_to_serve_at()}",
        }
        (folder / "etc" / "temporal.toml").write_text(replaced(PROFILES, at))
        environment = dict(line.split("=", 1) for line in replaced(SETTINGS_FILE, at).splitlines())
        here = {name: value for name, value in os.environ.items() if not is_setting(name)}
        path = f"{temporal_binary().parent}{os.pathsep}{os.environ['PATH']}"
        page = Played(folder, {**here, **environment, "PATH": path})

        def serve(version: str) -> None:
            its = page.environment | {"TEMPORAL_WORKER_BUILD_ID": version}
            if version == "v2":  # on another machine, the address would be free
                its["METRICS_ADDRESS"] = ""
            stack.enter_context(forked_desk(its, folder, folder / f"{version}.log"))

        play(page, mailbox, serve)
        page.fair = beside(
            order_of_service(beside(Client.connect(plain)), "fair", True, max_concurrent_activities=1)
        )
        beside(mailbox.stop())
        page.rows = rows_of(folder / "srv" / "backup.db")
        page.environment["DATABASE_URL"] = f"sqlite:///{folder}/srv/backup.db"
        page.said["setup, on the backup"] = page.run("python -m course.desk --setup")
        return page


def server_arguments(settings: dict[str, str]) -> list[str]:
    each = [("--dynamic-config-value", f"{name}={value}") for name, value in settings.items()]
    return ["--output", "none", *itertools.chain.from_iterable(each)]


def replaced(text: str, by: dict[str, str]) -> str:
    for one, other in by.items():
        text = text.replace(one, other)
    return text


def is_setting(name: str) -> bool:
    return name in SETTINGS or name.startswith("TEMPORAL_")


def rows_of(file: Path) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(file)) as database:
        return database.execute("SELECT task_id, outcome FROM turns ORDER BY task_id").fetchall()


IS_SO: dict[str, Callable[[str], bool]] = {
    "set-current-version": lambda said: "Error" not in said,  # once its workers have polled
    "TemporalReportedProblems": lambda said: "eve" in said,
    "describe --workflow-id ada": lambda said: re.search(r"Attempt +[3-9]", said) is not None,
    "workflow count": lambda said: "Total: 0" in said,
}
"""What a command is waited for to say."""


def play(page: Played, mailbox: Mailbox, serve: Callable[[str], None]) -> None:
    describe = "temporal workflow describe --workflow-id ada"
    for command in COMMANDS:
        if command == "python -m course.desk":
            serve("v1")
            page.said[command] = (0, "")
            asked = "python -m course.desk --check"
            page.said["check, before v1 is current"] = page.until(asked, lambda said: "current" in said)
            continue
        if "--build-id v2" in command:
            serve("v2")
        if "TemporalReportedProblems" in command:
            beside(mailbox.stop())  # so that something waits for a retry
            thanks = "temporal workflow update execute --workflow-id ada --name send --input"
            for before in (
                f"""{thanks} '"Thanks!"'""",
                "temporal workflow start --type Ticket --task-queue juniper --workflow-id eve",
            ):
                assert page.run(before)[0] == 0
            page.asked = subprocess.Popen(
                ["temporal", "workflow", "stack", "--workflow-id", "eve"],
                env=page.environment,
                stderr=subprocess.PIPE,
                text=True,
            )
        waits = (is_so for part, is_so in IS_SO.items() if part in command)
        page.said[command] = page.until(command, next(waits, lambda said: True))
        if "--report-task-queue-stats" in command:
            queue = "temporal task-queue describe --task-queue juniper"
            page.said["the queue"] = page.run(queue)
            page.said["the queue of v1"] = page.run(f"{queue} --select-build-id juniper:v1")
        if "activity reset" in command:
            page.said["describe, after the activity's reset"] = page.run(describe)
            beside(mailbox.start())
            until(lambda: len(mailbox.mails) == 2, "the second notice")
        if "--type FirstWorkflowTask" in command:
            asked = "temporal workflow query --workflow-id ada --type transcript"
            said = page.until(asked, lambda said: said.count("already saved") == 2)
            page.said["transcript, after the workflow's reset"] = said
        if "--name close" in command or "workflow cancel" in command:
            id = "ada" if "close" in command else "ben"
            page.said[f"result of {id}"] = page.run(f"temporal workflow result --workflow-id {id}")
        if "show" in command:
            page.asked.wait(60)
            page.said["stack of eve"] = (page.asked.returncode, page.asked.stderr.read())
            again = "temporal workflow stack --workflow-id eve"
            page.said["stack of eve, later"] = page.until(again, lambda said: "failed state" in said)


def until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.02)


# What the page's commands have said


def test_every_command_of_the_page_was_run_and_none_failed() -> None:
    assert {*COMMANDS} <= {*played().said}
    assert not {command: said for command, said in played().said.items() if command in COMMANDS and said[0]}


def test_a_turn_goes_through_tls_with_a_client_certificate() -> None:
    assert "Order 1042: 1 × Monstera" in played()("temporal workflow update execute")
    checked = played()("python -m course.desk --check")
    assert "and a worker of version juniper.v1 serves the task queue 'juniper'" in checked


def test_a_version_serves_nobody_until_it_is_current() -> None:
    code, said = played().said["check, before v1 is current"]
    assert code == 1
    assert "has never been current. Make it so: temporal worker deployment set-current-version" in said


def test_who_serves_a_version_is_shown_by_the_version_and_not_by_the_queue() -> None:
    shown = played()("temporal worker deployment describe-version --report-task-queue-stats")
    assert re.search(r"juniper +workflow +\d", shown)
    code, said = played().said["the queue"]
    assert code == 0
    assert re.search(r"UNVERSIONED +workflow +0", said)
    assert not said.partition("RatePerSecond")[2].strip()  # no poller
    code, said = played().said["the queue of v1"]
    assert code == 0
    assert "juniper:v1" in said.partition("RatePerSecond")[2]


def test_an_old_version_is_said_to_be_draining() -> None:
    assert re.search(
        r"DrainageStatus +drain", played()("temporal worker deployment describe-version --deployment-name")
    )


def test_what_is_stuck_is_listed_and_what_it_waits_for_is_described() -> None:
    assert "eve" in played()('temporal workflow list --query "TemporalReportedProblems')
    described = played()("temporal workflow describe --workflow-id ada")
    assert "send_notification" in described
    assert "Connection refused" in described
    assert "activity: send_notification" in played()("temporal workflow stack")
    assert '"customer":"ada"' in played()("temporal workflow query")
    assert re.search(r"send_notification +workflow +pending", played()("python -m course.history"))
    assert "Ticket" in played()("temporal workflow show --workflow-id eve")


def test_a_frozen_workflow_cannot_be_asked() -> None:
    code, said = played().said["stack of eve"]
    assert code == 1
    assert "query timed out before a worker could process it" in said
    code, said = played().said["stack of eve, later"]
    assert code == 1
    assert "Workflow Task in failed state" in said


def test_an_activity_that_is_reset_begins_with_its_first_attempt() -> None:
    assert re.search(r"Attempt +[12]\b", played()("describe, after the activity's reset"))


def test_after_a_reset_to_the_start_the_row_of_the_first_time_stays() -> None:
    said = played()("transcript, after the workflow's reset")
    assert "failed" not in said
    assert [row for row in played().rows if row[0].startswith("ada/")] == [
        ("ada/turn-1", "answered"),
        ("ada/turn-2", "answered"),
    ]


def test_close_ends_in_order_and_cancel_does_not() -> None:
    assert "COMPLETED" in played()("result of ada")
    assert "CANCELED" in played()("result of ben")


def test_an_erasure_finds_every_run_and_leaves_the_rows() -> None:
    assert played()("""temporal workflow list --query "RootWorkflowId = 'ada'""").count(" ada ") >= 2
    assert "Total: 0" in played()("temporal workflow count")
    assert [row for row in played().rows if row[0].startswith("ada/")]


def test_a_backup_can_be_worked_with() -> None:
    code, said = played().said["setup, on the backup"]
    assert code == 0
    assert "backup.db" in said


def test_a_wal_that_is_left_behind_is_played_into_the_restored_file(tmp_path: Path) -> None:
    file, backup, wal = (tmp_path / name for name in ("desk.db", "backup.db", "desk.db-wal"))
    with contextlib.closing(sqlite3.connect(file)) as database:  # it does not end in order: its wal stays
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE turns (task_id, outcome)")
        database.execute(f"VACUUM INTO '{backup}'")
        with pytest.raises(sqlite3.OperationalError, match="output file already exists"):
            database.execute(f"VACUUM INTO '{backup}'")
        with database:
            database.execute("INSERT INTO turns VALUES ('ada/turn-1', 'answered')")
        left = wal.read_bytes()
    file.write_bytes(backup.read_bytes())
    assert rows_of(file) == []
    wal.write_bytes(left)
    assert rows_of(file) == [("ada/turn-1", "answered")]


@workflow.defn
class Hearing:
    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.update
    async def say(self, what: str) -> str:
        return what


async def test_an_update_whose_sender_has_left_may_be_taken_all_the_same(client: Client) -> None:
    options = {"workflow_runner": UnsandboxedWorkflowRunner()}
    worker = functools.partial(Worker, client, task_queue="left", workflows=[Hearing], **options)
    handle = await client.start_workflow(Hearing.run, id="left", task_queue="left")
    async with worker():
        await handle.execute_update(Hearing.say, "Hello!", id="first")

    async def waits() -> bool:
        return (await handle.describe()).raw_description.HasField("pending_workflow_task")

    sender = asyncio.create_task(handle.execute_update(Hearing.say, "Thanks!", id="second"))
    await eventually(waits, "the server has the update")
    sender.cancel()
    with pytest.raises(WorkflowUpdateRPCTimeoutOrCancelledError):
        await sender

    async def taken() -> list[str]:
        events = (await handle.fetch_history()).events
        accepted = [event.workflow_execution_update_accepted_event_attributes for event in events]
        return [one.protocol_instance_id for one in accepted if one.protocol_instance_id]

    async def is_taken() -> bool:
        return await taken() == ["first", "second"]

    async with worker():
        await eventually(is_taken, "the update is accepted, and nobody waits for it")
        assert await handle.execute_update(Hearing.say, "Thanks!", id="second") == "Thanks!"
        assert await is_taken()  # under the same id it is the same update
        await handle.execute_update(Hearing.say, "Thanks!", id="third")
        assert await taken() == ["first", "second", "third"]


@pytest.mark.parametrize("mistake", ["cancel", "terminate", "reset"])
async def test_a_run_that_was_ended_by_mistake_goes_on_from_before_that(client: Client, mistake: str) -> None:
    options = {"workflow_runner": UnsandboxedWorkflowRunner()}
    async with Worker(client, task_queue=mistake, workflows=[Hearing], **options):
        started = await client.start_workflow(Hearing.run, id=mistake, task_queue=mistake)
        await started.execute_update(Hearing.say, "Hello!", id="first")
        await started.execute_update(Hearing.say, "Thanks!", id="second")
        old = client.get_workflow_handle(mistake, run_id=started.result_run_id)
        events = (await old.fetch_history()).events
        done = "workflow_task_completed_event_attributes"
        first, *_, last = (one.event_id for one in events if one.HasField(done))

        async def reset(event: int) -> None:
            run = WorkflowExecution(workflow_id=mistake, run_id=old.run_id)
            asked = ResetWorkflowExecutionRequest(
                namespace=client.namespace,
                workflow_execution=run,
                workflow_task_finish_event_id=event,
                request_id=f"{mistake} {event}",
            )
            await client.workflow_service.reset_workflow_execution(asked)

        mistakes = {"cancel": old.cancel, "terminate": old.terminate, "reset": lambda: reset(first)}
        await mistakes[mistake]()

        async def is_over() -> bool:
            return (await old.describe()).status is not WorkflowExecutionStatus.RUNNING

        await eventually(is_over, "the run is over")
        latest = client.get_workflow_handle(mistake)
        mistaken = (await latest.describe()).run_id
        if mistake == "reset":  # the others leave no run that hears
            await latest.execute_update(Hearing.say, "Hello again!", id="third")
        await reset(last)
        new = await latest.describe()
        assert new.status is WorkflowExecutionStatus.RUNNING
        assert new.run_id != mistaken
        whole = (await latest.fetch_history()).events
        assert "third" not in str(whole)  # nor is it handed over
        kept = whole[:last]
        assert any(one.HasField("workflow_execution_update_completed_event_attributes") for one in kept)


# What the page shows


def test_the_settings_are_the_desks_and_the_unit_gives_it_time() -> None:
    assert all(map(is_setting, re.findall(r"^(\w+)=", SETTINGS_FILE, re.M)))
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment]
    unit.read_string(UNIT)
    service = unit["Service"]
    grace = service["ExecStart"].split("--grace ")[1]
    assert float(service["TimeoutStopSec"]) > float(grace)
    assert f"EnvironmentFile={FILES}/desk.env" in UNIT
    assert f"`{FILES}/desk.env`" in PAGE


def test_systemd_takes_the_unit_where_it_is_installed(tmp_path: Path) -> None:
    unit = tmp_path / "juniper.service"
    unit.write_text(UNIT.replace(f"{DATA}/.venv/bin/python", sys.executable))
    if analyze := shutil.which("systemd-analyze"):
        command = [analyze, "verify", "--man=no", str(unit)]
        assert unit.name not in subprocess.run(command, capture_output=True, text=True).stderr


@pytest.fixture
def files(tmp_path: Path) -> Path:
    Authority(tmp_path).issue("client")
    (tmp_path / "temporal.toml").write_text(PROFILES.replace(FILES, str(tmp_path)))
    return tmp_path


def connection(files: Path, profile: str, **more: str) -> dict[str, Any]:
    its = {"TEMPORAL_CONFIG_FILE": str(files / "temporal.toml"), "TEMPORAL_PROFILE": profile, **more}
    kept = {name: value for name, value in os.environ.items() if not is_setting(name)}
    with patch.dict(os.environ, kept | its, clear=True):
        return dict(temporal_server())


def test_the_profile_of_a_local_server(files: Path) -> None:
    found = connection(files, "default")
    assert (found["target_host"], found["namespace"]) == ("127.0.0.1:7233", "default")
    assert not found.get("tls")


def test_the_profile_of_a_cluster_with_mtls(files: Path) -> None:
    found = connection(files, "cluster")
    assert (found["target_host"], found["namespace"]) == (CLUSTER, "juniper")
    assert found["tls"].server_root_ca_cert == (files / "ca.pem").read_bytes()
    assert found["tls"].client_cert == (files / "client.pem").read_bytes()
    assert found["tls"].client_private_key == (files / "client.key").read_bytes()


def test_the_profile_of_a_hosted_namespace_takes_its_key_from_the_environment(files: Path) -> None:
    found = connection(files, "hosted", TEMPORAL_API_KEY="a key")
    assert found["target_host"] == "eu-central-1.aws.api.temporal.io:7233"
    assert (found["namespace"], found["api_key"]) == ("juniper.a1b2c", "a key")
    assert found["tls"]
    assert "api_key" not in PROFILES


# Load


@activity.defn
async def serve_customer(customer: str) -> None:
    SERVED.append(customer)


SERVED: list[str] = []
"""The customers, in the order in which the worker's one slot was theirs."""


@workflow.defn
class Asking:
    """Wants something for a customer, several times at once."""

    @workflow.run
    async def run(self, customer: str, times: int) -> None:
        each = {"start_to_close_timeout": timedelta(seconds=30)}
        tasks = [workflow.execute_activity(serve_customer, customer, **each) for _ in range(times)]
        await asyncio.gather(*tasks)


@workflow.defn
class Renewing:
    @workflow.run
    async def run(self, runs: int) -> str | None:
        if runs:
            workflow.continue_as_new(runs - 1)
        return workflow.info().priority.fairness_key


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[Client]:
    """Of a server without `FAIR`."""
    async with await dev_server.start(dev_server_extra_args=server_arguments(SERVER)) as server:
        yield server.client


async def order_of_service(client: Client, queue: str, keyed: bool, **options: Any) -> list[str]:
    """One customer wants forty things, then three want one each. Only then a worker comes that does them one by one."""
    SERVED.clear()
    wanted = {"ada": 40, "ben": 1, "cleo": 1, "dora": 1}
    unsandboxed = {"workflow_runner": UnsandboxedWorkflowRunner()}
    async with Worker(client, task_queue=queue, workflows=[Asking], no_remote_activities=True, **unsandboxed):
        asked = 0
        for customer, times in wanted.items():
            key = {"priority": Priority(fairness_key=customer)} if keyed else {}
            id = f"{queue}-{customer}"
            await client.start_workflow(Asking.run, args=[customer, times], id=id, task_queue=queue, **key)
            asked += times
            await eventually(lambda asked=asked: waits_in(client, queue, asked), "they wait in the queue")
        async with Worker(client, task_queue=queue, activities=[serve_customer], **options):
            for customer in wanted:
                await client.get_workflow_handle(f"{queue}-{customer}").result()
    return [*SERVED]


async def waits_in(client: Client, queue: str, tasks: int) -> bool:
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        report_stats=True,
    )
    described = await client.workflow_service.describe_task_queue(request)
    return described.stats.approximate_backlog_count == tasks


def places(served: list[str]) -> list[int]:
    return [place for place, customer in enumerate(served) if customer != "ada"]


async def test_who_comes_after_a_flood_is_served_after_it(client: Client) -> None:
    served = await order_of_service(client, "in order", False, max_concurrent_activities=1)
    assert places(served) == [40, 41, 42]


async def test_without_the_servers_setting_keys_change_nothing(client: Client) -> None:
    served = await order_of_service(client, "keys alone", True, max_concurrent_activities=1)
    assert places(served) == [40, 41, 42]


def test_with_a_fairness_key_each_the_others_do_not_wait_for_the_flood() -> None:
    assert max(places(played().fair)) < 12
    assert len(played().fair) == 43


async def test_a_fairness_key_goes_from_run_to_run(client: Client) -> None:
    unsandboxed = {"workflow_runner": UnsandboxedWorkflowRunner()}
    async with Worker(client, task_queue="runs", workflows=[Renewing], **unsandboxed):
        options = {"id": "runs", "task_queue": "runs", "priority": Priority(fairness_key="ada")}
        assert await client.execute_workflow(Renewing.run, 2, **options) == "ada"


@pytest.mark.parametrize("name", ["BY_RESOURCES", "POLLERS_THAT_SCALE"])
async def test_a_worker_takes_the_options_of_the_page(client: Client, name: str) -> None:
    shown: dict[str, Any] = {}
    exec(TUNING, shown)
    async with Worker(client, task_queue=name, activities=[serve_customer], **shown[name]):
        await client.execute_activity(
            serve_customer, "ada", id=name, task_queue=name, start_to_close_timeout=timedelta(seconds=30)
        )
    assert SERVED[-1] == "ada"


def test_the_sdk_refuses_a_tuner_beside_a_number_of_slots(client: Client) -> None:
    tuner = WorkerTuner.create_fixed(activity_slots=100)
    with pytest.raises(ValueError, match="tuner"):
        Worker(
            client,
            task_queue="both",
            activities=[serve_customer],
            tuner=tuner,
            max_concurrent_activities=100,
        )
