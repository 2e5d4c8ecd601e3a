"""A lab that tells of itself, in a process of its own: metrics and traces are a process's, and a test run has one already.

What it saw is returned as plain data, for `tests/test_lesson_14.py`.
"""

import asyncio
import functools
import os
import socket
import sys
import traceback
from collections.abc import Awaitable
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any

import httpx2

from course.lab import compat
from course.lab.processes import FORKS

KEY = "sk-proj-NeverSent-0123456789abcdef"


def told() -> dict[str, Any]:
    """Plays once for a process of the test run."""
    problem, seen = _played()
    assert not problem, problem
    return seen


@functools.cache
def _played() -> tuple[str | None, dict[str, Any]]:
    here, there = FORKS.Pipe()
    process = FORKS.Process(target=_main, args=(there, dict(os.environ)))
    process.start()
    there.close()
    problem, seen = here.recv()
    process.join(30)
    return problem, seen | {"exit code": process.exitcode}


def _main(there: Connection, environment: dict[str, str]) -> None:
    compat.share_the_fork_server()
    os.environ.update(environment | {"OPENAI_API_KEY": KEY})
    seen: dict[str, Any] = {"connected": set()}

    def hook(event: str, arguments: Any) -> None:
        if event == "socket.connect":
            seen["connected"].add(str(arguments[1][0]) if isinstance(arguments[1], tuple) else "a file")
        elif event == "socket.getaddrinfo":
            seen["connected"].add(str(arguments[0]))

    sys.addaudithook(hook)
    try:
        asyncio.run(_play(seen))
        there.send((None, seen))
    except BaseException:
        there.send((traceback.format_exc(), seen))


