"""What the lessons' checks share: a lab for the reader's workflow, talking to it, and what it made of it."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from agents import Model, ModelResponse
from temporalio import activity
from temporalio.client import WorkflowExecutionStatus

from course.checks.complaints import meaning, own_words, raised
from course.checks.verdict import NotYet, shortened
from course.lab import Conversation, Lab, LabError
from course.lab.compat import workflow_definition
from course.models import OfflineModel
from course.models.offline import status_error

PATIENCE = 8
"""Seconds for one reply. A turn takes a tenth of one."""


MODEL_CALL = "invoke_model_activity"


class Stuck(NotYet):
    """The workflow's own code raises, so Temporal tries its task again and again and nobody is answered."""

    def __init__(self, message: str, stack: str, file: str) -> None:
        self.message = shortened(message)
        explained = meaning(message)
        if explained is None:
            self.outcome = "error"
        super().__init__(explained or raised(message, stack, file))


class NoReply(NotYet):
    """A message got no reply; the rest of the sentence says why."""


class Scenes(Model):
    """An offline model that plays another one, or is down, when a customer writes certain messages.

    Args:
        scenes: The model for a message.
        down: How often a model call fails with HTTP 503 before it is answered, by message.
        otherwise: The model for every other message. Default: the offline model's rules.
    """

    def __init__(
        self,
        scenes: dict[str, Model] | None = None,
        down: dict[str, int] | None = None,
        otherwise: Model | None = None,
    ) -> None:
        self._rules = otherwise or OfflineModel()
        self._scenes, self._down = scenes or {}, down or {}
        self.offered: dict[str, str] = {}
        """What the model was told of each tool that it was offered, by the tool's name."""

    async def get_response(
        self, system_instructions: Any, input: Any, model_settings: Any, tools: Any, *rest: Any, **more: Any
    ) -> ModelResponse:
        self.offered |= {tool.name: getattr(tool, "description", "") or "" for tool in tools}
        message = _last_message(input)
        if activity.info().attempt <= self._down.get(message, 0):
            error = status_error(503, "The model is down (simulated).")
            error.response.headers["retry-after-ms"] = "20"
            raise error
        model = self._scenes.get(message, self._rules)
        return await model.get_response(system_instructions, input, model_settings, tools, *rest, **more)

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        return self._rules.stream_response(*args, **kwargs)


def _last_message(input: Any) -> str:
    if isinstance(input, str):
        return input
    said = [item.get("content") for item in input if isinstance(item, dict) and item.get("role") == "user"]
    return next((content for content in reversed(said) if isinstance(content, str)), "")


def workflow_class(module: Any, name: str) -> type:
    """The reader's workflow. Says which part of one is missing."""
    found = getattr(module, name, None)
    if not isinstance(found, type):
        raise NotYet(f"There is no class {name} in your cell. Keep the name: the check looks for it.")
    definition = workflow_definition(found)
    if definition is None:
        raise NotYet(
            f"{name} is an ordinary class, so Temporal cannot run it: @workflow.defn is missing above it."
        )
    send = definition.updates.get("send")
    if send is None:
        other = "a signal, which has no reply" if "send" in definition.signals else "an ordinary method"
        raise NotYet(
            f"`send` is {other}. As an update (@workflow.update) it takes a message and returns the reply."
        )
    if not asyncio.iscoroutinefunction(send.fn):
        raise NotYet(
            "`send` is a plain function. A handler that waits for an agent or an activity is `async def`."
        )
    if "close" not in definition.signals and "close" not in definition.updates:
        raise NotYet("Nothing ends the conversation: `close` is no signal yet (@workflow.signal).")
    return found


@contextlib.asynccontextmanager
async def lab_for(
    module: Any,
    workflows: Sequence[type],
    model: Model,
    activities: Sequence[Callable[..., Any]] | None = None,
) -> AsyncIterator[Lab]:
    """A lab that runs the reader's workflow. Its server ends with it, or with this process."""
    try:
        lab = await Lab.start(workflows=workflows, activities=activities, model=model, ui=False)
    except LabError as error:
        if "no Temporal server" in str(error):  # a busy machine, and nothing of the reader's
            raise LabError("its Temporal server did not start. Run the check again.") from None
        raise NotYet(own_words(error.__cause__ or error, file_of(module))) from None
    try:
        yield lab
    finally:
        with contextlib.suppress(TimeoutError):  # a workflow that does not give the worker back
            await asyncio.wait_for(lab.stop(), 1)


