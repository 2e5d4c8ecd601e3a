"""What the tests stand on: a server that can skip time, a database, a model with a script."""

import asyncio
import os
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import desk
import effects
import pytest
from temporalio.openai_agents.testing import AgentEnvironment, TestModel
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment
from temporalio.worker import Worker

os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"  # a test tells nobody what it does
TEMPORAL = str(Path(sysconfig.get_path("scripts"), "temporal"))
SKIPS = ["--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"]
QUICKLY = ["--dynamic-config-value", 'history.timerProcessorMaxTimeShift="10ms"']
ACTIVITIES = [effects.price_of, effects.save_turn, effects.send_mail, effects.pay_refund]


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="session")
async def env():
    async with await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(enabled=False),  # the clock moves when a test says so
        dev_server_existing_path=TEMPORAL,
        dev_server_extra_args=[*SKIPS, *QUICKLY, "--output", "none"],
        dev_server_startup_timeout=timedelta(minutes=1),  # a machine may be busy
    ) as env:
        yield env


@pytest.fixture(autouse=True)
def database(tmp_path, monkeypatch):
    monkeypatch.setenv("DESK_DATABASE", str(tmp_path / "desk.db"))
    for statement in effects.TABLES.split(";"):
        effects.sql(statement)


@pytest.fixture
def talking(env):
    @asynccontextmanager
    async def talking(*script, activities=ACTIVITIES):
        model, queue = TestModel.returning_responses(list(script)), f"ada-{uuid4()}"
        async with asyncio.timeout(30), AgentEnvironment(model=model) as agents:
            client, threads = agents.applied_on_client(env.client), ThreadPoolExecutor(4)
            serves = {"workflows": [desk.Desk], "activities": activities}
            async with Worker(client, task_queue=queue, activity_executor=threads, **serves):
                yield await client.start_workflow("Desk", "ada", id=queue, task_queue=queue)

    return talking
