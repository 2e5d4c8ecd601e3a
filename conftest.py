"""What every test and every lesson under test shares: one event loop, no key, and nobody's work overwritten."""

import gc
import os
import tempfile
from typing import Any

import pytest

from tests import forks, quick_jsonschema  # noqa: F401  # the latter before nbval
from tests.proxy import Proxy

pytest_plugins = ["nbval.plugin"]

# Before anything imports the Agents SDK: a trace must never leave a test run.
os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"
os.environ.pop("OPENAI_API_KEY", None)
os.environ.pop("OPENAI_BASE_URL", None)

gc.disable()  # until all is collected: what a process imports, and its tests, stay to its end

MY_WORK = tempfile.TemporaryDirectory()
"""For the lessons' exercise cells. A reader's own answers are in my_course/my_work."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """In pytest-xdist's controller, which collects nothing."""
    gc.enable()
    config.forks = forks.start()
    forks.fork_pytests_workers()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """In pytest-xdist's controller, for each of its workers: all use the fork server that they came from."""
    node.workerinput["forks"] = node.config.forks


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        forks.join(config.workerinput["forks"])


WAITING = {"test_versions.py", "test_server_sweep.py"}
"""They mostly wait: first, beside whatever computes."""
LONG = {
    "test_operations.py",
    "test_lab_processes.py",
    "test_owners.py",
    "test_long_run.py",
    "test_lesson_13.py",
}
"""After the lessons, so that none of pytest's workers is left with one of them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order of the files; pytest-xdist hands them out in it. (pytest itself puts paths together that overlap.)"""

    def place(item: pytest.Item) -> int:
        name = item.path.name
        return [name in WAITING, name.endswith(".ipynb"), name in LONG, True].index(True)

    items.sort(key=place)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


BEHIND_A_PROXY = {"01_durable_agent.ipynb", "05_service_down.ipynb", "08_crash_and_recover.ipynb"}
"""Lessons whose kernel is told of a proxy: nothing that they do may reach it."""
PROXY = pytest.StashKey[Proxy]()
ENVIRONMENT = pytest.MonkeyPatch()


@pytest.hookimpl(tryfirst=True)  # before nbval starts the lesson's kernel, which gets this environment
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.path.suffix == ".ipynb":
        os.environ["COURSE_MY_WORK"] = f"{MY_WORK.name}/my_work"
        # 00 runs as a reader's does, from the start; in 01 each process has an order of sets of its own.
        forks.kernels_are(forks.FRESH if item.path.name[:3] in ("00_", "01_") else forks.FORKED)
    else:
        os.environ.pop("COURSE_MY_WORK", None)
        forks.kernels_are(forks.FRESH)
    if item.path.name in BEHIND_A_PROXY and PROXY not in item.parent.stash:
        proxy = item.parent.stash[PROXY] = Proxy()
        for name, value in proxy.variables().items():
            ENVIRONMENT.setenv(name, value)


@pytest.hookimpl(trylast=True)  # when nbval has stopped the kernel
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    if PROXY in item.parent.stash and (nextitem is None or nextitem.parent is not item.parent):
        ENVIRONMENT.undo()
        proxy = item.parent.stash[PROXY]
        proxy.close()
        assert proxy.heard == [], "This lesson sent something to the proxy that its environment names."
