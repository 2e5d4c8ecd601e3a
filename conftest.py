"""What every test and every lesson under test shares: one event loop, no key, and nobody's work overwritten."""

import os
import tempfile

import pytest

# Before anything imports the Agents SDK: a trace must never leave a test run.
os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"
os.environ.pop("OPENAI_API_KEY", None)
os.environ.pop("OPENAI_BASE_URL", None)

MY_WORK = tempfile.TemporaryDirectory()
"""For the lessons' exercise cells. A reader's own answers lie in notebooks/my_work."""


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.hookimpl(tryfirst=True)  # before nbval starts the lesson's kernel, which gets this environment
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.path.suffix == ".ipynb":
        os.environ["COURSE_MY_WORK"] = f"{MY_WORK.name}/my_work"
    else:
        os.environ.pop("COURSE_MY_WORK", None)
