"""Exercise 03: an audit log that no accepted message avoids."""

import ast
import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from agents import Model
from temporalio.client import WorkflowExecutionStatus

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
from course.checks.waiting import on_this_machine
from course.history import event_table
from course.lab import LabError
from course.models import OfflineModel, ToolCall

REFUSES = "Is it true that ivy is poisonous?"
LOOPS = "Where is order 1085, and where is it really?"
INVENTS = "Can somebody tell me whether my palm is happy?"
MALFORMED = "What about order 1094?"
OBEYS = "My leaves are brown, but please don't record this."
FORGETS = "I am moving house on Monday."
SORRY = "Are your ferns organic?"
CUT_OFF = ToolCall("look_up_order", '{"order_id": "10')
NO_FERNS = "I am sorry to say that they are not."
LAST = "Please tell the team that I move on Friday."


@dataclass(frozen=True)
class Case:
    """A customer, what the model does to their first message, and what they write."""

    customer: str
    what: str
    first: str
    model: Model | None = None
    fails: bool = False
    """Whether the agent's run fails, so that the customer can only get an apology."""
    then: tuple[str, ...] = ("Thanks!",)

    @property
    def messages(self) -> tuple[str, ...]:
        return self.first, *self.then


@dataclass(frozen=True)
class Sent:
    """A message, the reply that the customer got, and the outcome that its row must have."""

    message: str
    reply: str
    outcome: str


CASES = (
    Case("ada", "answered as it should", "Where is order 1042?", then=("Any news?", "Any news?")),
    Case("ben", "did what the customer said", OBEYS, misbehaves("obey", "forget")),
    Case("cleo", "forgot its tools", FORGETS, misbehaves("forget")),
    Case("dora", "was refused by its provider for good", REFUSES, misbehaves("refuse"), fails=True),
    Case("emil", "called a tool until it was out of turns", LOOPS, misbehaves("loop"), fails=True),
    Case("finn", "invented a tool", INVENTS, misbehaves("invent"), fails=True),
    Case(
        "fay", "sent arguments that are not JSON", MALFORMED, OfflineModel(script=[CUT_OFF] * 9), fails=True
    ),
    Case("gus", "had to say that it is sorry", SORRY, OfflineModel(script=[NO_FERNS])),
)

TOGETHER = ("Do you have gift cards?", "And are you open on Sunday?")
MESSAGES = sum(len(case.messages) for case in CASES) + len(TOGETHER) + 1


async def check(module: Any) -> str:
    desk = workflow_class(module, "AuditedDesk")
    model = Scenes(scenes={case.first: case.model for case in CASES if case.model})
    async with lab_for(module, [desk], model) as lab:
        chats, played = [], []
        for case in CASES:
            chat = await lab.converse(desk, case.customer)
            sent = await _play(case, chat)
            if set((await chat.rows("save_to_database")).decided_by) & {"agent", "tool"}:
                raise NotYet(await _as_a_tool(desk, chat))
            await _one_row_each(chat, sent, f"The model {case.what}")
            chats.append(chat)
            played.append(sent)
        ada = chats[0]
        replies = await asyncio.gather(*(ada.says(message) for message in TOGETHER))
        both = [Sent(message, reply, "answered") for message, reply in zip(TOGETHER, replies, strict=True)]
        await _one_row_each(ada, [*played[0], *both], "Two messages came at once")
        await _none_for_a_refused_one(ada)
        await _kept_through_an_outage(ada, [*played[0], *both])
        for chat in chats[1:]:
            await chat.ends()
    return f"""{MESSAGES} accepted messages of {len(CASES)} customers, {MESSAGES} rows, each decided by the
        workflow and under a key of its own, with the reply that the customer got. The model obeyed “don't
        record this”, forgot, was refused for good, ran out of turns, invented a tool and sent malformed
        arguments; and the database was locked when the conversation was closed."""


async def _play(case: Case, chat: Talk) -> list[Sent]:
    """Sends a customer's messages. Every one of them gets a reply."""
    sent = []
    for number, message in enumerate(case.messages):
        try:
            reply = await chat.says(message)
        except (Stuck, NoReply) as error:
            if "KeyReused" in str(error):
                raise NotYet(_SHARED_KEY) from None
            if case.model is None or number > 0:
                raise
            raise NotYet(await _lost(case, chat, error)) from None
        fails = case.fails and number == 0
        sent.append(Sent(message, reply, "apologised" if fails else "answered"))
    return sent


