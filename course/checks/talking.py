"""What the lessons' checks share: a lab for the reader's workflow, talking to it, and reading what it made of it."""

import ast
import asyncio
import builtins
import contextlib
import hashlib
import math
import random
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from agents import Model, ModelResponse
from temporalio import activity
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError

from course.checks.complaints import meaning, own_words, raised
from course.checks.verdict import NotYet, quoted, require, shortened
from course.checks.waiting import on_this_machine
from course.lab import Conversation, Lab, LabError, everything
from course.lab.compat import activity_definition, workflow_definition
from course.models import Mistakes, OfflineModel, ToolCall
from course.models.offline import Step, status_error
from course.models.understanding import Turn, plain

REPLY_SECONDS = 8
"""How long a reply is waited for. A turn takes a tenth of a second."""

MODEL_CALL = "invoke_model_activity"


class Stuck(NotYet):
    """The workflow's own code raises, so Temporal tries its task again and again and nobody is answered."""

    def __init__(self, message: str, stack: str, file: str) -> None:
        kind = message.split(":")[0]
        self.kind = shortened(kind)
        self.is_slip = hasattr(builtins, kind)
        """Whether Python raises it by itself: a fault in what the reader wrote."""
        explained = meaning(message)
        if explained is None:
            self.outcome = "error"
        super().__init__(explained or raised(message, stack, file))


class NoReply(NotYet):
    """A message got no reply; the rest of the sentence says why."""


@dataclass(eq=False)
class Scenes(Model):
    """An offline model that plays another one, follows a script, or is down, when certain messages come."""

    scenes: dict[str, Model | list[Step]] = field(default_factory=dict)
    """What answers a message: a model, or a script, logical call by logical call, and then the rules."""
    down: dict[str, int] = field(default_factory=dict)
    """How often a model call fails with HTTP 503 before it is answered, by message."""
    otherwise: Model = field(default_factory=OfflineModel)
    """The model for every other message."""
    claims: dict[str, str] = field(default_factory=dict)
    """Messages whose sender claims to be somebody else, and whom. A script believes it."""
    offered: dict[str, str] = field(default_factory=dict)
    """What the model was told of each tool that it was offered, by the tool's name."""
    _playing: dict[Any, Model] = field(default_factory=dict)

    async def get_response(
        self, system_instructions: Any, input: Any, model_settings: Any, tools: Any, *rest: Any, **more: Any
    ) -> ModelResponse:
        self.offered |= {tool.name: getattr(tool, "description", "") or "" for tool in tools}
        input = plain(input)
        info, turn = activity.info(), Turn.read(None, input)
        if info.attempt <= self.down.get(turn.message, 0):
            error = status_error(503, "The model is down (simulated).")
            error.response.headers["retry-after-ms"] = "20"
            raise error
        model = self.scenes.get(turn.message, self.otherwise)
        if isinstance(model, list):
            coming = (info.workflow_id, info.workflow_run_id, *turn.whole)
            sender = self.claims.get(turn.message, info.workflow_id.rpartition("-")[0])
            script = [with_the_name(step, sender, tools) for step in model]
            model = self._playing.setdefault(coming, OfflineModel(script=script))
        return await model.get_response(system_instructions, input, model_settings, tools, *rest, **more)

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        return self.otherwise.stream_response(*args, **kwargs)


def with_the_name(step: Any, sender: str, tools: Any) -> Any:
    """A script's step. Where a reader's tool asks the model for more than the script gives, it gives the sender's name."""
    if isinstance(step, list):
        return [with_the_name(call, sender, tools) for call in step]
    if not isinstance(step, ToolCall) or isinstance(step.arguments, str):
        return step
    asked = {}
    for tool in tools:
        if tool.name == step.name:
            asked = getattr(tool, "params_json_schema", {}).get("properties", {})
    names = {
        name: sender if about.get("type") == "string" else {"name": sender}
        for name, about in asked.items()
        if name not in step.arguments and (about.get("type") == "string" or {"properties", "$ref"} & {*about})
    }
    return ToolCall(step.name, {**names, **step.arguments})


def misbehaves(*mistakes: str) -> OfflineModel:
    """The offline model, making some of its `Mistakes` every time."""
    return OfflineModel(mistakes=Mistakes(**dict.fromkeys(mistakes, 1)))


# What is in the reader's module


def own(module: Any, name: str, kind: str) -> Any:
    """A class, function or dict of the reader's."""
    found = getattr(module, name, None)
    is_one = {"class": isinstance(found, type), "function": callable(found), "dict": isinstance(found, dict)}
    require(is_one[kind], f"There is no {kind} {name} in your cell. Keep the name: the check looks for it.")
    return found


