"""Exercise 06: a desk that survives a misbehaving model."""

import ast
import asyncio
import contextlib
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from agents import Model, Runner
from temporalio.client import WorkflowExecutionStatus, WorkflowQueryFailedError

from course.checks.talking import (
    MODEL_CALL,
    NoReply,
    Scenes,
    Stuck,
    Talk,
    lab_for,
    line_of,
    misbehaves,
    workflow_class,
)
from course.checks.verdict import NotYet, quoted, require, shortened
from course.lab import LabError
from course.models import OfflineModel, ToolCall

FIRST = "Where is order 1042?"
FIRST_ASKED = "Which order did I ask about first?"


@dataclass(frozen=True)
class Case:
    """What the model does to one message, and what the reason must tell (a pattern)."""

    message: str
    what: str
    model: Model
    tells: str
    takes_minutes: bool = False


IVY, PALM = "Is it true that ivy is poisonous?", "Can somebody tell me whether my palm is happy?"
BROKEN, MISTYPED = "What about order 1044?", "And what about order 1045?"
TWICE, GIFTS = "Where is order 1043, and where is it really?", "Do you have gift cards?"
MOVING = "I am moving house on Monday."
# However often it is asked: one more try of the run is a right answer, too.
THE_PALM = OfflineModel(script=[ToolCall("ask_the_palm", "{}")] * 99)
TIMES_OUT = misbehaves("time_out")
REFUSED = "refuses this request|403|PermissionDenied"
NOT_JSON = "JSON|delimiter"
"""The innermost error's words are: Expecting ',' delimiter."""

CASES = (
    Case(IVY, "was refused by its provider for good", misbehaves("refuse"), REFUSED),
    Case(PALM, "called a tool that does not exist", THE_PALM, "ask_the_palm"),
    Case(BROKEN, "sent arguments that are not JSON", misbehaves("malformed"), NOT_JSON),
    Case(MISTYPED, "sent arguments of the wrong type", misbehaves("mistyped"), "valid string|validation"),
    Case(TWICE, "called a tool until it was out of turns", misbehaves("loop"), "urns"),
    Case(GIFTS, "never answered in time, on any attempt", TIMES_OUT, "imed out|imeout", takes_minutes=True),
    Case(MOVING, "answered without a word", OfflineModel(script=[" "] * 99), "word|empty|answer|nothing"),
)
CANCELLED = "Are you open on Sunday?"
SCENES: dict[str, Model] = {case.message: case.model for case in CASES}


async def check(module: Any) -> str:
    desk = workflow_class(module, "SturdyDesk")
    if line := line_of(module, _imports_ask):
        raise NotYet(f"""Line {line} imports `ask`, which has all of it ready. Use it in a desk of your own;
            here, write the `try` and the `except` yourself.""")
    async with lab_for(module, [desk], Scenes(scenes=SCENES, down={CANCELLED: 10_000})) as lab:
        ada = await lab.converse(desk, "ada")
        await _answers(ada)
        for case in CASES:
            await _one_failure(ada, case)
        await _memory_is_whole(ada)
        await _reasons(ada)
        await ada.ends()
        await _cancelled(await lab.converse(desk, "ben"))
        await _a_bug_stays_one(await lab.converse(desk, "cleo"))
    return f"""the model misbehaved in {len(CASES)} ways, and each message got a reply and a reason. The next
        ones were answered with the first in mind, a conversation that was cancelled ended as cancelled, and
        one that met a bug waits for a fix."""


def _imports_ask(node: ast.AST) -> bool:
    """The exercise is to write what `ask` does."""
    return isinstance(node, ast.ImportFrom) and any(name.name == "ask" for name in node.names)


async def _answers(chat: Talk) -> None:
    """While its model is well."""
    answer = await chat.says(FIRST)
    require(
        len(await chat.rows(MODEL_CALL)),
        f"""{quoted(FIRST)} got the reply {quoted(answer)}, and on record no model was asked. `answer` runs the agent first
        (Runner.run), and apologises only if that fails.""",
    )
    require(
        "1042" in answer,
        f"""The model was well, and {quoted(FIRST)} got the reply {quoted(answer)} Pass a good answer on as it is.""",
    )


async def _one_failure(chat: Talk, case: Case) -> None:
    happened = f"The model {case.what}, and {quoted(case.message)} got no reply"
    try:
        if case.takes_minutes:
            await _while_minutes_pass(chat, case.message)
        else:
            await chat.says(case.message)
    except Stuck as error:
        if error.is_slip:  # in what the reader wrote for this case
            raise NotYet(f"{happened}. {error}") from None
        raise NotYet(f"""{happened}: {error.kind} came out of `run`. It is not one of Temporal's failures, so the
            conversation is frozen.""") from None
    except NoReply as error:
        if await chat.status() == WorkflowExecutionStatus.FAILED:
            raise NotYet(f"""{happened}: the error came out of `run`. It is one of Temporal's failures, so it
                ended the conversation.""") from None
        if " as a reply" in str(error):  # a reply without a word
            raise NotYet(f"""The model {case.what}, and {quoted(case.message)} got a reply with nothing in it. Give
                the customer something to read: an apology.""") from None
        raise


