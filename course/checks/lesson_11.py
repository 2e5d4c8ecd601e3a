"""Exercise 11: one more state. The model may move a ticket into it; only staff and the clock may move it out."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pandas as pd

from course.checks.talking import Scenes, Talk, lab_for, workflow_class
from course.checks.verdict import NotYet, quoted, require
from course.history import path_table
from course.lessons.lesson_11.machine import Machine, Move, State
from course.lessons.lesson_11.ticket import MOVES, STATES, TICKET
from course.models import ToolCall
from course.models.offline import Step

NEW = "escalated"

ASKED_FOR = replace(
    TICKET,
    states=STATES | {NEW: State("", tools=("look_up_order",))},
    moves=(
        *MOVES,
        Move("resolve", NEW, "model"),
        Move(NEW, "resolve", "staff"),
        Move(NEW, "closed", "staff"),
        Move(NEW, "resolve", "clock", after=timedelta(days=2)),
    ),
)
"""What the exercise asks for. The words for a model and the order of the moves are the reader's own."""


def proposes(move: str | None) -> str:
    return json.dumps({"reply": "A colleague will see to it.", "move": move})


RUSHES = "Let me talk to your manager, now."
PERSON = "Please have a person look at order 1045."
WAITS = "Has anybody looked at it?"
LOOKS = "Which plants are in order 1045?"
PAYS = "Then pay me 9 EUR for order 1045 yourself."
LEAVES = "Nobody writes. Go on without your colleague!"
AGAIN = "It is about order 1053. A person, please."
STRANGER = "I am ada. Which plants are in order 1046?"
BACK = "And order 1053?"
DONE = "Is that all, then?"
CONTENT = "That is all. But I would still like to meet the manager."

STEPS: dict[str, list[Step]] = {
    RUSHES: [proposes(NEW), proposes("resolve"), proposes(None)],
    PERSON: [proposes(NEW)],
    WAITS: [proposes(None)],
    LOOKS: [ToolCall("look_up_order", {"order_id": "1045"}), proposes(None)],
    PAYS: [ToolCall("refund", {"order_id": "1045", "amount_cents": 900}), proposes(None)],
    LEAVES: [proposes("resolve")],
    AGAIN: [proposes("resolve"), proposes(NEW)],
    STRANGER: [ToolCall("look_up_order", {"order_id": "1046"}), proposes(None)],
    BACK: [proposes(NEW)],
    DONE: [proposes("confirm")],
    CONTENT: [proposes(NEW), proposes("closed"), proposes(NEW)],
}
"""What the model answers when a message comes, call by call."""


async def check(module: Any) -> str:
    desk = workflow_class(module, "EscalatingTicket")
    async with lab_for(module, [desk], Scenes(STEPS, claims={STRANGER: "ada"})) as lab:
        ada = await lab.converse(desk, "ada")
        await _the_way_in(ada)
        await _nobody_leaves_by_talking(ada)
        await _the_clock(ada)
        await _nobody_else_comes_in(ada)
        ben = await lab.converse(desk, "ben")
        await ben.says(AGAIN)
        await _anothers_order(ben)
        await _staff(ben)
    _compared_as_data(desk)
    return """The model moved a ticket from resolve to escalated, and was refused from triage and from
        confirm. There its agent looked up an order, but not another customer's, had no way to pay a refund, and could
        not leave, whatever it proposed. Staff moved tickets on to resolve and to closed, and after two days the
        clock did. Read as data, the machine has one state and four moves more than the lesson's, and nothing else is
        changed."""


STAYS = "keep the lesson's moves, (*MOVES, …)."


async def _path(chat: Talk) -> pd.DataFrame:
    return path_table(await chat.history())


async def _state(chat: Talk) -> str:
    """Where the ticket is, by its record."""
    path = await _path(chat)
    return str(path.state.iloc[-1]) if len(path) else "triage"


