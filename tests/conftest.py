"""The lab of a test file, started with what the file has as `LAB`, and what several files do with theirs."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest


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
