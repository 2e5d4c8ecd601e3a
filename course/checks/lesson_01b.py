"""Exercise 01b: an agent and a worker of one's own, run as a program and judged from outside."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
from agents import Model, ModelResponse
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import WorkflowHistory

from course.checks.talking import MODEL_CALL, NoReply, OwnLab, Talk, lab_for
from course.checks.verdict import NotYet, quoted, require, shortened
from course.checks.waiting import on_this_machine
from course.lab.server import note_process, until
from course.lessons.lesson_01 import HelloWorkflow
from course.models import ModelEndpoint, OfflineModel, ToolCall
from course.models.filling import facts_of, fill
from course.models.understanding import Turn, plain

IS_A_PROGRAM = True
"""It is run, and not imported."""

QUEUE = "my-agent"
USES = "Please look it up: a Monstera, order 1042."
MESSAGES = ("Good morning!", USES, "Thank you!")


async def check(program: Path) -> str:
    compile(
        program.read_text(encoding="utf-8"), program, "exec"
    )  # the reader's own words, before a server starts
    model, listener = Caller(), Listener()
    async with lab_for(SimpleNamespace(__file__=str(program)), [HelloWorkflow], OfflineModel()) as lab:
        with ModelEndpoint(model) as endpoint, Program(program, lab, endpoint, listener) as worker:
            await worker.polls(lab)
            await lab.client.start_workflow("MyAgent", "ada", id="ada", task_queue=QUEUE)
            chat = Outside(lab.conversation("ada"), lab, worker)
            for text in MESSAGES:
                await chat.says(text)
                require(
                    endpoint.requests,
                    """Your agent answered, and the model that the environment names was not asked. MODEL has its
                    name: hand `model_provider(os.environ.get("MODEL"))`'s provider to the plugin.""",
                )
            record = await chat.activities()
            tool, step = _tool(record, model.offered), _step(record)
            await chat.ends()
            if _traced(await chat.history()):  # they leave within five seconds, or at the end of Python
                await until(lambda: listener.heard, on_this_machine(8))
            await worker.ends()
    listener.close()
    require(
        not listener.heard,
        f"""Your worker sent something to {", ".join(sorted(listener.heard))}: the Agents SDK's record of every
        run, with what customers wrote. Set OPENAI_AGENTS_DISABLE_TRACING=1 before the worker starts, in the program
        itself.""",
    )
    return f"""a worker process of your own, three turns. The model asked for {tool}; {step} ran in every turn, because
        your workflow asked for it. SIGTERM ended the worker in order, and nothing left the machine."""


def _traced(history: WorkflowHistory) -> bool:
    """Whether the agent's runs were traced: then each activity's header names the trace."""
    headers = (event.activity_task_scheduled_event_attributes.header.fields for event in history.events)
    return any(b"trace_" in header["__openai_span"].data for header in headers if "__openai_span" in header)


def _tool(record: pd.DataFrame, offered: set[str]) -> str:
    """The tool's activity that ran because the model called it."""
    require(
        offered,
        """The model was offered no tool. Put activity_as_tool(…) of your activity into the agent's tools.""",
    )
    ran = record[record.decided_by.isin(["agent", "tool"])]
    require(
        len(ran),
        f"""The model called {" and ".join(sorted(offered))}, and no activity ran for it. A function tool runs inside the
        workflow, and leaves nothing on record. Make it an activity, and hand it over by activity_as_tool(…).""",
    )
    return str(ran.activity.iloc[0])


def _step(record: pd.DataFrame) -> str:
    """The activity that the workflow's own code asked for in every turn."""
    steps = record[record.decided_by == "workflow"]
    if steps.empty:
        asked = record[record.decided_by == "agent"].activity.unique()
        both = len(asked) > 1
        raise NotYet(
            f"""{" and ".join(asked)} ran because the model asked for them, and nothing ran because your workflow did. A
            step is not one of the agent's tools: `send` calls it with workflow.execute_activity(…)."""
            if both
            else f"""There is no step: besides the model's calls and {asked[0] if len(asked) else "the tool"}, no activity
            is on record. Call one in `send` with workflow.execute_activity(…)."""
        )
    turns = steps.groupby("activity").turn.unique()
    step, where = max(turns.items(), key=lambda one: len(one[1]))
    missing = [number for number in range(1, len(MESSAGES) + 1) if number not in where]
    if missing:
        raise NotYet(f"""{step} did not run in turn {missing[0]} ({quoted(MESSAGES[missing[0] - 1])}). A step runs for every
            message, whatever it says and whether or not the agent uses its tool.""")
    return str(step)


class Caller(Model):
    """Calls every tool that it is offered, once, when the message is `USES`. It only answers any other."""

    def __init__(self) -> None:
        self.offered: set[str] = set()

    async def get_response(
        self, system_instructions: Any, input: Any, model_settings: Any, tools: Any, *rest: Any, **more: Any
    ) -> ModelResponse:
        input = plain(input)
        turn = Turn.read(system_instructions, input)
        self.offered |= {tool.name for tool in tools}
        facts = facts_of(turn, turn.message)
        calls = [ToolCall(tool.name, fill(tool.params_json_schema, "", facts)) for tool in tools]
        due = calls if turn.message == USES and not turn.calls else None
        said = OfflineModel(script=[due or "; ".join(turn.outputs[-1:]) or "You are welcome."])
        return await said.get_response(system_instructions, input, model_settings, tools, *rest, **more)

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        raise NotImplementedError("This model does not stream.")


