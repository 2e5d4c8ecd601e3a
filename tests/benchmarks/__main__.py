"""`make bench`: what the course's machinery costs, as ratios of medians taken in the same run.

Machines are noisy and differ; a ratio against a baseline that ran a moment ago says more than a time.
`make bench ARGS="turns tables"` runs only some. A new one goes into `BENCHES`, and its figure into README's *Measured*.
"""

import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from course import Lab
from course.desk import ConversationWorkflow, policies
from course.lab.receivers import Mailbox
from course.lab.server import Server
from course.lab.world import OWN_POSTGRESQL
from course.lessons.lesson_05 import DutiesFirstWorkflow
from course.models import OfflineModel
from tests import dev_server
from tests.benchmarks import load, plain, scale, slow, telling, where
from tests.outage_sweep import model_calls_of

TURNS = 18  # from the twentieth turn on our desk takes notes, the plain one does not
ROUNDS, CONVERSATIONS, WARM = 3, 100, 30
MESSAGES = ["Where is order 1042?", "Hello!", "Thank you."]


def report(
    what: str, value: float, note: str = "", *, most: float | None = None, least: float | None = None
) -> None:
    """A line of the table: a value with a target, or with a note alone."""
    bound = (
        f"at most {most:.2f}" if most is not None else f"at least {least:.2f}" if least is not None else ""
    )
    holds = value <= most if most is not None else value >= least if least is not None else None
    mark = {True: "ok  ", False: "MISS", None: "    "}[holds]
    print(f"{mark}  {what:<74} {value:>8.2f}   {' '.join(filter(None, (bound, note)))}", flush=True)


# Turns


@asynccontextmanager
async def plain_desk(kind: str):
    """The plain code on the same server settings, or on `start_local` defaults. Yields its client and
    its mailbox."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        mailbox = Mailbox()
        await mailbox.start()
        stack.push_async_callback(mailbox.stop)
        plain.create_tables(f"{folder}/plain.db")
        plain.PLACES["mail_port"] = mailbox.port
        if kind == "same server":
            server = Server(Path(folder), ui=True, persist=None)
            stack.callback(server.stop)
            address = server.address
        else:
            environment = await stack.enter_async_context(await dev_server.start(ui=True))
            address = dev_server.address_of(environment)
        await until_ready(address)
        yield await stack.enter_async_context(plain.plain_worker(address, OfflineModel())), mailbox


async def until_ready(address: str) -> None:
    while True:
        try:
            await Client.connect(address)
            return
        except RuntimeError:
            await asyncio.sleep(0.02)


Send = Callable[[str], Awaitable[str]]


async def plain_conversation(client: Client) -> tuple[WorkflowHandle, Send]:
    handle = await client.start_workflow(
        plain.PlainWorkflow.run, "ada", id=f"plain-{uuid4()}", task_queue="plain"
    )
    return handle, lambda text: handle.execute_update(plain.PlainWorkflow.send, text, id=str(uuid4()))


async def activities(handle: WorkflowHandle, what: str) -> int:
    """How many of a conversation's activities were scheduled, or completed."""
    events = (await handle.fetch_history()).events
    return sum(event.HasField(f"activity_task_{what}_event_attributes") for event in events)


