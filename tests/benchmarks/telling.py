"""What it costs to be watched: turns of a lab that serves metrics or sends traces, and how soon a frozen conversation is listed.

Each lab is in a process of its own, since metrics and traces belong to one.
"""

import asyncio
import statistics
import time
from multiprocessing.connection import Connection
from typing import Any

from course.lab.processes import FORKS

TURNS = 30


def median_turn(metrics: bool, tracing: bool) -> float:
    """Seconds: the median of one conversation's turns, each with a tool, after ten to warm up."""
    return _alone(_turns, metrics, tracing)


def seconds_to_be_listed() -> float:
    """From the message that freezes a conversation, in a lab (threshold 2, task timeout 3 s)."""
    return _alone(_freezing)


def _alone(work: Any, *arguments: Any) -> float:
    here, there = FORKS.Pipe()
    process = FORKS.Process(target=_main, args=(there, work, arguments), daemon=True)
    process.start()
    measured = here.recv()
    process.join()
    return measured


def _main(there: Connection, work: Any, arguments: tuple[Any, ...]) -> None:
    there.send(asyncio.run(work(*arguments)))


async def _turns(metrics: bool, tracing: bool) -> float:
    from course import Lab
    from course.desk import ConversationWorkflow
    from course.lab.spans import TraceReceiver

    receiver = TraceReceiver()
    options = {"tracing": receiver.url} if tracing else {}
    async with await Lab.start(ui=False, metrics=metrics, **options) as lab:
        chat, times = await lab.converse(ConversationWorkflow, "ada"), []
        for _ in range(10 + TURNS):
            began = time.perf_counter()
            await chat.send("Where is order 1042?")
            times.append(time.perf_counter() - began)
    receiver.stop()
    return statistics.median(times[10:])


async def _freezing() -> float:
    from course import Lab
    from course.lessons.lesson_14 import OrderReadingWorkflow, listed

    async with await Lab.start(ui=False) as lab:
        await lab.deploy(OrderReadingWorkflow)
        chat = await lab.converse(OrderReadingWorkflow, "cleo")
        began = time.perf_counter()
        chat.begin("Thanks!", timeout=600)
        while not await listed(lab.client, "TemporalReportedProblems IS NOT NULL"):
            await asyncio.sleep(0.05)
        return time.perf_counter() - began
