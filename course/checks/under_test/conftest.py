"""What the tests stand on: a server that can skip time, a database, a conversation whose model has a script."""

import asyncio
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import desk
import pytest
import shop
from temporalio.openai_agents.testing import AgentEnvironment, TestModel
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment
from temporalio.worker import Worker

TEMPORAL = str(Path(sysconfig.get_path("scripts"), "temporal"))
SKIPS = ["--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"]
QUICKLY = ["--dynamic-config-value", 'history.timerProcessorMaxTimeShift="10ms"']
ACTIVITIES = [shop.price_of, shop.save_turn, shop.send_mail, shop.pay_refund]


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="session")
async def env():
    held = TimeSkippingConfig(enabled=False)  # the clock moves when a test says so
    arguments = [*SKIPS, *QUICKLY, "--output", "none"]
    async with await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=held, dev_server_existing_path=TEMPORAL, dev_server_extra_args=arguments
    ) as env:
        yield env


@pytest.fixture(autouse=True)
def database(tmp_path, monkeypatch):
    monkeypatch.setenv("DESK_DATABASE", str(tmp_path / "desk.db"))
    for statement in shop.TABLES.split(";"):
        shop.sql(statement)


@pytest.fixture
def talking(env):
    @asynccontextmanager
    async def talking(*script, activities=ACTIVITIES):
        async with (
            asyncio.timeout(30),
            AgentEnvironment(model=TestModel.returning_responses(list(script))) as agents,
        ):
            client, queue = agents.applied_on_client(env.client), f"ada-{uuid4()}"
            threads = ThreadPoolExecutor(4)
            async with Worker(
                client,
                task_queue=queue,
                workflows=[desk.Desk],
                activities=activities,
                activity_executor=threads,
            ):
                yield await client.start_workflow("Desk", "ada", id=queue, task_queue=queue)

    return talking
