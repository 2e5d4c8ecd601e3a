"""A reader's suite, run by pytest against desks: the right one, another right one, and mutants.

Each run is a process of its own, forked from one that has imported everything. It is told of each test as it begins
and fails, so that a suite that hangs can be told from one that is green. The first red test ends a run.
"""

import asyncio
import json
import os
import selectors
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import anyio.pytest_plugin  # noqa: F401  (so that no run of a suite has to)
import pytest
from temporalio.client import ClientConfig
from temporalio.openai_agents import OpenAIAgentsPlugin
from temporalio.openai_agents.testing import AgentEnvironment, ResponseBuilders, TestModel
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from course.checks.under_test import mutants
from course.checks.verdict import shortened
from course.history import record
from course.lab.running import PAYLOADS
from course.lab.server import ENVIRONMENT, temporal_binary

AT_ONCE = 3
"""Runs at a time: most of one is waiting."""
RECORDED = "recorded.json"
PLUGINS = ("no:nbval", "no:xdist", "no:hypothesispytest", "no:cacheprovider", "no:unraisableexception")


@dataclass
class Outcome:
    """What a suite said of one desk.

    Attributes:
        passed: How many tests passed.
        red: The first that did not, or nothing.
        says: What it said, in a line.
        running: The test that was under way at the end, or nothing.
        ended: Whether pytest came to its end.
        died: Whether its process ended before that by itself.
    """

    passed: int = 0
    red: str = ""
    says: str = ""
    running: str = ""
    ended: bool = False
    died: bool = False


@dataclass(frozen=True)
class Trial:
    """A desk's files by name, and those with which it had yesterday's conversation."""

    name: str
    files: Mapping[str, str]
    yesterdays: Mapping[str, str]


RIGHT = Trial("the right desk", mutants.right(), mutants.right())
OTHERWISE = Trial("another right desk", mutants.otherwise(), mutants.otherwise())


def trial(name: str) -> Trial:
    """A desk by its name: the right one, or a mutant."""
    if name == RIGHT.name:
        return RIGHT
    one = mutants.MUTANTS[name]
    return Trial(name, one.files(), one.files() if one.had_its_own else mutants.right())


def run(
    suite: Mapping[str, str],
    tried: list[Trial],
    limit: float,
    *,
    first: int = 0,
    tests: str = "test_*.py",
) -> Iterator[tuple[Trial, Outcome]]:
    """Runs a suite, files by name, against desks, and yields what it says of each, in their order.

    To be called in a process that has no threads: it forks. Runs that are still under way when nobody asks for more
    are ended.

    Args:
        suite: `test_….py` and whatever these stand on.
        tried: The desks. Their files are put beside the suite's, and a `recorded.json` if it has none and reads one.
        limit: Seconds for each. A run that is not over by then is stopped, and has not `ended`.
        first: So many desks are tried, and told of, before any other is.
        tests: Which of the suite's files pytest runs.
    """
    running: dict[str, _Fork] = {}
    with tempfile.TemporaryDirectory() as name:
        folder, told = Path(name), 0
        asked_for = RECORDED not in suite and any(RECORDED in text for text in suite.values())
        recorded = _recorded(folder, tried, limit) if asked_for else {}
        waiting = list(tried)
        done: dict[str, Outcome] = {}
        try:
            for trial in tried:
                while trial.name not in done:
                    held = max(first - told, 0)
                    while (
                        waiting and len(running) < AT_ONCE and (not held or len(tried) - len(waiting) < first)
                    ):
                        one = waiting.pop(0)
                        running[one.name] = _Fork(
                            partial(_judged, tests), _laid_out(folder, one, suite, recorded)
                        )
                    _wait(list(running.values()))
                    for name in [name for name, fork in running.items() if fork.over(limit)]:
                        done[name] = running.pop(name).outcome
                yield trial, done[trial.name]
                told += 1
        finally:
            for fork in running.values():
                fork.end()


def _laid_out(folder: Path, trial: Trial, suite: Mapping[str, str], recorded: Mapping[str, str]) -> Path:
    place = folder / trial.name.replace(" ", "_")
    place.mkdir()
    history = {RECORDED: recorded[_key(trial)]} if recorded else {}
    ini = {"pytest.ini": "[pytest]\nanyio_mode = auto\n"}
    for name, text in {**ini, **history, **suite, **trial.files}.items():
        (place / name).write_text(text, encoding="utf-8")
    return place


# In a process of its own


class _Fork:
    """A process that tells an `Outcome`, line by line. It and what it has started end with this object's process."""

    def __init__(self, work: Callable[[Path, Callable[..., None]], None], place: Path) -> None:
        self.outcome, self._began, self._rest = Outcome(), time.monotonic(), b""
        self.receiver, sender = os.pipe()
        lifeline, self._alive = os.pipe()
        self._pid = os.fork()
        if self._pid:
            os.close(sender)
            os.close(lifeline)
            os.set_blocking(self.receiver, False)
            return
        os.close(self._alive)  # from here on, in the new process
        os.setsid()
        threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()

        def tell(**news: Any) -> None:
            os.write(sender, json.dumps(news).encode() + b"\n")

        try:
            os.environ.update(ENVIRONMENT, OPENAI_AGENTS_DISABLE_TRACING="1")
            _made_once()
            os.chdir(place)
            sys.path.insert(0, str(place))
            work(place, tell)
            tell(ended=True)
        finally:
            os._exit(0)

    def over(self, limit: float) -> bool:
        """Whether it has ended, or has now been ended because its time was over."""
        runs = self._runs()
        if runs and time.monotonic() < self._began + limit:
            return False
        self.outcome.died = not (runs or self.outcome.ended)
        self.end()
        return True

    def end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)  # and with it the server that it has started
        os.waitpid(self._pid, 0)
        os.close(self.receiver)
        os.close(self._alive)

    def _runs(self) -> bool:
        """Takes in what it has said, and returns whether there is more to come."""
        while True:
            try:
                data = os.read(self.receiver, 65536)
            except BlockingIOError:
                return not self.outcome.ended
            if not data:
                return False
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                news = json.loads(line)
                self.outcome.passed += news.pop("passed", 0)
                for name, value in news.items():
                    setattr(self.outcome, name, value)