async def _play(seen: dict[str, Any]) -> None:
    from course.desk import ConversationWorkflow
    from course.desk.conversation import Carried
    from course.desk.listing import make_known
    from course.lab import Lab, LabError
    from course.lab.spans import TraceReceiver, joined
    from course.lessons.lesson_14 import OrderReadingWorkflow, WatchedWorkflow, listed, pollers
    from tests.lab_helpers import task_failures, until

    receiver = TraceReceiver()

    async def refusal(**options: Any) -> str:
        try:
            await Lab.start(ui=False, **options)
        except LabError as error:
            return str(error)
        return "started"

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        seen["refusals"] = {
            "a taken port": await refusal(metrics=taken.getsockname()[1]),
            "no port": await refusal(metrics=99999),
            "no address": await refusal(tracing="127.0.0.1:4318"),
        }
    lab = await Lab.start(ui=False, metrics=True, tracing=receiver.url)
    seen["refusals"]["another"] = await refusal()
    with_the_same = await Lab.start(ui=False, metrics=True, tracing=receiver.url)
    seen["same address"] = with_the_same.metrics_url == lab.metrics_url
    await with_the_same.stop()

    scrapes = seen["scrapes"] = {}

    async def scrape(when: str) -> None:
        async with httpx2.AsyncClient(trust_env=False) as http:
            scrapes.setdefault(when, []).append((await http.get(lab.metrics_url)).text)

    # Well: all the while
    ada = await lab.converse(ConversationWorkflow, "ada")
    await ada.send("Where is order 1042?")
    await ada.activities()
    await scrape("well")
    await ada.send("Do you have a Ficus?")
    seen["joined"] = joined(await ada.activities(), await receiver.spans(ada.id)).to_dict("list")
    seen["a tool's span"] = str([span for span in receiver._spans.values() if span.name == "look_up_order"])
    await scrape("well")

    # It shows itself: with a name that the server does not know, and with one that it knows
    options = {"task_queue": lab.task_queue, "task_timeout": timedelta(seconds=3)}
    start = functools.partial(lab.client.start_workflow, ConversationWorkflow.run, **options)
    await start(args=["al", Carried(listed=True)], id="al-1")
    al = lab.conversation("al-1")

    async def failed() -> list[str]:
        return task_failures(await al.history())

    async def refused() -> int:
        table = await lab.metrics("temporal_request_failure_total")
        return int(table[table.operation == "RespondWorkflowTaskCompleted"].value.sum())

    async def refused_again() -> bool:
        return await refused() > before

    seen["not known"] = (await until(failed, "a failed task"))[0]
    await until(refused, "the worker has counted it")
    await scrape("refused")
    before = await refused()
    await until(lambda: listed(lab.client, "TemporalReportedProblems IS NOT NULL"), "listed as frozen")
    await until(refused_again, "it is counted again")
    await scrape("refused")
    seen["failed tasks by the metric"] = len(
        await lab.metrics("temporal_workflow_task_execution_failed_total")
    )
    seen["refused tasks by the metric"] = await refused()
    seen["made known"] = [await make_known(lab.client), await make_known(lab.client)]
    await until(lambda: listed(lab.client, "DeskCustomer = 'al'"), "listed", seconds=60)
    await start(args=["bo", Carried(listed=True)], id="bo-1")
    await until(lambda: listed(lab.client, "DeskWaitsFor = 'customer' AND DeskCustomer = 'bo'"), "listed")
    seen["shows itself"] = await listed(lab.client, "DeskState IS NOT NULL")
    eve = await lab.converse(WatchedWorkflow, "eve")
    await eve.send("Please refund 26 EUR for order 1094.")
    await until(lambda: listed(lab.client, "DeskWaitsFor = 'person'"), "waits for a person")
    await lab.conversation(f"{eve.id}/refund-1").handle.execute_update(
        "decide", {"decision": "reject", "by": "Bea", "reason": "It is a gift."}
    )
    await until(
        lambda: listed(lab.client, f"DeskWaitsFor = 'customer' AND WorkflowId = '{eve.id}'"), "settled"
    )
    seen["waits for a person"] = await listed(lab.client, "DeskWaitsFor = 'person'")

    # Activities in vain: the first scrape has the series already, as Prometheus needs it
    with await lab.outage("mail"):
        await ada.send("Hello!")
        await ada.fast_forward(timedelta(minutes=1))
        await scrape("activities")
        await ada.fast_forward(timedelta(minutes=10))
        await scrape("activities")
    await ada.fast_forward(timedelta(hours=1))

    # Slow replies
    await scrape("replies")
    with await lab.outage("database"):
        reply = ada.begin("Thanks!")
        await ada.fast_forward(timedelta(minutes=1))
        await scrape("no reply")
        await ada.fast_forward(timedelta(minutes=9))
        await scrape("no reply")
    await ada.fast_forward(timedelta(minutes=10))
    await reply
    await scrape("replies")

    # Tasks fail
    await lab.deploy(OrderReadingWorkflow)
    cleo = await lab.converse(OrderReadingWorkflow, "cleo")
    thanks = cleo.begin("Thanks!", timeout=300)
    name = "temporal_workflow_task_execution_failed_total"

    async def failures() -> float:
        return (await lab.metrics(name)).value.sum()

    async def grown(since: float) -> bool:
        return await failures() > since

    so_far = await until(failures, "a failed task")
    await scrape("tasks")
    so_far = max(so_far, await failures())
    await until(lambda: grown(so_far), "another one", seconds=60)
    await scrape("tasks")
    await lab.deploy(ConversationWorkflow)
    await thanks
    counted = (await lab.metrics("desk_turns_total", "messages_by_workflow_total")).set_index("name").value
    rows = lab.table("turns")
    seen["counted"] = {name: int(value) for name, value in counted.items()}
    seen["rows of the desk"] = int((~rows.conversation.eq(eve.id)).sum())

    # A worker that has died, and one that is not there
    process = await lab.worker_process()
    await until(lambda: _at_least(2, pollers(lab.client, lab.task_queue)), "both have polled")
    process.kill()
    await process.died()
    seen["pollers after a death"] = await pollers(lab.client, lab.task_queue)
    await scrape("polls")
    await lab.workers.stop_kernels()
    await scrape("polls")
    await lab.stop()
    receiver.stop()


async def _at_least(least: int, number: Awaitable[int]) -> bool:
    return await number >= least