async def _while_minutes_pass(chat: Talk, message: str) -> None:
    """The clock goes on until there is a reply: moved once, it might be ahead before the message is there."""
    reply = asyncio.create_task(chat.says(message))
    while not reply.done():
        with contextlib.suppress(LabError):  # a conversation that has ended: the missing reply tells more
            await chat.fast_forward(timedelta(minutes=15))
        await asyncio.wait([reply], timeout=0.1)
    await reply


async def _memory_is_whole(chat: Talk) -> None:
    answer = await chat.says(FIRST_ASKED)
    items = await chat.last_input()
    calls = {item.get("call_id") for item in items if item.get("type") == "function_call"}
    open_calls = calls - {item.get("call_id") for item in items if item.get("type") == "function_call_output"}
    if open_calls:
        raise NotYet("""After a run that failed, its tool calls are in the memory, without results. A provider
            refuses such an input, so no later message would be answered: after a failure, keep the memory as it
            was before.""")
    held = str([item.get("content") for item in items if item.get("role") == "user"])
    if kept := [case for case in CASES if case.message in held]:
        raise NotYet(f"""The model {kept[0].what}, and {quoted(kept[0].message)} is still in the memory. It is sent with
            every later call: a provider that refused it once refuses them all. After a failure, keep the memory
            as it was before.""")
    if "1042" not in answer:
        raise NotYet(f"""After the failures, {quoted(FIRST_ASKED)} was answered {quoted(answer)} The memory of
            the answered messages is lost: after a failure, keep it as it was before.""")


async def _reasons(chat: Talk) -> None:
    try:
        reasons = await chat.handle.query("reasons")
    except WorkflowQueryFailedError as error:
        raise NotYet(f"The query `reasons` failed: {shortened(str(error))}") from None
    if not isinstance(reasons, list) or len(reasons) != len(CASES) + 2:
        raise NotYet(f"""{len(CASES) + 2} messages, and `reasons` holds
            {len(reasons) if isinstance(reasons, list) else reasons!r}: one for each message, in their order,
            and an empty one where there is an answer.""")
    first, *failures, last = reasons
    if first or last:
        raise NotYet(f"""{quoted(FIRST)} was answered, and its reason is {first or last!r}. An answer has an
            empty reason.""")
    for case, reason in zip(CASES, failures, strict=True):
        if not re.search(case.tells, str(reason)):
            raise NotYet(f"""The model {case.what}, and the reason on record is {quoted(str(reason), 100)}. Nobody
                could fix anything with that. The error has a cause, which may have one, too: the innermost one says
                what happened.""")
    if len(set(failures)) < len(failures):
        raise NotYet(f"""The model failed in {len(failures)} ways, and some of the reasons are the same:
            {quoted(str(failures[0]), 100)}. Take each from its own error.""")


async def _cancelled(chat: Talk) -> None:
    """Cancelled while the agent waits for its model."""
    await chat.says(FIRST)
    reply = asyncio.ensure_future(chat.begin(CANCELLED, timeout=5))
    await chat.activities()  # until the model has failed, and is to be asked again
    await chat.handle.cancel()
    ending = asyncio.ensure_future(chat.handle.result())
    await asyncio.wait([reply, ending], timeout=5, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait([ending], timeout=0.2)
    for task in (reply, ending):
        task.cancel()
    await asyncio.gather(reply, ending, return_exceptions=True)
    if (status := await chat.status()) == WorkflowExecutionStatus.RUNNING:
        raise NotYet("""A conversation was cancelled while its agent waited for the model, and it apologised and went
            on: nobody can end it like that. A cancelled activity is an ActivityError whose __cause__ is a
            CancelledError: raise it again.""")
    if status != WorkflowExecutionStatus.CANCELED:
        raise NotYet("""A conversation was cancelled while its agent waited for the model. It ended, but not as cancelled:
            raise the error again, so that whoever cancelled it sees that it worked.""")


async def _a_bug_stays_one(chat: Talk) -> None:
    """Nobody knows what is in the code that `Runner.run` calls. Here it has a bug, for one message."""
    asked = []

    async def has_a_bug(*about: Any, **more: Any) -> None:
        asked.append(about)
        raise LookupError("a bug, made by the check")

    run = vars(Runner)["run"]
    Runner.run = staticmethod(has_a_bug)  # type: ignore[method-assign]
    try:
        reply = await chat.says(FIRST)
    except (Stuck, NoReply):
        return  # frozen, or failed: somebody has to look
    finally:
        Runner.run = run  # type: ignore[method-assign]
    if asked:
        raise NotYet(f"""A bug in the code that runs the agent (a LookupError, made by the check) ended in
            {quoted(reply)} Nobody learns of it, and every later message ends the same way. Catch what a model can cause, by name;
            what you do not expect has to come out, and freezes the conversation until it is fixed.""")