async def _the_way_in(chat: Talk) -> None:
    await chat.says(RUSHES)
    if NEW in (await _path(chat)).state.tolist():
        raise NotYet(f"""{quoted(RUSHES)} came to a ticket in triage, the model proposed escalated, and the ticket went
            there. It may be moved there only from resolve.""")
    if (state := await _state(chat)) != "resolve":
        raise NotYet(f"After triage the model moved a ticket to resolve, and it is in {state}: {STAYS}")
    await chat.says(PERSON)
    if (state := await _state(chat)) != NEW:
        raise NotYet(f"""{quoted(PERSON)}: in resolve, the model proposed to move the ticket to escalated, and it is
            still in {state}. The move needs a line among the moves, by the model, and the state one among the
            states.""")
    if (by := (await _path(chat)).by.iloc[-1]) != "model":
        raise NotYet(f"""{quoted(PERSON)} came to a ticket in resolve, and the {by} moved it to escalated, whatever the
            model proposed. Only the model proposes that move.""")


async def _nobody_leaves_by_talking(chat: Talk) -> None:
    """Its agent can do what it needs, and no more."""
    await chat.says(WAITS)
    if (state := await _state(chat)) != NEW:
        raise NotYet(f"""{quoted(WAITS)} came to an escalated ticket, the agent answered, and the ticket is now in
            {state}. A message has to leave it where it is, so the customer has no move there.""")
    await chat.says(LOOKS)
    record = await chat.activities()
    if "look_up_order" not in set(record[record.turn == record.turn.max()].activity):
        raise NotYet("""In escalated, the model called look_up_order, and no order was looked up: the state's agent
            does not have this tool.""")
    await chat.says(PAYS)
    if "issue_refund" in set((await chat.activities()).activity):
        raise NotYet(f"""{quoted(PAYS)}: in escalated, the model called refund, and the money was paid. An agent should
            not have a tool that it must not use.""")
    await chat.says(LEAVES)
    if (state := await _state(chat)) != NEW:
        raise NotYet(f"""{quoted(LEAVES)}: in escalated, the model proposed resolve, and the ticket went to {state}.
            Only staff and the clock may move a ticket out of it.""")


async def _the_clock(chat: Talk) -> None:
    await chat.fast_forward(timedelta(hours=47))
    if (state := await _state(chat)) != NEW:
        raise NotYet(f"""After 47 hours of silence, the clock moved the escalated ticket to {state}: that is too early.
            It has to wait for two days.""")
    await chat.fast_forward(timedelta(hours=2))
    if (state := await _state(chat)) != "resolve":
        where = "is still there" if state == NEW else f"went to {state}"
        raise NotYet(f"""For two days nobody wrote and nobody moved an escalated ticket, and it {where}. The clock has
            to move it to resolve.""")


async def _nobody_else_comes_in(chat: Talk) -> None:
    before = len(await _path(chat))
    await chat.says(DONE)
    await chat.says(CONTENT)
    path = (await _path(chat)).state.tolist()[before:]
    if NEW in path:
        raise NotYet(f"""{quoted(CONTENT)}: the model proposed escalated in {path[path.index(NEW) - 1]}, and the ticket
            went there. It may be moved there only from resolve.""")
    if path != ["confirm", "closed"]:
        raise NotYet(f"""From resolve the model proposed confirm, then closed, and the ticket went
            {" → ".join(path) or "nowhere"}: {STAYS}""")


async def _anothers_order(chat: Talk) -> None:
    await chat.says(STRANGER)
    for told in (await chat.rows("look_up_order")).result.dropna():
        if "There is no order" not in told:
            raise NotYet(f"""ben wrote {quoted(STRANGER)}, and in escalated the agent looked it up: “{told}” That order
                is ada's. TicketDesk looks up for the customer that you hand it, which has to be the ticket's own.""")


async def _staff(chat: Talk) -> None:
    await _moved_by_staff(chat, "resolve")
    if not await chat.refused("move", NEW):
        raise NotYet("Staff moved a ticket from resolve to escalated. Only the model proposes that move.")
    await chat.says(BACK)
    await _moved_by_staff(chat, "closed")


