"""Every activity of a conversation fails 0, 1, 2 and 7 times, alone and in pairs: its end is always the same.

`make test` runs a sample; with SOAK=1 all of them. Each failure is real: the attempt raises, after its effect or
before it, and Temporal's server tries again, on the conversation's virtual clock.
"""

import asyncio
import itertools
import os

import pytest

from tests.outage_sweep import ACTIVITIES, FailingLab, Plan, Talked, model_calls_of, talk

TIMES = (1, 2, 7)
ALONE: list[Plan] = [{name: times} for name in ACTIVITIES for times in TIMES]
PAIRS: list[Plan] = [
    {one: times, other: more}
    for one, other in itertools.combinations(ACTIVITIES, 2)
    for times, more in itertools.product(TIMES, TIMES)
]
TRIED = ALONE + PAIRS if os.environ.get("SOAK") else ALONE[2::3] + PAIRS[4::38]
AT_ONCE = 4


def name_of(plan: Plan) -> str:
    return ", ".join(f"{name} {times} times" for name, times in plan.items())


async def test_every_activity_may_fail_and_nothing_differs_in_the_end() -> None:
    async with await FailingLab.start(ui=False) as lab:
        calm = await talk(lab, "calm", {})
        sizes = {"turns": 3, "batches": 1, "reports": 1, "mails": 3}
        assert {name: len(calm.state[name]) for name in sizes} == sizes
        assert {name for name, _ in calm.attempts} == set(ACTIVITIES)
        assert {last for _, last in calm.attempts} == {1}
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(number: int, plan: Plan) -> tuple[Plan, Talked]:
            async with turns:
                return plan, await talk(lab, f"customer-{number}-", plan)

        for plan, talked in await asyncio.gather(*(one(i, plan) for i, plan in enumerate(TRIED))):
            what = name_of(plan)
            assert talked.state == calm.state, what
            predicted = sorted((name, plan.get(name, 0) + 1) for name, _ in calm.attempts)
            assert sorted(talked.attempts) == predicted, what
        lost = sum((plan.get("send_notification", 0) + 1) // 2 for plan in TRIED) * 3
        assert lab.world.mailbox.repeats == lost  # mails that came again, and were known by their key


def test_the_sample_meets_every_activity() -> None:
    assert len(ALONE) == 21
    assert len(PAIRS) == 189
    assert {name for plan in TRIED for name in plan} == set(ACTIVITIES)


@pytest.mark.parametrize(
    ("plan", "ours", "naive"),
    [
        # Five calls in three turns; each failure asks for the whole turn again.
        ({"save_to_database": 2}, 5, 15),
        ({"look_up_order": 2, "send_notification": 1}, 5, 12),
    ],
)
async def test_independent_retries_do_not_ask_the_model_again(plan: Plan, ours: int, naive: int) -> None:
    assert await model_calls_of(plan) == (ours, naive)
