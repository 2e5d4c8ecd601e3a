"""What every test shares: one event loop, and no key in the environment."""

import os

import pytest

# Before anything imports the Agents SDK: a trace must never leave a test run.
os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"
os.environ.pop("OPENAI_API_KEY", None)
os.environ.pop("OPENAI_BASE_URL", None)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
