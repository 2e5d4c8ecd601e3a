"""`python -m tests.crash [scenario …]`: every point of every scenario, and the desk at 200 random ones (SEED=1)."""

import asyncio
import importlib
import os
import sys
import time
from collections.abc import Sequence

from tests.crash.sweep import CrashSweep, Kill, Scenario

SCENARIOS = ("desk", "approval", "ticket", "long_run", "jobs")
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
    found = [importlib.import_module(f"tests.crash.{name}").SCENARIO for name in names or SCENARIOS]
    return sum([await soak(scenario, seed) for scenario in found])


if __name__ == "__main__":
    sys.exit(min(asyncio.run(main(sys.argv[1:])), 1))