def _made_once() -> None:
    """What each test would make again, for its worker and its client, with every run of a suite."""
    configured = OpenAIAgentsPlugin.configure_client

    def configure(plugin: OpenAIAgentsPlugin, config: ClientConfig) -> ClientConfig:
        return ClientConfig(**configured(plugin, config) | {"data_converter": PAYLOADS})

    OpenAIAgentsPlugin.configure_client = configure  # type: ignore[method-assign]


def _end_with(lifeline: int) -> None:
    os.read(lifeline, 1)  # nothing is ever written: it returns when the other end is closed
    os.killpg(0, signal.SIGKILL)


def _wait(forks: list[_Fork]) -> None:
    with selectors.DefaultSelector() as selector:
        for fork in forks:
            selector.register(fork.receiver, selectors.EVENT_READ)
        if forks:
            selector.select(0.5)


class _Teller:
    """A plugin of pytest that tells what happens."""

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._tell(running=_short(nodeid))

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._tell(running="")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._tell(red=_short(report.nodeid), says=_says(report))
        elif report.passed and report.when == "call":
            self._tell(passed=1)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._tell(red=_short(report.nodeid), says=_says(report))


def _short(nodeid: str) -> str:
    return nodeid.partition("::")[2] or nodeid


def _says(report: pytest.TestReport | pytest.CollectReport) -> str:
    """What a failure says, in a line. Of an import that failed, pytest has a text alone; its last line is the error."""
    crash = getattr(report.longrepr, "reprcrash", None)
    lines = (crash.message if crash else str(report.longrepr)).strip().splitlines() or [""]
    return shortened((lines[0] if crash else lines[-1]).removeprefix("E").strip(), 120)


def _judged(tests: str, place: Path, tell: Callable[..., None]) -> None:
    files = sorted(map(str, place.glob(tests)))
    options = [word for plugin in PLUGINS for word in ("-p", plugin)]
    pytest.main(["-x", "-q", "--tb=native", f"--rootdir={place}", *options, *files], plugins=[_Teller(tell)])


# Yesterday's conversation


def _key(trial: Trial) -> str:
    return json.dumps(dict(trial.yesterdays), sort_keys=True)


def _recorded(folder: Path, tried: list[Trial], limit: float) -> dict[str, str]:
    """The same conversation with each desk that had one yesterday, as JSON. One server is enough for all of them."""
    desks = {_key(trial): trial.yesterdays for trial in tried}
    for number, files in enumerate(desks.values()):
        for name, text in files.items():  # modules of names of their own
            text = text.replace("from effects import", f"from effects_{number} import")
            text = text.replace("import effects\n", f"import effects_{number} as effects\n")
            (folder / name.replace(".", f"_{number}.")).write_text(text, encoding="utf-8")

    def work(place: Path, tell: Callable[..., None]) -> None:
        asyncio.run(_talk(place, len(desks)))

    fork = _Fork(work, folder)
    while not fork.over(limit):
        _wait([fork])
    if not fork.outcome.ended:
        raise RuntimeError(f"The desks had no conversation to record within {limit:g} s.")
    return {key: (folder / f"recorded_{number}.json").read_text() for number, key in enumerate(desks)}


async def _talk(folder: Path, desks: int) -> None:
    say, call = ResponseBuilders.output_message, ResponseBuilders.tool_call
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(temporal_binary()),
        dev_server_extra_args=["--output", "none"],
        dev_server_startup_timeout=timedelta(minutes=1),
    ) as env:
        for number in range(desks):
            desk, effects = import_module(f"desk_{number}"), import_module(f"effects_{number}")
            os.environ["DESK_DATABASE"] = str(folder / f"desk_{number}.db")
            for statement in effects.TABLES.split(";"):
                effects.sql(statement)
            script = [call('{"order": "1042"}', "request_refund"), say("A person decides."), say("Bye!")]
            async with AgentEnvironment(model=TestModel.returning_responses(script)) as agents:
                client, queue = agents.applied_on_client(env.client), f"ada-{number}"
                async with Worker(
                    client,
                    task_queue=queue,
                    workflows=[desk.Desk],
                    activities=[effects.price_of, effects.save_turn, effects.send_mail, effects.pay_refund],
                    activity_executor=ThreadPoolExecutor(4),
                ):
                    ada = await client.start_workflow("Desk", "ada", id=queue, task_queue=queue)
                    await ada.execute_update("send", "Please refund order 1042.")
                    await ada.execute_update("decide", args=["1042", True])
                    await ada.execute_update("send", "Thank you!")
                    await ada.signal("close")
                    await ada.result()
                    await record(ada, folder / f"recorded_{number}.json")
