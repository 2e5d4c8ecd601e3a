"""A Temporal server that suggests a new run after few events. What it suggests stands on record."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from temporalio.testing import WorkflowEnvironment


@asynccontextmanager
async def suggesting_server(events: int) -> AsyncIterator[str]:
    """Yields its address."""
    suggests = f"limit.historyCount.suggestContinueAsNew={events}"
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(Path(sys.executable).with_name("temporal")),
        dev_server_log_level="error",
        dev_server_extra_args=["--dynamic-config-value", suggests, "--output", "none"],
    )
    try:
        yield environment.client.service_client.config.target_host
    finally:
        await environment.shutdown()
