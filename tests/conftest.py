"""The lab of a test file that asks for nothing else of it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
async def lab() -> AsyncIterator[Any]:
    from course import Lab  # takes seconds: only where there is such a file

    async with await Lab.start(ui=False) as lab:
        yield lab
