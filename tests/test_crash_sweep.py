"""A worker process killed at a sample of the points of a conversation: nothing is lost, nothing happens twice.

`make soak` takes every point, and 200 random ones.
"""

import re
from collections.abc import AsyncIterator, Sequence

import pytest

from tests.crash.desk import Desk
from tests.crash.sweep import CrashSweep, Kill, Outcome
from tests.crash.versions import Versions

SAMPLE: list[Sequence[Kill]] = [
    ("after invoke_model_activity #2",),
    ("before look_up_order",),
    ("after save_to_database #2",),
    ("before process_batch",),
    ("after generate_report",),
    ("before workflow task #1",),
    ("after workflow task #5",),
    ("before reply #2",),
    ("after save_to_database #1", "after save_to_database #1"),
    ("after invoke_model_activity #3", "before workflow task #2", "after generate_report"),
]


@pytest.fixture(scope="module")
async def outcomes() -> AsyncIterator[dict[Sequence[Kill], Outcome]]:
    async with CrashSweep(Desk(), at_once=6) as sweep:
        yield {tuple(outcome.kills): outcome async for outcome in sweep.plays(SAMPLE)}


COUNTED = {
    "save_to_database": "turn",
    "process_batch": "batch",
    "generate_report": "report",
    "invoke_model_activity": "model call",
}


@pytest.mark.parametrize("kills", SAMPLE, ids=", ".join)
async def test_a_conversation_survives_its_worker(
    outcomes: dict[Sequence[Kill], Outcome], kills: Sequence[Kill]
) -> None:
    outcome = outcomes[kills]
    assert len(outcome.at_death) == len(kills)
    assert outcome.lost == []
    assert outcome.twice == []
    # And it died where it was to die.
    there = outcome.at_death[0]
    when, what, number = re.fullmatch(r"(before|after) (.+?)(?: #(\d+))?", str(kills[0])).groups("1")
    if what in COUNTED:
        assert there[COUNTED[what]] == int(number) - (when == "before")
    elif what == "workflow task":
        assert there["workflow task"] == int(number) - 1  # neither moment leaves it on record
    elif what == "reply":
        assert there["turn"] == int(number)


def test_the_points_and_the_random_cuts_are_the_same_every_time() -> None:
    every_point, random_cuts = Desk().every_point, Desk().random_cuts
    assert len(every_point()) == len(set(every_point())) == 59
    assert random_cuts(200, seed=1) == random_cuts(200, seed=1) != random_cuts(200, seed=2)


async def test_a_rollout_survives_the_workers_of_both_versions() -> None:
    """The old one's death in the turn that ends its run; the new one's before it has done anything, and in its duties."""
    cuts: list[Sequence[Kill]] = [
        ("after save_to_database #2 of v1", "after process_batch of v2"),
        ("before workflow task of v2",),
    ]
    async with CrashSweep(Versions(), at_once=2) as sweep:
        found = {tuple(outcome.kills): outcome async for outcome in sweep.plays(cuts)}
    for kills, outcome in found.items():
        assert (len(outcome.at_death), outcome.lost, outcome.twice) == (len(kills), [], [])
    both, half_way = (found[tuple(cut)].at_death for cut in cuts)
    assert [(there["turn"], there["batch"]) for there in both] == [(2, 0), (3, 1)]
    assert [(there["turn"], there["batch"]) for there in half_way] == [(2, 0)]
