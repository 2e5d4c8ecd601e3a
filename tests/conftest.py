"""The lab of a test file, started with what the file has as `LAB`, and what several files do with theirs."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session", autouse=os.environ.get("ENGINE") == "postgresql")
def every_lab_on_postgresql() -> Iterator[None]:
    """With ENGINE=postgresql, each lab that names no database and keeps nothing has a PostgreSQL server of its own."""
    from course.lab.world import OWN_POSTGRESQL, World

    start = World.start

    async def on_postgresql(self: World, database_url: str | None, kept: Path | None) -> None:
        await start(self, database_url or (None if kept else OWN_POSTGRESQL), kept)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(World, "start", on_postgresql)
        yield


@pytest.fixture(scope="module")
async def lab(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    from course import Lab  # takes seconds: only where there is such a file

    async with await Lab.start(**{"ui": False} | getattr(request.module, "LAB", {})) as lab:
        yield lab


@pytest.fixture
def own_rules(lab: Any) -> Iterator[None]:
    """A script that a test has given the lab's model is gone after it."""
    yield
    lab.model.script = []


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Any]:
    """This process's PostgreSQL server."""
    from tests import engines

    with engines.server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of the test's own, on one engine and on the other."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'desk.db'}"
    else:
        from tests import engines

        with engines.database_on(request.getfixturevalue("postgresql")) as url:
            yield url
