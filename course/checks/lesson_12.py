"""Exercise 12: a desk that may go on for ever."""

import re
from typing import Any

import pandas as pd
from temporalio.client import WithStartWorkflowOperation, WorkflowHistory
from temporalio.common import WorkflowIDConflictPolicy

from course.checks.talking import MODEL_CALL, NoReply, Talk, lab_for, workflow_class
from course.checks.verdict import NotYet, quoted, require
from course.history.reading import value_of
from course.models import OfflineModel

FACT, NAME, QUESTION = "My terrarium is called Avalon.", "Avalon", "What is my terrarium called?"
SMALL_TALK = (
    "Do you sell pots?",
    "How much light does an Aloe need?",
    "Thank you!",
    "Good morning!",
    "Fine.",
)
MESSAGES = ("Hello!", FACT, *SMALL_TALK * 3)
TURNS = len(MESSAGES) + 1
TURNS_A_RUN = 5
WINDOW = 2
"""Turns that stay word for word. Up to one more is there until the next notes are taken."""
FULL = "`turns` counts through all runs, so a run is full at the number it began with, plus five."


async def check(module: Any) -> str:
    desk = workflow_class(module, "LongDesk")
    async with lab_for(module, [desk], OfflineModel()) as lab:
        chat = await lab.converse(desk, "ada")
        for number, message in enumerate(MESSAGES, 1):
            await _told(chat, message)
            if number == TURNS_A_RUN:
                await _rests_in_silence(chat)
        answer = await _told(chat, QUESTION)
        record, grown = await chat.activities(times=True), await chat.growth()
        _goes_on_in_new_runs(grown)
        await _stays_the_customers(chat)
        _stays_small(grown, await chat.history())
        await _knows(answer, record, chat)
        await _cuts_nothing_off(chat, record)
        await _is_ready_for_a_message(chat)
        _has_five_turns_a_run(grown)
        _keeps_two_turns(record)
        await chat.ends()
        turns = await chat.close()
    if turns != TURNS:
        raise NotYet(f"""The conversation had {TURNS} turns, and its result says {turns}. A new run counts on from
            where the old one ended: take `turns` along.""")
    runs = grown.groupby("run")[["events", "bytes"]].sum()
    return f"""{TURNS} turns in {len(runs)} runs. None has more than {_tens(runs.events.max())} events, what a
        turn adds stays the same, and the fact from turn 2 is known at the end. A message that comes with a new run
        finds the memory in place, and nothing was cut off."""


async def _told(chat: Talk, message: str) -> str:
    """One message, and then the desk is left alone until its duties are done: so each run is full when it ends."""
    try:
        answer = await chat.says(message)
        await chat.record.quiet()
        return answer
    except NoReply:
        if (await chat.growth()).run.max() > 1:
            raise NotYet(f"""{quoted(message)} got no reply: a new run began while its handler was at work,
                and cut it off. Before continue_as_new, wait for workflow.all_handlers_finished().""") from None
        raise


async def _rests_in_silence(chat: Talk) -> None:
    """Starts a conversation with what this one took along, and sends it nothing.

    What this one itself does in silence is seen later: the server lets a second pass between two runs.
    """
    await chat.activities()
    history = await chat.history()
    started = _started(history)
    if not started.continued_execution_run_id:
        return  # no new run yet
    await chat.lab.client.start_workflow(
        started.workflow_type.name, args=_arguments(history), id="in-silence", task_queue=chat.lab.task_queue
    )
    silent = chat.lab.conversation("in-silence")
    await silent.record.quiet()
    if len(await silent.record.histories()) > 1:
        raise NotYet(f"""After turn {TURNS_A_RUN} nobody wrote, and the new run ended without a turn: it would
            begin again every second, for ever. {FULL}""")