async def seconds(work: Awaitable[Any]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


async def median_turn(send: Send) -> float:
    """Seconds: the median of one conversation's turns, each with two model calls, a tool, a row and a mail."""
    return statistics.median([await seconds(send(MESSAGES[0])) for _ in range(TURNS)])


async def warm(send: Send) -> None:
    """Turns of another conversation. A server lets the first hundred tasks or so through without a limit, and
    on `start_local` defaults reads a queue 20 times a second from then on: a conversation that lasts meets that."""
    for _ in range(WARM):
        await send(MESSAGES[0])


async def bench_turns() -> None:
    same, default, ours_ms = [], [], []
    for _ in range(ROUNDS):
        async with await Lab.start() as lab:
            await warm((await lab.converse(ConversationWorkflow, "ada")).send)
            chat = await lab.converse(ConversationWorkflow, "ada")
            ours, our_work = await median_turn(chat.send), await activities(chat.handle, "scheduled")
        async with plain_desk("same server") as (client, _):
            await warm((await plain_conversation(client))[1])
            handle, send = await plain_conversation(client)
            theirs, their_work = await median_turn(send), await activities(handle, "scheduled")
        async with plain_desk("start_local") as (client, _):
            await warm((await plain_conversation(client))[1])
            _, send = await plain_conversation(client)
            on_default = await median_turn(send)
        # Or the comparison is void.
        assert our_work == their_work, f"{our_work} activities against {their_work}"
        same.append(ours / theirs)
        default.append(ours / on_default)
        ours_ms.append(ours * 1000)
    ratio, against_default = statistics.median(same), statistics.median(default)
    report("a course turn ÷ a plain turn, same server settings", ratio, most=1.15)
    report("a course turn ÷ a plain turn, start_local defaults", against_default, most=0.6)
    report("a course turn, milliseconds", statistics.median(ours_ms), "(for orientation)")


async def turns_per_second(new: Callable[[], Awaitable[Send]], effects: Callable[[], int]) -> float:
    """Until every effect is there: a reply waits for neither its notice nor its batch."""
    sends = [await new() for _ in range(CONVERSATIONS)]

    async def talk(send: Send) -> None:
        for message in MESSAGES:
            await send(message)

    turns = CONVERSATIONS * len(MESSAGES)
    began = time.perf_counter()
    await asyncio.gather(*(talk(send) for send in sends))
    while effects() < 2 * turns + CONVERSATIONS:  # a row and a mail a turn, a batch a conversation
        await asyncio.sleep(0.05)
    return turns / (time.perf_counter() - began)


async def our_throughput() -> float:
    async with await Lab.start() as lab:

        async def new() -> Send:
            chat = await lab.converse(ConversationWorkflow, "ada")
            return lambda text: chat.send(text, timeout=120)

        def effects() -> int:
            return len(lab.inbox()) + len(lab.table("turns")) + len(lab.table("batches"))

        return await turns_per_second(new, effects)


async def plain_throughput() -> float:
    async with plain_desk("same server") as (client, mailbox):

        async def new() -> Send:
            return (await plain_conversation(client))[1]

        return await turns_per_second(new, lambda: len(mailbox.mails) + plain.rows())


async def bench_throughput() -> None:
    rounds = [(await our_throughput(), await plain_throughput()) for _ in range(ROUNDS)]
    at_once = "100 conversations of 3 turns at once, turns a second"
    report(f"{at_once} ÷ plain", statistics.median(ours / theirs for ours, theirs in rounds), least=0.9)
    report(at_once, statistics.median(ours for ours, _ in rounds), "(for orientation)")


# Tables


def bench_tables() -> None:
    import pandas as pd

    from course.history import activity_table
    from tests.benchmarks.history import long_history

    def cpu_seconds(work: Callable[[], object], times: int) -> float:
        taken = []
        for _ in range(times):
            began = time.process_time()  # of this process alone: nothing here waits
            work()
            taken.append(time.process_time() - began)
        return statistics.median(taken)

    assert set(activity_table(long_history(5_000)).decided_by) == {"plugin", "agent", "workflow"}
    short, long = long_history(5_000), long_history(50_000)
    ours = cpu_seconds(lambda: activity_table(long), 5)
    theirs = cpu_seconds(lambda: pd.json_normalize(json.loads(long.to_json())["events"]), 1)
    growth = (ours / len(long.events)) / (cpu_seconds(lambda: activity_table(short), 9) / len(short.events))
    report("activity_table of 50,000 events: times faster than json_normalize", theirs / ours, least=20)
    report("activity_table: cost an event at 50,000 ÷ at 5,000 events", growth, most=1.2)


def bench_histories() -> None:
    """200,000 events as JSON text: the SDK's own reader, which the tables used to go through, is the baseline."""
    from tests.benchmarks.history import long_history

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "history.json"
        file.write_text(long_history(200_000).to_json())
        cpu, megabytes = measured("sdk", file)
        for what, name, most in (
            ("table", "activity_table", 0.5),
            ("events", "event_table", 0.5),
            ("timeline", "timeline, drawn", 1.4),
        ):
            ours, peak = measured(what, file)
            of_events = f"{name} of 200,000 events in JSON ÷"
            report(f"{of_events} the SDK's reading it: CPU", ours / cpu, most=most)
            report(f"{of_events} the same: memory", peak / megabytes, most=0.5)


def measured(what: str, file: Path) -> tuple[float, float]:
    """Seconds of CPU and MB that it takes, in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.history", what, str(file)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    cpu, megabytes = map(float, done.stdout.split())
    return cpu, megabytes


def bench_reader() -> None:
    """`python -m course.history` beside pandas alone, on what `temporal workflow show --output json` prints."""
    from tests.benchmarks.history import long_history

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "history.json"
        file.write_text(long_history(50_000).to_json())
        (cpu, peak), (theirs, their_peak) = measured("program", file), measured("pandas", file)
        report("python -m course.history: 50,000 events, CPU ÷ pandas' json_normalize", cpu / theirs)
        report("the same: memory", peak / their_peak)
        report("events a second", 50_000 / cpu, "(for orientation)")
        few, many = Path(folder) / "few", Path(folder) / "many"
        for workflows, of_a_fleet in ((50, few), (1_000, many)):
            of_a_fleet.mkdir()
            text = long_history(200).to_json()
            for number in range(workflows):
                (of_a_fleet / f"{number}.json").write_text(text)
        (_, few_peak), (cpu, peak) = measured("summary", few), measured("summary", many)
        report("--summary of 1,000 workflows ÷ of 50: memory", peak / few_peak, most=1.5)
        report("seconds for 1,000 workflows of 200 events", cpu, "(for orientation)")


# Starting


def bench_imports() -> None:
    libraries = (
        "import agents, temporalio.client, temporalio.worker, temporalio.testing, temporalio.openai_agents, "
        "pandas, sqlalchemy, aiosmtpd.smtp, httpx2, psutil, IPython, nest_asyncio2, smtplib, http.server, openai"
    )
    ours, theirs = [], []
    for _ in range(7):
        for code, times in (("from course import Lab", ours), (libraries, theirs)):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            times.append(time.perf_counter() - began)
    ratio = statistics.median(ours) / statistics.median(theirs)
    report("`from course import Lab` ÷ importing the libraries it stands on", ratio, most=1.1)


async def bench_start() -> None:
    ours, bare = [], []
    for _ in range(7):
        began = time.perf_counter()
        lab = await Lab.start()
        ours.append(time.perf_counter() - began)
        await lab.stop()

        began = time.perf_counter()
        environment = await dev_server.start(ui=True)
        async with Worker(environment.client, task_queue="bare", workflows=[slow.SlowWorkflow]) as worker:
            while not worker.is_running:
                await asyncio.sleep(0.002)
            bare.append(time.perf_counter() - began)
        await environment.shutdown()
    ratio = statistics.median(ours) / statistics.median(bare)
    report("Lab.start() ÷ starting the bare server and a bare worker", ratio, most=1.5)
    report("Lab.start(), seconds", statistics.median(ours), "(for orientation)")


async def bench_clock() -> None:
    async with await Lab.start(workflows=[slow.SlowWorkflow], activities=[slow.fails_five_times]) as lab:
        real = []
        for _ in range(7):
            chat = await lab.converse(slow.SlowWorkflow, "ada")
            # Its first attempt has failed by then: the month is measured, not its beginning.
            await chat.record.quiet()
            real.append(await seconds(chat.fast_forward(timedelta(days=30))))
            rows = await chat.activities()
            assert rows.attempts.tolist() == [6], rows
    report("30 virtual days through five retries: milliseconds", 1000 * statistics.median(real), most=50)


# Under load


async def bench_load() -> None:
    """One customer's flood, with 4 slots and a model that takes 0.2 s. Keys and no keys in turn; the ratio is of medians."""
    waited = {keyed: [] for keyed in (False, True)}
    for _ in range(ROUNDS):
        for keyed, seconds in waited.items():
            seconds.append(await load.seconds_of_others(keyed))
    without, fair = (statistics.median(seconds) for seconds in waited.values())
    report(
        "a flood from one customer: seconds that others wait, with fairness ÷ without",
        fair / without,
        most=0.5,
    )
    report("seconds that others wait without it", without, "(for orientation)")
    rounds = [
        {name: await load.turns_a_second(options) for name, options in load.TUNED.items()}
        for _ in range(ROUNDS)
    ]
    desks, *others = load.TUNED
    for name in others:
        ratio = statistics.median(one[name] / one[desks] for one in rounds)
        report(f"turns a second, 40 conversations at once: {name} ÷ {desks}", ratio, "(report)")


async def bench_scale() -> None:
    async with scale.place() as place:
        await place.start_worker()
        report("memory of a worker process, MB", place.megabytes(), "(for orientation)")
        few, alone = await place.load(scale.FEW, 10), await place.load(scale.SOME, 2)
        say_load(f"{scale.FEW} conversations at once, one worker process", few)
        say_load(f"{scale.SOME} conversations at once, one worker process", alone)
        for workers in (2, 4):
            while len(place.workers) < workers:
                await place.start_worker()
            met = await place.load(scale.SOME, 2)
            say_load(f"{scale.SOME} conversations at once, {workers} worker processes", met)
            gained = met.turns_a_second / alone.turns_a_second
            report(f"turns a second, {workers} worker processes ÷ one", gained, "(report)")
    async with scale.place() as place:  # a worker whose cache is empty
        await place.start_worker()
        megabytes, cached = place.megabytes(), await place.cached()
        say_load(f"{scale.MANY:,} conversations at once, one worker process", await place.load(scale.MANY, 1))
        more = await place.cached() - cached
        grown = (place.megabytes() - megabytes) * 1000 / more
        report("memory a conversation in a worker's cache, kB", grown, f"({more:,.0f} more of them)")


def say_load(what: str, met: scale.Load) -> None:
    report(f"{what}: turns a second", met.turns_a_second, str(met))
    share = 100 * met.cores["server"] / os.cpu_count()
    limit = f"{met.ceiling:.0f} turns a second"
    print(
        f"      the server took {share:.0f} % of all cores: alone on this machine, its limit would be {limit}"
    )


async def bench_where() -> None:
    """Each part's median of the rounds. The sandbox is what a workflow takes in it, less what it takes without."""
    inside, outside = [], []
    async with await Lab.start(ui=False, workflows=[], task_queue="nobody's") as lab:
        for _ in range(ROUNDS):
            for runner, rounds in ((SandboxedWorkflowRunner, inside), (UnsandboxedWorkflowRunner, outside)):
                rounds.append(await where.spent_a_turn(lab, runner(), turns=60))
    spent = {part: statistics.median(one[part] for one in inside) for part in inside[0]}
    workflow = statistics.median(one["workflow"] for one in outside)
    sandbox = spent["workflow"] - workflow
    parts = {
        "server": spent["server"],
        "SDK core, native": spent["SDK core"],
        "sandbox": sandbox,
        "Python: the workflow, without the sandbox": workflow,
        "Python: the worker's event loop and the activities' frame": spent["activities"],
        "Python: the offline model (simulated)": spent["model"],
        "Python: heartbeats": spent["heartbeats"],
        "database": spent["database"],
        "mail": spent["mail"],
    }
    for part, milliseconds in parts.items():
        wall = spent.get(f"{part} (wall)")
        waited = f", {wall:.1f} ms by the clock" if wall else ""
        share = f"{100 * milliseconds / sum(parts.values()):.0f} %{waited}"
        report(f"a turn's CPU milliseconds: {part}", milliseconds, share)
    largest = max(where.OURS, key=spent.__getitem__)
    report(f"the largest that is ours: {largest}", spent[largest], "ms a turn")
    report("a turn's reply, milliseconds", spent["turn"], "(for orientation)")


# Being watched


def bench_telling() -> None:
    """Off, with metrics, with traces, in turn; the ratio is that of the medians of the rounds."""
    kinds = {"off": (False, False), "metrics": (True, False), "tracing": (False, True)}
    rounds = [{name: telling.median_turn(*kind) for name, kind in kinds.items()} for _ in range(5)]
    turn = {name: statistics.median(one[name] for one in rounds) for name in kinds}
    for name in ("metrics", "tracing"):
        report(f"a turn with {name} on ÷ off", turn[name] / turn["off"], most=1.1)
    listed = statistics.median(telling.seconds_to_be_listed() for _ in range(3))
    report("seconds from freezing to being listed (threshold 2, task timeout 3 s)", listed, "(report)")


# Dying


async def bench_takeover() -> None:
    """From SIGKILL of the worker process to the next activity that is completed, by the kernel's worker."""
    activity = policies.RECORD["heartbeat_timeout"] + timedelta(seconds=1)  # and the first retry's pause
    moments = {
        "in a model call (heartbeat 3 s, retry 1 s)": ("before invoke_model_activity", activity),
        "in an activity (heartbeat 3 s, retry 1 s)": ("before save_to_database", activity),
        "in a workflow task (its timeout 3 s)": ("before workflow task #2", timedelta(seconds=3)),
        "while it is idle (sticky queue 1 s)": (None, timedelta(seconds=1)),
    }
    async with await Lab.start(ui=False) as lab:
        for where, (moment, bound) in moments.items():
            times = [await takeover(lab, moment) for _ in range(5)]
            median, limit = statistics.median(times), bound.total_seconds() + 0.5
            report(f"SIGKILL {where}: seconds to the next activity", median, most=limit)


async def takeover(lab: Lab, moment: str | None) -> float:
    process = await lab.worker_process(kill=moment)
    chat = await lab.converse(ConversationWorkflow, "ada")
    if moment is None:
        await chat.send("Hello!")
        await chat.activities()  # until it is quiet
        process.kill()
        await process.died()
    reply = chat.begin("Hello!")
    await process.died()
    died = time.perf_counter()
    before = await activities(chat.handle, "completed")
    while await activities(chat.handle, "completed") == before:
        await asyncio.sleep(0.005)
    took = time.perf_counter() - died
    await reply
    await chat.close()
    return took


async def bench_retries() -> None:
    """What independent retries are worth: model calls of three turns, ours ÷ a turn that is one activity."""
    often = {"save_to_database": 7, "send_notification": 7}
    for plan in ({"look_up_order": 2}, {"save_to_database": 2}, {"send_notification": 2}, often):
        ours, at_once = await model_calls_of(plan)
        fails = ", ".join(f"{activity} fails {times} times" for activity, times in plan.items())
        report(f"model calls, {fails}: ours ÷ the turn as one activity", ours / at_once, "(report)")


async def bench_mail_down() -> None:
    """From a message to its reply while the mail server is down: the notice behind the reply, and before it."""

    async def virtual_seconds(lab: Lab, workflow: type) -> float:
        chat = await lab.converse(workflow, "ada")
        at = await chat.record.now()
        reply = chat.begin("Hello!")
        while not reply.done():
            if (await chat.pending()).attempt.gt(1).any():
                await chat.fast_forward(timedelta(minutes=30))
            await asyncio.sleep(0.005)
        await reply
        return (await chat.record.now() - at).total_seconds()

    async with await Lab.start(ui=False) as lab:
        await lab.outage("mail", hours=6)
        behind = statistics.median([await virtual_seconds(lab, ConversationWorkflow) for _ in range(5)])
        before = await virtual_seconds(lab, DutiesFirstWorkflow)
    down = "mail down for 6 hours: seconds to the reply, notice"
    report(f"{down} behind it", behind, "(report)")
    report(f"{down} before it (virtual)", before, "(report)")


# A long conversation


async def long_conversation(send: Send, send_short: Send) -> float:
    """300 turns. Returns how long a turn takes at the end of it, ÷ a turn at the tenth of another one, by turns."""
    for number in range(285):
        await send(MESSAGES[number % 3])
    long, short = [], []
    for number in range(15):
        for say, times in ((send, long), (send_short, short)):
            times.append(await seconds(say(MESSAGES[number % 3])))
    return statistics.median(long[4:]) / statistics.median(short[4:])


def per_turn(histories: list[WorkflowHistory], until: int) -> tuple[float, float]:
    """Bytes and events of history a turn, the mean of ten turns."""
    turn, size, events = 0, 0, 0
    for history in histories:
        for event in history.events:
            turn += event.HasField("workflow_execution_update_accepted_event_attributes")
            if until - 10 < turn <= until:
                size, events = size + event.ByteSize(), events + 1
    return size / 10, events / 10


async def bench_growth() -> None:
    """300 turns: ours against the plain code, which begins no new run and hands the model everything."""
    async with await Lab.start(ui=False) as lab:
        chat, short = [await lab.converse(ConversationWorkflow, name) for name in ("ada", "ben")]
        ours, our_runs = await long_conversation(chat.send, short.send), await chat.record.histories()
    async with plain_desk("same server") as (client, _):
        handle, send = await plain_conversation(client)
        _, send_short = await plain_conversation(client)
        theirs, their_runs = await long_conversation(send, send_short), [await handle.fetch_history()]
    for until in (10, 100, 300):
        size, events = per_turn(our_runs, until)
        whole_size, whole_events = per_turn(their_runs, until)
        report(
            f"history a turn, at turn {until}: kB",
            size / 1000,
            f"all in memory and one run: {whole_size / 1000:.2f}",
        )
        report(
            f"history a turn, at turn {until}: events",
            events,
            f"all in memory and one run: {whole_events:.2f}",
        )
    flat = per_turn(our_runs, 300)[0] / per_turn(our_runs, 100)[0]
    report("history a turn: bytes at turn 300 ÷ at turn 100", flat, most=1.2)
    longest = max(len(history.events) for history in our_runs)
    report(
        "events of the longest run of 300 turns",
        longest,
        f"all in memory and one run: {len(their_runs[0].events)}",
    )
    report(
        "latency of a turn, at turn 300 ÷ at turn 10",
        ours,
        f"(all in memory and one run: {theirs:.2f})",
        most=1.2,
    )


def machine() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
    return f"{os.cpu_count()} cores ({model or platform.machine()}), {platform.system()}, Python {platform.python_version()}"


# Engines


async def bench_engines() -> None:
    """A turn of one desk on SQLite, and on a PostgreSQL server of the lab's own: by turns, so that both meet the same machine."""
    ratios, ms = [], []
    for _ in range(ROUNDS):
        medians = []
        for url in (None, OWN_POSTGRESQL):
            async with await Lab.start(database_url=url) as lab:
                await warm((await lab.converse(ConversationWorkflow, "ada")).send)
                medians.append(await median_turn((await lab.converse(ConversationWorkflow, "ada")).send))
        ratios.append(medians[0] / medians[1])
        ms.append(medians[1] * 1000)
    note = f"a turn on PostgreSQL took {statistics.median(ms):.0f} ms"
    report("a turn on SQLite ÷ on PostgreSQL", statistics.median(ratios), note)


BENCHES = {
    "turns": bench_turns,
    "engines": bench_engines,
    "throughput": bench_throughput,
    "tables": bench_tables,
    "histories": bench_histories,
    "reader": bench_reader,
    "imports": bench_imports,
    "start": bench_start,
    "clock": bench_clock,
    "scale": bench_scale,
    "where": bench_where,
    "load": bench_load,
    "telling": bench_telling,
    "takeover": bench_takeover,
    "retries": bench_retries,
    "mail": bench_mail_down,
    "growth": bench_growth,
}


def main() -> None:
    print(machine())
    for name, bench in BENCHES.items():
        if not sys.argv[1:] or name in sys.argv[1:]:
            result = bench()
            if result is not None:
                asyncio.run(result)


if __name__ == "__main__":
    main()