def defined(module: Any, name: str) -> tuple[type, Any]:
    """The reader's workflow class, and how Temporal sees it."""
    found = own(module, name, "class")
    definition = workflow_definition(found)
    if not definition:
        raise NotYet(f"""{name} is an ordinary class, so Temporal cannot run it: @workflow.defn is missing
            above it.""")
    return found, definition


def workflow_class(module: Any, name: str) -> type:
    """The reader's conversation. Says which part of one is missing."""
    found, definition = defined(module, name)
    send = definition.updates.get("send")
    if send is None:
        other = "a signal, which has no reply" if "send" in definition.signals else "an ordinary method"
        raise NotYet(f"""`send` is {other}. As an update (@workflow.update) it takes a message and returns the
            reply.""")
    if not asyncio.iscoroutinefunction(send.fn):
        raise NotYet("""`send` is a plain function. A handler that waits for an agent or an activity is `async
            def`.""")
    if not ("close" in definition.signals or "close" in definition.updates):
        raise NotYet("Nothing ends the conversation: `close` is not a signal yet (@workflow.signal).")
    return found


def line_of(module: Any, is_it: Callable[[Any], bool]) -> int | None:
    """The first line of the reader's code in which there is such a node."""
    nodes = ast.walk(ast.parse(Path(module.__file__).read_text(encoding="utf-8")))
    return next((node.lineno for node in nodes if is_it(node)), None)


def dice_of(module: Any) -> random.Random:
    """Other code is asked other questions: what one answer gave away is of no use for the next."""
    return random.Random(hashlib.sha256(Path(module.__file__).read_bytes()).digest())