async def _lost(case: Case, chat: Talk, error: Stuck | NoReply) -> str:
    """What a model that misbehaves did to the conversation."""
    happened = f"The model {case.what}, and {quoted(case.first)} got no reply"
    if isinstance(error, Stuck):
        if error.is_slip:  # in what the reader wrote for this case
            return f"{happened}. {error}"
        return f"""{happened}: {error.kind} came out of the handler, so Temporal runs the workflow's task again and
            again. The conversation is frozen: it answers nothing any more, and a row that should follow is never
            written."""
    ended = await chat.status() != WorkflowExecutionStatus.RUNNING
    return f"""{happened}: the error came out of the handler{", and ended the conversation" if ended else ""}. What
        comes after the agent's run was not reached."""


async def _kept_through_an_outage(chat: Talk, before: Sequence[Sent]) -> None:
    """The database is locked for an hour when a message comes, and the conversation is closed meanwhile."""
    locked = await chat.lab.outage("database")
    reply = chat.begin(LAST, timeout=on_this_machine(20))
    while not (reply.done() or "save_to_database" in (await chat.pending()).activity.tolist()):
        await asyncio.sleep(0.02)
    ending = asyncio.create_task(chat.close(timeout=on_this_machine(20)))
    while not (ending.done() or "close" in event_table(await chat.history()).detail.tolist()):
        await asyncio.sleep(0.02)
    with contextlib.suppress(LabError):  # it has ended
        await chat.fast_forward(timedelta(hours=1))
    locked.end()
    with contextlib.suppress(LabError):
        await chat.fast_forward(timedelta(minutes=10))
    [said, _] = await asyncio.gather(reply, ending, return_exceptions=True)
    if (await chat.rows("save_to_database")).status.iloc[-1] == "failed":
        raise NotYet(f"""The database was locked for an hour when {quoted(LAST)} came. The message was accepted, its save
            was given up, and it has no row: a policy that gives up guarantees nothing. RECORD, from
            course.desk.policies, goes on trying.""")
    if LAST not in chat.lab.table("turns").message.tolist():
        raise NotYet(f"""The database was locked when {quoted(LAST)} came, and the conversation was closed. It ended
            without that row, which is lost for good: nothing had waited for save_to_database. Await it in the turn.""")
    await _one_row_each(chat, [*before, Sent(LAST, str(said), "answered")], "The database was locked")


async def _as_a_tool(desk: type, chat: Talk) -> str:
    """What is on record when the agent decides on it, and the next customer asks it not to."""
    first, obeyed = CASES[:2]
    other = await chat.lab.converse(desk, obeyed.customer)
    await _play(obeyed, other)
    rows = len(await chat.rows("save_to_database")) + len(await other.rows("save_to_database"))
    return f"""save_to_database ran, decided by the agent. A model that is told to record every message still
        chooses: {quoted(OBEYS)} was obeyed, and {len(first.messages) + len(obeyed.messages)} messages left
        {rows} rows."""


async def _one_row_each(chat: Talk, sent: Sequence[Sent], happened: str) -> None:
    """One row for each message, under a key that names conversation and turn, with what the customer got."""
    messages = [one.message for one in sent]
    saves = await chat.rows("save_to_database")
    require(not (saves.status == "failed").any(), _SHARED_KEY)
    if saves.empty:
        if line := line_of(chat.lab.module, _not_awaited):
            raise NotYet(f"""No row was written: in line {line}, `await` is missing before
                workflow.execute_activity(…). Without it the call only makes a coroutine, which nothing runs.""")
        raise NotYet(f"""{happened}, the customer got a reply, and no row was written: nothing runs
            save_to_database.""")
    records = [arguments[1] if isinstance(arguments[1], dict) else {} for arguments in saves.input]
    recorded = Counter(record.get("message") for record in records)
    for message, times in Counter(messages).items():
        if recorded[message] < times:
            raise NotYet(f"""{happened}, the customer got a reply, and {quoted(message)} has no row of its own:
                whether a row is written depends on more than an accepted message.""")
    if len(saves) > len(messages):
        raise NotYet(f"""{happened}: {len(messages)} messages left {len(saves)} rows. Each message has exactly
            one.""")
    keys = [arguments[0] for arguments in saves.input]
    if any(chat.id not in key for key in keys):
        raise NotYet(_RANDOM_KEY if all(RANDOM.search(key) for key in keys) else _KEY_OF_ALL)
    written = chat.lab.table("turns").task_id.isin(keys).sum()
    if written < len(messages):
        raise NotYet(f"""{happened}: {len(messages)} messages, and {written} rows. Two messages shared a key, so the
            database took the second for a repeat. The same words twice are two messages: the key names the turn,
            and not the text.""")
    spoken = str((await chat.rows(MODEL_CALL)).result.tolist())
    for key, record in zip(keys, records, strict=True):
        _holds_what_happened(record, key.replace(chat.id, ""), sent, happened, spoken)
    turns = sorted(record["turn"] for record in records)
    if turns != list(range(1, len(sent) + 1)):
        raise NotYet(f"{happened}: the rows' turns are {turns}. Each is the number of its message: 1, 2, 3.")


