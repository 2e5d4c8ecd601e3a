"""`python -m tests.crash [scenario …]`: every point of every scenario, and the desk at 200 random ones (SEED=1)."""

import asyncio
import os
import sys
import time
from collections.abc import Sequence

from tests.crash.approval import Approval
from tests.crash.desk import Desk
from tests.crash.jobs import Jobs
from tests.crash.long_run import LongRun
from tests.crash.sweep import CrashSweep, Kill, Scenario
from tests.crash.ticket import Ticket
from tests.crash.versions import Versions

SCENARIOS = (Desk(), Approval(), Ticket(), LongRun(), Jobs(), Versions())
RANDOM = {"desk": 200}


async def soak(scenario: Scenario, seed: int) -> int:
    """Prints what was found; returns how many plays were not whole."""
    points = scenario.every_point()
    cuts: list[Sequence[Kill]] = [(point,) for point in points]
    cuts += scenario.random_cuts(RANDOM.get(scenario.name, 0), seed)
    outcomes = []
    began = time.monotonic()
    async with CrashSweep(scenario, at_once=6) as sweep:
        async for outcome in sweep.plays(cuts):
            outcomes.append(outcome)
            if outcome.lost or outcome.twice:
                print(f"{outcome.kills}: lost {outcome.lost}, twice {outcome.twice}", flush=True)
    lost, twice = sum(len(o.lost) for o in outcomes), sum(len(o.twice) for o in outcomes)
    deaths = sum(len(o.at_death) for o in outcomes)
    again, slow = sum(o.asked_again for o in outcomes), sum(o.taken_for_dead for o in outcomes)
    print(
        f"{scenario.name}: points {len(points)}, random cuts {len(cuts) - len(points)} (seed {seed}), deaths {deaths}; "
        f"lost {lost}, duplicated {twice}; model asked again for {again} calls that were cut, "
        f"and for {slow} of a process taken for dead; {time.monotonic() - began:.0f} s",
        flush=True,
    )
    return sum(bool(o.lost or o.twice) for o in outcomes)


async def main(names: Sequence[str]) -> int:
    seed = int(os.environ.get("SEED", "1"))
    return sum([await soak(one, seed) for one in SCENARIOS if not names or one.name in names])


if __name__ == "__main__":
    sys.exit(min(asyncio.run(main(sys.argv[1:])), 1))