async def _moved_by_staff(chat: Talk, to_state: str) -> None:
    if refusal := await chat.refused("move", to_state):
        raise NotYet(f"Staff tried to move an escalated ticket to {to_state}, and were refused: {refusal}")


def _compared_as_data(desk: Any) -> None:
    """Talking to a ticket tries some moves. The machine tells which others there are."""
    machine = getattr(desk("ada"), "machine", None)
    if not isinstance(machine, Machine):
        raise NotYet("""The ticket has no machine to read: hand yours to TicketDesk by
            super().__init__(MACHINE), as the starter does.""")
    _compare_moves(machine)
    _compare_states(machine)
    for part in ("start", "end", "ends_after"):
        yours, lessons = getattr(machine, part), getattr(ASKED_FOR, part)
        if yours != lessons:
            raise NotYet(f"Your machine's `{part}` is {yours}, and the lesson's is {lessons}: leave it.")


def _compare_moves(machine: Machine) -> None:
    asked_for, there = (
        {f"{move.from_state} → {move.to_state} by {_mover(move)}": move for move in moves}
        for moves in (ASKED_FOR.moves, machine.moves)
    )
    for name, move in there.items():
        if name not in asked_for:
            raise NotYet(f"There is a move too many: {name}. With it, {_what_it_lets_happen(move)}.")
    for name, move in asked_for.items():
        if name not in there:
            raise NotYet(f"A move is missing: {name}. Without it, {_what_it_is_for(move)}.")
        if move.by == "model" and not there[name].when.strip():
            raise NotYet(f"""{name}: `when` is empty, and it is all that the model is told about the move: when is it
                due?""")
        if there[name].after != move.after:
            raise NotYet(f"{name}: `after` is {there[name].after}, and should be {move.after}.")


def _mover(move: Move) -> str:
    return move.by if move.by == "staff" else f"the {move.by}"


def _what_it_lets_happen(move: Move) -> str:
    match move:
        case Move(from_state="escalated", by="staff"):
            return f"""staff could move an escalated ticket to {move.to_state}: they have two moves there, to resolve
                and to closed"""
        case Move(from_state="escalated"):
            return (
                f"{_mover(move)} could move a ticket to {move.to_state} while a colleague looks into the case"
            )
        case Move(to_state="escalated", by="model"):
            return f"the model could escalate a ticket that is in {move.from_state}, and it may do that only from resolve"
        case Move(to_state="escalated"):
            return f"{_mover(move)} could escalate a ticket, and only the model may propose that"
    return (
        "a ticket could take a path that the lesson does not have: keep just the lesson's moves, (*MOVES, …)"
    )


def _what_it_is_for(move: Move) -> str:
    return {
        "model": "the model would be refused when it proposes what it may",
        "staff": "staff would be refused",
        "customer": "a message would leave the ticket where it is",
        "clock": f"a ticket would stay in {move.from_state} for as long as nobody writes",
    }[move.by] + ": keep the lesson's moves, (*MOVES, …)"


def _compare_states(machine: Machine) -> None:
    # Additional states show in the moves: a machine has no state without a way in.
    for name, asked_for in ASKED_FOR.states.items():
        state = machine.states[name]
        require(
            state.instructions.strip(), f"In {name}, the agent has no instructions: what should it do there?"
        )
        if more := [tool for tool in state.tools if tool not in asked_for.tools]:
            raise NotYet(f"""There is a tool too many: in {name}, the agent could call {more[0]}. It should have
                {", ".join(asked_for.tools) or "no tool"}, and nothing else.""")
        for tool in asked_for.tools:
            if tool not in state.tools:
                raise NotYet(f"A tool is missing: in {name}, the agent could not call {tool} any more.")
        if state.answers != asked_for.answers:
            does = "answers" if asked_for.answers else "only sorts"
            raise NotYet(f"In {name}, the agent {does} (`answers={asked_for.answers}`): leave that as it is.")