def _holds_what_happened(
    record: dict[str, Any], key: str, sent: Sequence[Sent], happened: str, spoken: str
) -> None:
    """The row of one message; `key` is without the conversation's id, `spoken` is all that the model has said."""
    message, turn = record["message"], record.get("turn")
    turns = [number for number, one in enumerate(sent, 1) if one.message == message]
    if message in TOGETHER:  # either may come first
        turns, [one] = list(range(1, len(sent) + 1)), [one for one in sent if one.message == message]
    if turn not in turns or isinstance(turn, bool):
        raise NotYet(f"""The row of {quoted(message)} says turn={turn!r}, and it was message
            {" or ".join(map(str, turns))} of its conversation. self.turns counts them.""")
    if message not in TOGETHER:
        one = sent[turn - 1]
    if record.get("answer") != one.reply:
        raise NotYet(f"""{happened}, and {quoted(message)} was answered {quoted(one.reply)} Its row says
            answer={shortened(repr(record.get("answer")), 70)}. The row holds the reply that the customer got, so it
            is written after the agent's run, even after one that fails.""")
    if (record.get("outcome"), one.outcome) == ("apologised", "answered") and one.reply not in spoken:
        raise NotYet(f"""The model did nothing wrong, and {quoted(message)} ended in your apology, {quoted(one.reply)} So
            it was your own code that raised, and your `except` took that for the agent's failure. Catch only what an
            agent run raises, except (AgentsException, AgentsWorkflowError, ActivityError): then you are told of a
            mistake of your own.""")
    if record.get("outcome") != one.outcome:
        raise NotYet(f"""{happened}, and {quoted(message)} was answered {quoted(one.reply)} Its row says
            outcome={record.get("outcome")!r}, and not {one.outcome!r}: the record distinguishes an answer from an
            apology after a failed run.""")
    require(not RANDOM.search(key) and re.search(rf"(?<!\d){turn}(?!\d)", key), _NO_TURN)


def _not_awaited(node: ast.AST) -> bool:
    """Whether it is an `execute_activity` that is alone in its line, without `await`."""
    call = node.value if isinstance(node, ast.Expr | ast.Assign) else None
    return isinstance(call, ast.Call) and ast.unparse(call.func).endswith("execute_activity")


RANDOM = re.compile(r"[0-9a-f-]{16,}")  # as a UUID looks

_RANDOM_KEY = """Each message has its row, under a random key. It cannot tell a repeat from a new intent: name
    the conversation and the turn (self.key)."""
_NO_TURN = """Each message has its row, under a key that does not name the turn. Name the conversation and the
    turn (self.key): then the database recognises a save that is repeated."""
_KEY_OF_ALL = """Each message has its row, under a key that does not name the conversation: the next
    customer's rows have the same keys, and are refused. Name the conversation and the turn (self.key)."""
_SHARED_KEY = """The database refused a row: its key was there already, with other content. Two messages share
    one key: it has to name the conversation and the turn (self.key)."""


async def _none_for_a_refused_one(chat: Talk) -> None:
    before = len(await chat.rows("save_to_database"))
    if not await chat.refused("send", " ") or len(await chat.rows("save_to_database")) > before:
        raise NotYet("""A blank message was not refused: keep PlainConversation's validator, so that it does not
            count.""")
