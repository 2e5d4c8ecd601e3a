"""The deaths that exercise 08 asks about: there is one of each kind, and they are what really happens."""

import os
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from course import Lab
from course.checks import lesson_08
from course.models import ModelEndpoint, OfflineModel
from tests.tools.deaths import CONVERSATIONS, die, moments_of


def test_every_kind_of_death_is_asked_about_and_they_vary() -> None:
    seen = set()
    for seed in range(100):
        asked = lesson_08.questions(random.Random(seed))
        assert len(asked) == 10
        seen |= {(death["moment"], death["messages"][-1]) for death in asked}
        assert {lesson_08.mark_of(death) for death in asked} == {"before", "after", "workflow task"}
    assert len(seen) == len(lesson_08.DEATHS) == sum(len(moments_of(one)) for one in CONVERSATIONS)


@pytest.fixture(scope="module")
async def provider() -> AsyncIterator[ModelEndpoint]:
    with ModelEndpoint(OfflineModel()) as provider:
        yield provider


@pytest.fixture
async def lab(provider: ModelEndpoint, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lab]:
    monkeypatch.setenv("OPENAI_BASE_URL", provider.url)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    async with await Lab.start(model="offline-model", ui=False) as lab:
        yield lab


# One of each conversation, so that the suite stays short; `make soak` dies every death.
DIED = lesson_08.DEATHS if os.environ.get("SOAK") else lesson_08.DEATHS[5::13]


@pytest.mark.parametrize("death", DIED, ids=lambda death: f"{death['moment']}, {death['messages'][-1]}")
async def test_a_recorded_death_is_died_again(
    lab: Lab, provider: ModelEndpoint, death: dict[str, Any]
) -> None:
    assert await die(lab, provider, death["messages"], death["moment"]) == death