def predicted(module: Any, *about: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    """What the reader's `predict` says."""
    answer = own(module, "predict", "function")(*about)
    if not isinstance(answer, dict) or not set(keys) <= answer.keys():
        listed = f"{', '.join(keys[:-1])} and {keys[-1]}"
        raise NotYet(f"""predict(…) returns {shortened(repr(answer), 60)}; it has to return a dict of
            {listed}.""")
    return answer


def file_of(module: Any) -> str:
    """The reader's file as tracebacks end with it: the checks have files of the same name."""
    return "/".join(Path(module.__file__).parts[-2:])


# A lab, and talking to it


def replaced_by(own_version: Callable[..., Any]) -> list[Callable[..., Any]]:
    """The course's activities, with one of them in a check's own version."""
    name = activity_definition(own_version).name
    return [one for one in everything.activities() if one.__name__ != name] + [own_version]


class OwnLab(Lab):
    """A lab that runs the reader's workflow. Its conversations know the reader's module."""

    module: Any

    async def converse(self, workflow_class: type, customer: str, **handlers: str) -> "Talk":
        return Talk(await super().converse(workflow_class, customer, **handlers), self)

    def conversation(self, id: str) -> "Talk":
        return Talk(super().conversation(id), self)


@contextlib.asynccontextmanager
async def lab_for(
    module: Any,
    workflows: Sequence[type],
    model: Model,
    activities: Sequence[Callable[..., Any]] | None = None,
) -> AsyncIterator[OwnLab]:
    """Its server ends with it, or with this process."""
    try:
        lab: Any = await OwnLab.start(workflows=workflows, activities=activities, model=model, ui=False)
    except LabError as error:
        if "no Temporal server" in str(error):  # a busy machine, and nothing of the reader's
            raise LabError("its Temporal server did not start. Run the check again.") from None
        raise own_fault(error, module) from None
    lab.module = module
    try:
        yield lab
    finally:
        with contextlib.suppress(TimeoutError):  # a workflow that does not give the worker back
            await asyncio.wait_for(lab.stop(), 1)


def own_fault(error: LabError, module: Any) -> NotYet:
    """What the lab could not take of the reader's, in its own words."""
    return NotYet(own_words(error.__cause__ or error, file_of(module)))


class Talk(Conversation):
    """A conversation with the reader's workflow."""

    def __init__(self, chat: Conversation, lab: OwnLab) -> None:
        vars(self).update(vars(chat))
        self.lab = lab

    async def says(self, text: str) -> str:
        """Sends a message and returns the reply. Raises `Stuck` or `NoReply` as soon as there will be none."""
        before = {pending.activity_id for pending in await self._activities_pending()}
        reply = asyncio.ensure_future(self.begin(text, timeout=on_this_machine(REPLY_SECONDS)))
        while not reply.done():
            await asyncio.wait([reply], timeout=0.2)
            if not reply.done():
                pending = await self.stop_if_stuck()
                await self._stop_if_in_vain(text, before, pending)
        try:
            answer = reply.result()
        except LabError as error:
            if await self.status() == WorkflowExecutionStatus.COMPLETED:
                raise NoReply(f"""{quoted(text)} got no reply: `run` had returned, and that ended the conversation.
                    `run` has to wait until `close` has been called.""") from None
            # The lab says the first part itself, with the seconds of this machine.
            because = re.sub(r"^No reply to .*? after [\d.e+]+ s\. *", "", own_part(str(error)))
            raise NoReply(f"{quoted(text)} got no reply. {because}".strip()) from None
        if not isinstance(answer, str) or not answer.strip():
            raise NoReply(f"{quoted(text)} got {answer!r} as a reply: `send` returns the agent's text.")
        return answer

    async def ends(self, otherwise: str = "") -> None:
        """Closes the conversation. If it does not end, `otherwise` says what that means."""
        ending = asyncio.create_task(self.close(timeout=on_this_machine(REPLY_SECONDS / 2)))
        await self.wait_for(ending)
        try:
            ending.result()
        except LabError as error:
            if "has not ended" in str(error):
                otherwise = (
                    otherwise
                    or """The conversation was closed and does not end: `run` has to wait until
                    `close` has been called, and then return."""
                )
            badly = f"The conversation was closed and did not end well. {own_part(str(error))}"
            raise NotYet(otherwise or badly) from None

    async def wait_for(self, task: asyncio.Task[Any], seconds: float = math.inf) -> bool:
        """Whether it is done within that time. Raises `Stuck` as soon as the workflow's own code raises."""
        end = asyncio.get_running_loop().time() + seconds
        while not task.done() and asyncio.get_running_loop().time() < end:
            await asyncio.wait([task], timeout=0.2)
            if not task.done():
                await self.stop_if_stuck()
        in_time = task.done()
        task.cancel()
        return in_time

    async def stop_if_stuck(self) -> Sequence[Any]:
        """Raises `Stuck` with the first failure of the workflow's task that its history records.

        Returns the activities that are pending.
        """
        raw = (await self.handle.describe()).raw_description
        if raw.pending_workflow_task.attempt < 2:
            return raw.pending_activities
        for event in (await self.history()).events:
            if event.HasField("workflow_task_failed_event_attributes"):
                failure = event.workflow_task_failed_event_attributes.failure
                while failure.HasField("cause"):
                    failure = failure.cause
                kind = failure.application_failure_info.type
                message = f"{kind}: {failure.message}" if kind else failure.message
                raise Stuck(message, failure.stack_trace, file_of(self.lab.module))
        return raw.pending_activities

    async def _stop_if_in_vain(self, text: str, before: set[str], activities: Sequence[Any]) -> None:
        """Raises `NoReply` when one of the workflow's activities has failed twice: nobody here is going to fix it.

        Not one that was there `before` the message: a duty of an earlier turn may be held up by an outage.
        """
        for pending in activities:
            name = pending.activity_type.name
            if pending.activity_id in before or name == MODEL_CALL:
                continue
            if pending.attempt > 2 and pending.HasField("last_failure"):
                failure = pending.last_failure
                kind = failure.application_failure_info.type
                raise NoReply(f"""{quoted(text)} got no reply: {name} fails and is tried again, and again. Its
                    error is {kind}: {shortened(failure.message).rstrip(".")}.""")

    async def _activities_pending(self) -> Sequence[Any]:
        return (await self.handle.describe()).raw_description.pending_activities

    async def status(self) -> WorkflowExecutionStatus | None:
        return (await self.handle.describe()).status

    async def refused(self, update: str, *arguments: Any) -> BaseException | None:
        """Calls an update of the reader's. Returns why it was refused, and None if it was not."""
        try:
            await self.handle.execute_update(update, *arguments)
        except WorkflowUpdateFailedError as error:
            return error.cause
        return None

    async def replied(self) -> "pd.Series[pd.Timestamp]":
        """When the last reply of each turn went out."""
        events = await self.events()
        return events[events.event == "WorkflowExecutionUpdateCompleted"].groupby("turn").time.max()

    async def rows(self, activity_type: str) -> pd.DataFrame:
        """The rows of one activity in its record, with times."""
        record = await self.activities(times=True)
        return record[record.activity == activity_type]

    async def last_input(self) -> list[dict[str, Any]]:
        """The items that its last model call was given."""
        given = (await self.rows(MODEL_CALL)).input.iloc[-1][0]["input"]
        return given if isinstance(given, list) else []


def own_part(error: str) -> str:
    """A lab's error without its advice to a person in a notebook, and without a server's address."""
    error = re.sub(r"(?: at)? (?:https?://)?(?:\d+\.){3}\d+:\d+", "", error)
    return shortened(error.split(" Nothing is lost:")[0].split(" `await chat.")[0], 300)