def _goes_on_in_new_runs(grown: pd.DataFrame) -> None:
    turns = grown.dropna().groupby("run").turn.count()
    if len(turns) == 1:
        raise NotYet(f"""{TURNS} turns are one run of {_tens(grown.events.sum())} events. No new run has begun:
            workflow.continue_as_new, after five turns.""")
    if grown.run.max() > -(-TURNS // TURNS_A_RUN):
        raise NotYet(f"{TURNS} turns took {grown.run.max()} runs: some ended before they had five. {FULL}")


async def _stays_the_customers(chat: Talk) -> None:
    for run, history in enumerate(await chat.record.histories(), 1):
        customer = next(iter(_arguments(history)), None)
        if customer != "ada":
            raise NotYet(f"""The conversation is ada's, and run {run} was begun for {customer!r}:
                continue_as_new(args=[customer, Carried(…)]) takes the customer along, too.""")


def _stays_small(grown: pd.DataFrame, last: WorkflowHistory) -> None:
    """A turn of the third five costs no more than one of the second five; the messages are the same."""
    by_turn = grown.dropna().groupby("turn").bytes.sum()
    earlier, later = by_turn.loc[6:10].mean(), by_turn.loc[TURNS - 5 : TURNS - 1].mean()
    if later > 1.25 * earlier:
        kept = re.search(r"'kept': (\d+)", str(_arguments(last)))
        wide = "its window is wider than two turns: Memory(kept=2)."
        why = wide if kept and int(kept[1]) > 2 else "its memory has no window."
        raise NotYet(f"""New runs begin, and the bytes still grow: turns 6 to 10 added {earlier / 1000:.1f} kB each, and
            the last five turns {later / 1000:.1f} kB each, with the same messages. The agent is given more and more:
            {why}""")


async def _knows(answer: str, record: pd.DataFrame, chat: Talk) -> None:
    calls = record[record.activity == MODEL_CALL]
    if NAME in answer:
        if _instructions(calls).nunique() == 1:
            raise NotYet("""The fact from turn 2 is known, and nobody took notes: it is kept word for word. Code cannot know
                beforehand which turn will matter. memory.fold() takes notes, when memory.is_full().""")
        return
    firsts = calls[calls.run > 1].groupby("run").input.first().map(lambda call: call[0]["input"])
    first = firsts.iloc[0]
    for run, history in enumerate(await chat.record.histories(), 1):
        items = firsts.get(run, first)
        if not isinstance(items, str) and len(items) == 1 and NAME in str(_arguments(history)):
            raise NotYet(_before_run(quoted(items[0]["content"]), "an answer that knew nothing."))
    why = "Notes were taken, and the last model call was not given them: memory.items() begins with them."
    if isinstance(first, str) or len(first) < 2:
        why = (
            "The second run's first model call is given only the new message: the memory was not taken along."
        )
    elif _instructions(calls).nunique() == 1:
        why = "The window has moved on, and nobody took notes: memory.fold(), when memory.is_full()."
    raise NotYet(f"Turn 2 was {quoted(FACT)} Asked in turn {TURNS}, the desk says {quoted(answer)} {why}")


def _has_five_turns_a_run(grown: pd.DataFrame) -> None:
    longest = grown.dropna().groupby("run").turn.count().max()
    if longest > TURNS_A_RUN:
        raise NotYet(f"""One of the runs has {longest} turns. A new run is due five turns after *this* one began, whatever
            the turn's number.""")


def _keeps_two_turns(record: pd.DataFrame) -> None:
    """What the agent was given of earlier messages, word for word, whenever one came."""
    calls = record[record.activity == MODEL_CALL]
    asked = _instructions(calls)
    for turn, [call] in calls[asked == asked.iloc[0]].groupby("turn").input.first().items():
        there = sum(_said(item) in MESSAGES for item in call["input"] if item.get("role") == "user") - 1
        if turn < TURNS and there > WINDOW + 1:
            raise NotYet(f"""In turn {turn} the agent was given {there} earlier messages word for word: its window is wider
                than two turns. Memory(kept=2) has three at most, and then takes notes.""")
        if WINDOW < turn < TURNS and there < WINDOW:
            raise NotYet(f"""In turn {turn} the agent was given {there} earlier messages word for word, and two turns stay:
                Memory(kept=2).""")


def _instructions(calls: pd.DataFrame) -> "pd.Series[str]":
    """Those of the desk's agent, or of the one that takes notes."""
    return calls.input.map(lambda call: call[0]["system_instructions"])


def _said(item: dict[str, Any]) -> str:
    content = item["content"]
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


async def _cuts_nothing_off(chat: Talk, record: pd.DataFrame) -> None:
    calls = record[record.activity == MODEL_CALL]
    if (record.status == "abandoned").any():
        raise NotYet("""A new run began while notes were taken, and cut them off: the model was paid for
            nothing. Before continue_as_new, wait until self.duties is empty, too.""")
    asked = _instructions(calls)
    notes = calls[asked != asked.iloc[0]]
    replied = await chat.replied()
    for note in notes.itertuples():
        if note.turn in replied.index and note.closed <= replied[note.turn]:
            raise NotYet(f"""In turn {note.turn} the customer waited for the notes. Nobody needs them yet:
                start them in the background, self.later(self.memory.fold()).""")


async def _is_ready_for_a_message(chat: Talk) -> None:
    """Starts a conversation with what this one took along, and a message that is there from the start."""
    history = await chat.history()
    start = WithStartWorkflowOperation(
        _started(history).workflow_type.name,
        args=_arguments(history),
        id="with-a-message",
        task_queue=chat.lab.task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
    )
    client = chat.lab.client
    answer = await client.execute_update_with_start_workflow("send", QUESTION, start_workflow_operation=start)
    require(NAME in answer, _before_run("A message", quoted(answer)))


def _started(history: WorkflowHistory) -> Any:
    return history.events[0].workflow_execution_started_event_attributes


def _arguments(history: WorkflowHistory) -> list[Any]:
    """What a run was handed."""
    return [value_of(payload) for payload in _started(history).input.payloads]


def _before_run(message: str, answer: str) -> str:
    return f"""{message}, which was there when a new run began, got {answer} Its handler ran before `run`, and
        found no memory. Unpack `carried` in __init__, below @workflow.init."""


def _tens(number: float) -> int:
    return round(number / 10) * 10
