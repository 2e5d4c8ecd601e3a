"""The desk under load: its program in 1, 2 and 4 processes, and 10, 100 and 1,000 conversations that write at once.

The processes are `python -m course.desk`, as one runs it. They share a lab's server, which may use all of the
machine's cores, its SQLite file and its mailbox. This process is the customers, and the mailbox.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import psutil
from temporalio.client import Client, WorkflowHandle

from course import Lab
from course.desk import ConversationWorkflow
from course.lab import server
from course.lab.runtime import samples

QUEUE = "desk"
MOST_SECONDS = 600
MESSAGES = ["Where is order 1042?", "Hello!", "Thank you."]
FEW, SOME, MANY = 10, 100, 1_000
"""Conversations that begin at once. The fewer, the more each says: 10, 2 and 1 messages, the first of which costs most."""


@dataclass
class Load:
    """What a number of conversations that wrote at once met.

    Attributes:
        turns_a_second: Until the last turn's notice was delivered; a reply waits for none.
        replies: Seconds that each waited, in order.
        cores: How many cores were busy for the server, for the workers and for the customers (this process).
    """

    turns_a_second: float
    replies: list[float]
    cores: dict[str, float]

    def percentile(self, of_100: int) -> float:
        return statistics.quantiles(self.replies, n=100, method="inclusive")[of_100 - 1]

    @property
    def ceiling(self) -> float:
        """Turns a second at which the server alone would need every core of this machine."""
        return self.turns_a_second * psutil.cpu_count() / self.cores["server"]

    def __str__(self) -> str:
        busy = ", ".join(f"{who} {cores:.2f}" for who, cores in self.cores.items())
        return f"p50 {self.percentile(50):.2f} s, p99 {self.percentile(99):.2f} s; cores busy: {busy}"


@dataclass
class Place:
    """A server, a mailbox, a database, and as many of the desk's processes as were started."""

    lab: Lab
    client: Client
    folder: Path
    stack: AsyncExitStack
    workers: list[psutil.Process] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)

    async def start_worker(self) -> None:
        """Starts one more, and lets it and the others talk until none of them does anything for the first time."""
        metrics = f"{server.HOST}:{server.free_ports(1)[0]}"
        settings = {
            "TEMPORAL_ADDRESS": self.lab.address,
            "TASK_QUEUE": QUEUE,
            "DATABASE_URL": self.lab.world.services.database.url,
            "SMTP_ADDRESS": f"{server.HOST}:{self.lab.world.mailbox.port}",
            "REPORTS": str(self.folder / "reports"),
            "METRICS_ADDRESS": metrics,
        }
        log = self.folder / f"worker-{len(self.workers)}.log"
        # To a file: the SDK's core warns on stdout, and would stop at a pipe that is full.
        process = subprocess.Popen(
            [sys.executable, "-m", "course.desk"],
            env={**os.environ, **settings},
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
        )
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        while "Serving" not in log.read_text():
            assert process.poll() is None, log.read_text()
            await asyncio.sleep(0.02)
        self.workers.append(psutil.Process(process.pid))
        self.metrics.append(f"http://{metrics}/metrics")
        await self.load(20, 1)

    async def load(self, conversations: int, turns: int) -> Load:
        """New conversations that begin at once, and each of which writes as soon as it is answered."""
        handles = await asyncio.gather(*(self._conversation() for _ in range(conversations)))
        replies: list[float] = []

        async def talk(number: int) -> None:
            for turn in range(turns):
                began = time.perf_counter()
                text = MESSAGES[(number + turn) % len(MESSAGES)]
                await handles[number].execute_update(ConversationWorkflow.send, text, id=str(uuid4()))
                replies.append(time.perf_counter() - began)

        mails = self.lab.world.mailbox.mails
        expected = len(mails) + conversations * turns
        before, began = self._cpu_seconds(), time.perf_counter()
        async with asyncio.timeout(MOST_SECONDS):
            await asyncio.gather(*map(talk, range(conversations)))
            while len(mails) < expected:
                await asyncio.sleep(0.02)
        took, after = time.perf_counter() - began, self._cpu_seconds()
        cores = {who: (after[who] - before[who]) / took for who in before}
        return Load(conversations * turns / took, replies, cores)

    async def _conversation(self) -> WorkflowHandle[Any, Any]:
        return await self.client.start_workflow(
            ConversationWorkflow.run, "ada", id=f"ada-{uuid4()}", task_queue=QUEUE
        )

    def _cpu_seconds(self) -> dict[str, float]:
        processes = {
            "server": [psutil.Process(self.lab.temporal.server.process.pid)],
            "workers": self.workers,
            "customers": [psutil.Process()],
        }
        times = {who: [one.cpu_times() for one in those] for who, those in processes.items()}
        return {who: sum(one.user + one.system for one in those) for who, those in times.items()}

    def megabytes(self) -> float:
        """Of memory that the first worker holds."""
        return self.workers[0].memory_info().rss / 1e6

    async def cached(self) -> float:
        """Conversations that the first worker has in memory."""
        return (await samples(self.metrics[0], "temporal_sticky_cache_size")).value.sum()


@asynccontextmanager
async def place() -> AsyncIterator[Place]:
    """The lab's own worker serves another queue, and has nothing to do."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        # The lab keeps its server to one core. Here it is to take what it can.
        with patch.dict(server.ENVIRONMENT, {"GOMAXPROCS": str(os.cpu_count())}):
            lab = await stack.enter_async_context(
                await Lab.start(ui=False, workflows=[], task_queue="nobody's")
            )
        yield Place(lab, await Client.connect(lab.address), folder, stack)