class Listener:
    """The proxy that the program's environment names. Nothing may come here; it notes for whom something did."""

    def __init__(self) -> None:
        self.heard: set[str] = set()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):  # it was closed
            while True:
                connection, _ = self._socket.accept()
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(5)
                    first = connection.recv(4096).decode(errors="replace")
                    found = re.search(r"\w+ (?:https?://)?([\w.-]+)", first)
                    self.heard.add(found[1] if found else "another machine")

    def close(self) -> None:
        self._socket.close()


class Program(contextlib.AbstractContextManager["Program"]):
    """The reader's program, as a process. It ends with its block, and with the check's lab at the latest."""

    def __init__(self, file: Path, lab: OwnLab, endpoint: ModelEndpoint, listener: Listener) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "TEMPORAL_"))}
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), listener.url)
        proxies["NO_PROXY"] = "127.0.0.1,localhost"
        environment = {
            **{name: value for name, value in kept.items() if name.upper() not in proxies},
            **proxies,
            "MODEL": "the-checks-model",
            "OPENAI_BASE_URL": endpoint.url,
            "OPENAI_API_KEY": "not-a-real-key",
            "TEMPORAL_ADDRESS": lab.address,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHON_COLORS": "0",  # a kernel asks for colours, and they would hide a traceback's last line
        }
        self._folder, self._log = file.parent, lab.world.folder / "program.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, file.name],
                cwd=file.parent,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        note_process(lab.world.folder, self._process.pid)

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def must_run(self, otherwise: str) -> None:
        """Raises `NotYet` when it has ended, with its last line."""
        if self._process.poll() is None:
            return
        # Temporal's threads may crash Python as it ends by an error: what it says of that comes after the error.
        said = self._log.read_text(errors="replace").partition("Fatal Python error")[0]
        lines = said.strip().splitlines()
        if not lines:
            raise NotYet(f"""{otherwise}, without a word (exit code {self._process.returncode}). Does the file end in
                asyncio.run(main()), and does main() wait?""")
        if found := re.search(r"Activity (\w+) is not async so an activity_executor", lines[-1]):
            raise NotYet(f"""{otherwise}: {found[1]} is an ordinary function, and the worker has no threads to run it
                on. Give it activity_executor=ThreadPoolExecutor().""")
        last = re.sub(r"(?:\d+\.){3}\d+:\d+|\[[\da-f:]+\]:\d+", "…", lines[-1]).replace(
            f"{self._folder}/", ""
        )
        raise NotYet(f"{otherwise}. Its last line: {quoted(last, 200)}")

    async def polls(self, lab: OwnLab) -> None:
        """Waits until somebody polls the queue for workflows."""
        request = DescribeTaskQueueRequest(
            namespace=lab.client.namespace,
            task_queue=TaskQueue(name=QUEUE),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
        clock = asyncio.get_running_loop().time
        end = clock() + on_this_machine(12)
        while not (await lab.client.workflow_service.describe_task_queue(request)).pollers:
            self.must_run("Your program ended before it served anybody")
            require(
                clock() < end,
                f"""Your program runs, and nobody polls the queue {QUEUE} for workflows: a message to your agent would wait
                there for ever. Is the queue's name right, and is MyAgent among the worker's workflows?""",
            )
            await asyncio.sleep(0.1)

    async def ends(self) -> None:
        """Sends SIGTERM, and waits for an end in order."""
        self._process.send_signal(signal.SIGTERM)
        in_time = await until(lambda: self._process.poll() is not None, on_this_machine(12))
        require(
            in_time,
            """Your worker got SIGTERM, and went on. Whoever stops it would have to kill it. Let the signal set an
            event, and `main` wait for that event inside `async with worker`.""",
        )
        code = self._process.returncode
        require(
            code != -signal.SIGTERM,
            """SIGTERM ended your worker on the spot (exit code -15), with whatever it was doing. Handle it:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, …), and leave `async with worker` then.""",
        )
        # Over a thread of Temporal's that is on its way back, Python's own way out sometimes aborts, when all is done.
        if code not in (0, -signal.SIGABRT, -signal.SIGSEGV):
            self.must_run(f"Your worker got SIGTERM and ended with exit code {code}, and not with 0")


class Outside(Talk):
    """The conversation, as its client sees it."""

    def __init__(self, chat: Talk, lab: OwnLab, worker: Program) -> None:
        super().__init__(chat, lab)
        self._worker = worker

    async def _stop_if_in_vain(self, text: str, before: set[str], activities: Sequence[Any]) -> None:
        self._worker.must_run(f"Your program ended while {quoted(text)} waited for its reply")
        for pending in activities:
            name, failure = pending.activity_type.name, pending.last_failure
            if pending.attempt < 2 or not pending.HasField("last_failure"):
                continue
            said = f"{failure.application_failure_info.type}: {shortened(failure.message)}".rstrip(".")
            waits = f"{quoted(text)} got no reply: {name} fails and is tried again, and again."
            if "is not registered on this worker" in failure.message:
                raise NoReply(f"""{waits} Your worker does not know it: put {name} into the worker's
                    activities=[…].""")
            if "has no attribute 'get_model'" in failure.message:
                raise NoReply(f"""{waits} The plugin's model_provider= is not a provider: it has no get_model. Give it the
                    second thing that model_provider(…) returns.""")
            if name != MODEL_CALL:
                raise NoReply(f"""{waits} Its error is {said}. A model may send any argument: for what it does not know, a
                    tool returns a sentence.""")
            if pending.attempt > 3:
                raise NoReply(f"{waits} Its error is {said}.")
