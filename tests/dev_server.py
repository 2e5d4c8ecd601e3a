"""A Temporal server that is nobody's lab, as `temporal server start-dev` starts it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from temporalio.testing import WorkflowEnvironment

from course.lab.server import temporal_binary


async def start(**options: Any) -> WorkflowEnvironment:
    """Its `shutdown()` ends it."""
    binary = str(temporal_binary())
    return await WorkflowEnvironment.start_local(
        dev_server_existing_path=binary, dev_server_log_level="error", **options
    )


def address_of(environment: WorkflowEnvironment) -> str:
    return environment.client.service_client.config.target_host


@asynccontextmanager
async def that_suggests(events: int) -> AsyncIterator[str]:
    """Yields the address of one that suggests a new run after few events. What it suggests stands on record."""
    suggests = ["--dynamic-config-value", f"limit.historyCount.suggestContinueAsNew={events}"]
    async with await start(dev_server_extra_args=[*suggests, "--output", "none"]) as environment:
        yield address_of(environment)