async def say(chat: Conversation, text: str, module: Any) -> str:
    """Sends a message and returns the reply. Raises `Stuck` or `NoReply` as soon as there will be none."""
    before = {pending.activity_id for pending in await _pending(chat)}
    reply = asyncio.ensure_future(chat.begin(text, timeout=PATIENCE))
    while not reply.done():
        await asyncio.wait([reply], timeout=0.2)
        if not reply.done():
            await stop_if_stuck(chat, module)
            await _stop_if_in_vain(chat, text, before)
    try:
        answer = reply.result()
    except LabError as error:
        if (await chat.handle.describe()).status == WorkflowExecutionStatus.COMPLETED:
            raise NoReply(
                f"{quoted(text)} got no reply: `run` had returned, so the conversation had ended. Its end is the end of "
                "`run`, which has to wait until `close` has been called."
            ) from None
        raise NoReply(f"{quoted(text)} got no reply. {own_part(str(error))}") from None
    if not isinstance(answer, str) or not answer.strip():
        raise NoReply(f"{quoted(text)} got {answer!r} as a reply: `send` returns the agent's text.")
    return answer


async def _pending(chat: Conversation) -> Sequence[Any]:
    return (await chat.handle.describe()).raw_description.pending_activities


async def _stop_if_in_vain(chat: Conversation, text: str, before: set[str]) -> None:
    """Raises `NoReply` when an activity of the workflow's has failed twice: nothing here mends itself.

    Not one that was there `before` the message: a duty of an earlier turn may be held up by an outage.
    """
    for pending in await _pending(chat):
        name = pending.activity_type.name
        if pending.activity_id in before:
            continue
        if pending.attempt > 2 and pending.HasField("last_failure") and name != MODEL_CALL:
            failure = pending.last_failure
            kind = failure.application_failure_info.type
            raise NoReply(
                f"{quoted(text)} got no reply: {name} fails and is tried again, and again. Its error is "
                f"{kind}: {shortened(failure.message).rstrip('.')}."
            )


async def close(chat: Conversation, module: Any) -> None:
    """Ends a conversation."""
    ending = asyncio.create_task(chat.close(timeout=PATIENCE / 2))
    while not ending.done():
        await asyncio.wait([ending], timeout=0.2)
        if not ending.done():
            await stop_if_stuck(chat, module)
    try:
        ending.result()
    except LabError as error:
        if "has not ended" in str(error):
            raise NotYet(
                "The conversation was closed and does not end: `run` waits until `close` has been called, then "
                "returns."
            ) from None
        raise NotYet(f"The conversation was closed and did not end well. {own_part(str(error))}") from None


async def stop_if_stuck(chat: Conversation, module: Any) -> None:
    """Raises `Stuck` with the first failure of the workflow's task that its history records."""
    description = await chat.handle.describe()
    if description.raw_description.pending_workflow_task.attempt < 2:
        return
    for event in (await chat.history()).events:
        if event.HasField("workflow_task_failed_event_attributes"):
            failure = event.workflow_task_failed_event_attributes.failure
            while failure.HasField("cause"):
                failure = failure.cause
            kind = failure.application_failure_info.type
            message = f"{kind}: {failure.message}" if kind else failure.message
            raise Stuck(message, failure.stack_trace, file_of(module))


def file_of(module: Any) -> str:
    """The reader's file as tracebacks end with it: the checks have files of the same name."""
    return "/".join(Path(module.__file__).parts[-2:])


def quoted(text: str) -> str:
    return f"“{shortened(text, 70)}”"


def own_part(error: str) -> str:
    """A lab's error without its advice to a person in a notebook, and without a server's address."""
    error = re.sub(r"(?: at)? (?:https?://)?(?:\d+\.){3}\d+:\d+", "", error)
    return shortened(error.split(" Nothing is lost:")[0].split(" `await chat.")[0], 300)
