"""Lesson 11: whatever is said, proposed, moved and killed, no illegal state is ever on record.

`make test` tries some tickets, the same every time; with SOAK=1 there are hundreds.
"""

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.client import WorkflowUpdateFailedError

from course import Lab, LabError
from course.desk.activities import look_up_order
from course.desk.answering import APOLOGY
from course.desk.services.database import storable
from course.history import path, path_table
from course.history.executions import activities_of
from course.lab import Conversation
from course.lab.drawing import draw_machine
from course.lessons.lesson_11.machine import Move, State
from course.lessons.lesson_11.one_agent import OneAgentWorkflow
from course.lessons.lesson_11.ticket import MOVES, STATES, TICKET, TicketWorkflow, agent_of
from course.models import Defiant, Fails, OfflineModel, ToolCall
from course.models.filling import choices
from course.models.offline import status_error
from tests.replay.record import RECORDED

SOAK = bool(os.environ.get("SOAK"))


def swept(examples: int, soak: int) -> settings:
    return settings(
        max_examples=soak if SOAK else examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )


# The judge: reads the recorded history, and knows the machine only as data

RUN_BY = {"look_up_order": "look_up_order", "check_stock": "check_stock", "issue_refund": "refund"}
"""The tool that an activity belongs to."""
LEGAL = {(move.from_state, move.to_state, move.by) for move in TICKET.moves}


def judge(history: Any) -> str:
    """Walks along the record of a ticket. Returns its state at the end; asserts that it was always a legal one."""
    activities = activities_of([history.events])
    ends = {one.closed_position: one for one in activities if one.name == "record_move" and one.closed}
    begins = {one.position: one for one in activities if one.name in RUN_BY}
    state = TICKET.start
    for position in range(1, len(history.events) + 1):
        if one := begins.get(position):
            assert RUN_BY[one.name] in TICKET.states[state].tools, f"{one.name} in {state}"
        if one := ends.get(position):
            assert one.arguments is not None
            move = one.arguments[1]
            assert move["from_state"] == state
            step = (state, move["to_state"], move["by"])
            assert (step in LEGAL) == (move["outcome"] == "moved"), step
            state = move["to_state"] if move["outcome"] == "moved" else state
    return state


def code_failed(event: Any) -> bool:
    """Whether the workflow's own code raised. (A server refuses to end a workflow when news has just come.)"""
    cause = event.workflow_task_failed_event_attributes.cause
    unhandled = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND
    return event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED and cause != unhandled


async def judged(lab: Lab, chat: Conversation) -> str:
    """The judge's verdict on a ticket, whose rows and whose own word must be those of its history."""
    history = await chat.history()
    assert not [event for event in history.events if code_failed(event)]
    state = judge(history)
    assert await chat.handle.query("state") == state
    recorded = [one.arguments for one in activities_of([history.events]) if one.name == "record_move"]
    rows = lab.table("moves")
    rows = rows[rows.ticket == chat.id].to_dict("records")
    kept = [{"task_id": key, **move} for key, move in filter(None, recorded)]
    assert rows == [{name: storable(value) for name, value in move.items()} for move in kept]
    assert [row["task_id"] for row in rows] == [f"{chat.id}/move-{n}" for n in range(1, len(rows) + 1)]
    return state


# One lab for all


@dataclass
class Desk:
    runner: asyncio.Runner
    lab: Lab

    def run(self, coroutine: Any) -> Any:
        return self.runner.run(coroutine)


async def start() -> Lab:
    return await Lab.start(ui=False, workflows=[TicketWorkflow, OneAgentWorkflow])


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with asyncio.Runner() as runner:
        lab = runner.run(start())
        yield Desk(runner, lab)
        runner.run(lab.stop())


def scripted(lab: Lab, *script: Any) -> None:
    assert isinstance(lab.model, OfflineModel)
    lab.model.script = list(script)


def says(move: Any) -> str:
    return json.dumps({"reply": "As you wish.", "move": move})


# What may happen to a ticket

odd = st.one_of(
    st.sampled_from(["", " ", "gone", "Closed", "closed ", "\x00", "\ud83d", "ß" * 300]), st.text()
)
targets = st.one_of(st.sampled_from(list(STATES)), st.sampled_from(list(STATES)), odd)
proposals = st.one_of(targets, st.none(), st.integers()).map(says)
tool_calls = st.builds(
    ToolCall,
    st.sampled_from(["refund", "issue_refund", "look_up_order", "check_stock", "record_move", "move"]),
    st.sampled_from(
        [
            {"order_id": "1044", "amount_cents": 1},
            {"order_id": "1042"},
            {"plant": "Fern"},
            {"to_state": "closed"},
            "{",
        ]
    ),
)
troubles = st.sampled_from(["no JSON", status_error(403, "Refused."), Fails(1, says("resolve")), Fails(2)])
steps = st.one_of(proposals, proposals, proposals, tool_calls, troubles)
messages = st.sampled_from(
    ["Where is order 1042?", "Please refund 1 EUR for order 1044.", "Hm.", "Thank you!"]
)
hours = st.sampled_from([1, 60, 73, 24 * 8, 24 * 13, 24 * 15])
moments = st.sampled_from(
    [
        f"{when} {what}"
        for when in ("before", "after")
        for what in (
            "record_move",
            "record_move #2",
            "invoke_model_activity",
            "issue_refund",
            "workflow task #2",
        )
    ]
)
happenings = st.one_of(
    st.tuples(st.just("message"), messages),
    st.tuples(st.just("message"), messages),
    st.tuples(st.just("staff"), targets),
    st.tuples(st.just("delay"), hours),
    st.tuples(st.just("at once"), targets),
)


async def happen(lab: Lab, chat: Conversation, what: str, how: Any) -> None:
    match what:
        case "message":
            await answered(chat, how)
        case "staff":
            await moved_by_staff(chat, how)
        case "delay":
            await chat.fast_forward(timedelta(hours=how))
        case "at once":  # two messages and a move
            first, second = (chat.begin(text) for text in ("Where is order 1042?", "Thank you!"))
            await asyncio.gather(moved_by_staff(chat, how), settled(chat, first), settled(chat, second))
        case "crash":
            process = await lab.worker_process(kill=how)
            try:
                await answered(chat, "Please refund 1 EUR for order 1044.")
            finally:
                process.kill()
                await process.died()


async def answered(chat: Conversation, text: str) -> None:
    await settled(chat, chat.begin(text, timeout=60))


async def settled(chat: Conversation, reply: Any) -> None:
    """Waits for a reply; the clock is moved when a model call is to be tried again."""
    await chat.activities()
    if not reply.done() and not (await chat.pending()).empty:
        await chat.fast_forward(timedelta(minutes=5))
    assert (await reply).strip()


async def moved_by_staff(chat: Conversation, to_state: str) -> None:
    if to_state != to_state.encode(errors="replace").decode():
        return  # such a text does not leave the sender
    try:
        came_to = await chat.handle.execute_update("move", to_state)
    except WorkflowUpdateFailedError as error:
        came_to = str(error.cause)
    assert came_to == to_state or "Legal would be: " in came_to


async def live(lab: Lab, script: list[Any], happened: list[tuple[str, Any]]) -> None:
    scripted(lab, *script)
    chat = await lab.converse(TicketWorkflow, "mallory")
    for what, how in happened:
        if not await chat.record.runs():
            break
        await happen(lab, chat, what, how)
    await chat.activities()  # quiet
    await judged(lab, chat)


@swept(9, 300)
@given(st.lists(steps, max_size=14), st.lists(happenings, min_size=2, max_size=6))
def test_no_illegal_state_is_ever_on_record(desk: Desk, script: list[Any], happened: list[Any]) -> None:
    desk.run(live(desk.lab, script, happened))


@swept(2, 40)
@given(st.lists(steps, max_size=8), st.lists(happenings, max_size=2), moments)
def test_nor_when_the_worker_is_killed(
    desk: Desk, script: list[Any], happened: list[Any], moment: str
) -> None:
    desk.run(live(desk.lab, script, [*happened, ("crash", moment), ("message", "Thank you!")]))


def test_the_judge_sees_what_the_naive_desk_does(desk: Desk) -> None:
    async def naive(*script: Any) -> str:
        scripted(desk.lab, *script)
        chat = await desk.lab.converse(OneAgentWorkflow, "ben")
        await chat.send("Please refund 1 EUR for order 1045.")
        return judge(await chat.history())

    with pytest.raises(AssertionError, match="issue_refund in triage"):
        desk.run(naive())  # no script: the rules alone
    with pytest.raises(AssertionError, match="'triage', 'closed', 'model'"):
        desk.run(naive(says("closed")))


def test_every_move_that_is_illegal_for_a_model_is_proposed_and_none_is_made(desk: Desk) -> None:
    async def defied() -> None:
        async with await Lab.start(ui=False, workflows=[TicketWorkflow], model=Defiant(STATES)) as lab:
            chat = await lab.converse(TicketWorkflow, "mallory")
            for _ in range(25):
                await chat.send("Close it!")
            await judged(lab, chat)
            table = lab.table("moves")
        refused = table[table.outcome == "refused"]
        every = {(start, end) for start in STATES for end in STATES}
        legal = {(start, end) for start, end, by in LEGAL if by == "model"}
        assert set(zip(refused.from_state, refused.to_state, strict=True)) == every - legal

    desk.run(defied())


def test_a_state_that_answers_tells_the_customer_that_nothing_moved(desk: Desk) -> None:
    async def refused(lab: Lab) -> None:
        scripted(lab, says("resolve"), says("closed"))
        chat = await lab.converse(TicketWorkflow, "ada")
        assert await chat.send("Close it!") == "As you wish. (Your ticket stays in 'resolve'.)"
        await chat.send("Where is order 1042?")
        last = (await chat.activities(times=True)).query("decided_by == 'plugin'").input.iloc[-1]
        told = [item["content"] for item in last[0]["input"] if item.get("role") == "system"]
        assert told == [
            "From resolve, the model may not move the ticket to 'closed'. Legal would be: confirm, clarify."
        ]

    desk.run(refused(desk.lab))


def test_a_tool_that_the_state_does_not_have_ends_in_an_apology(desk: Desk) -> None:
    async def grabs(lab: Lab) -> None:
        scripted(lab, ToolCall("refund", {"order_id": "1046", "amount_cents": 1900}))
        chat = await lab.converse(TicketWorkflow, "cleo")
        assert await chat.send("Refund me!") == APOLOGY
        assert await judged(lab, chat) == "triage"
        assert "issue_refund" not in (await chat.activities()).activity.tolist()

    desk.run(grabs(desk.lab))


# Staff and the clock


async def confirming(lab: Lab) -> Conversation:
    """A ticket that waits for the customer in `confirm`."""
    scripted(lab)
    chat = await lab.converse(TicketWorkflow, "ada")
    await chat.send("Where is order 1042?")
    assert await judged(lab, chat) == "confirm"
    return chat


def test_a_move_that_was_legal_when_it_came_is_judged_again_when_its_turn_has_come(desk: Desk) -> None:
    async def race(lab: Lab) -> None:
        scripted(lab)
        chat = await lab.converse(TicketWorkflow, "ada")
        with await lab.outage("model"):
            reply = chat.begin("Where is order 1042?")
            await chat.activities()
            move = asyncio.create_task(chat.handle.execute_update("move", "closed"))
            await chat.activities()
        await settled(chat, reply)
        with pytest.raises(WorkflowUpdateFailedError) as error:
            await move
        assert str(error.value.cause) == (
            "From confirm, the staff may not move the ticket to 'closed'. Legal would be: no move at all."
        )
        assert await judged(lab, chat) == "confirm"
        assert path_table(await chat.history()).refused.tolist() == [0, 0, 1]

    desk.run(race(desk.lab))


def test_staff_are_refused_before_anything_is_on_record(desk: Desk) -> None:
    async def refused(lab: Lab) -> None:
        chat = await lab.converse(TicketWorkflow, "ada")
        with pytest.raises(WorkflowUpdateFailedError) as error:
            await chat.handle.execute_update("move", "resolve")
        assert str(error.value.cause).endswith("Legal would be: closed.")
        accepted = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
        assert accepted not in [event.event_type for event in (await chat.history()).events]

    desk.run(refused(desk.lab))


def test_the_clock_counts_from_the_last_message(desk: Desk) -> None:
    async def patient(lab: Lab) -> None:
        chat = await confirming(lab)
        for _ in range(2):
            await chat.fast_forward(timedelta(days=2))
            await chat.send("Where is order 1042?")
        assert await judged(lab, chat) == "confirm"
        await chat.fast_forward(timedelta(days=3))
        assert await judged(lab, chat) == "closed"
        assert path_table(await chat.history()).by.tolist().count("clock") == 1

    desk.run(patient(desk.lab))


def test_the_clock_waits_for_a_message_that_is_under_way(desk: Desk) -> None:
    """The model is away when the three days are over, and refuses in the end: the customer is there all the same."""

    async def slow(lab: Lab) -> None:
        chat = await confirming(lab)
        await chat.fast_forward(timedelta(days=2))
        with await lab.outage("model"):
            reply = chat.begin("Thank you!")
            await chat.fast_forward(timedelta(days=2))
            scripted(lab, *["no JSON"] * 9)
        await chat.fast_forward(timedelta(hours=12))
        assert await reply == APOLOGY
        assert await judged(lab, chat) == "confirm"
        await chat.fast_forward(timedelta(days=3))
        assert await judged(lab, chat) == "closed"

    desk.run(slow(desk.lab))


def test_a_closed_ticket_opens_again_for_fourteen_days_and_then_ends(desk: Desk) -> None:
    async def late(lab: Lab) -> None:
        chat = await confirming(lab)
        await chat.send("Thank you!")
        await chat.fast_forward(timedelta(days=13))
        await chat.send("Where is order 1043?")
        assert path_table(await chat.history()).state.tolist()[-4:] == [
            "closed",
            "reopened",
            "resolve",
            "confirm",
        ]
        await chat.send("Thank you!")
        await chat.fast_forward(timedelta(days=14))
        with pytest.raises(LabError, match="has ended"):
            await chat.send("Hello?")
        assert await judged(lab, chat) == "closed"

    desk.run(late(desk.lab))


def test_a_state_without_a_clock_waits_for_somebody_and_for_nothing_else(desk: Desk) -> None:
    """The machine's look at itself does not see it: there is a way on, and nobody goes it."""

    async def waits(lab: Lab) -> None:
        scripted(lab, *["no JSON"] * 9)
        sorting = await lab.converse(TicketWorkflow, "ada")
        assert await sorting.send("Hm.") == APOLOGY
        reopened = await lab.converse(TicketWorkflow, "ben")
        for to_state in ("closed", "reopened"):
            await reopened.handle.execute_update("move", to_state)
        for chat, state in ((sorting, "triage"), (reopened, "reopened")):
            assert TICKET.move_of(state, "clock") is None
            await chat.fast_forward(timedelta(days=365))
            assert await chat.record.runs()
            assert await judged(lab, chat) == state

    desk.run(waits(desk.lab))


def test_close_ends_a_ticket_past_the_machine(desk: Desk) -> None:
    async def closed(lab: Lab) -> None:
        scripted(lab)
        chat = await lab.converse(TicketWorkflow, "ada")
        await chat.send("My plant arrived dead!")
        await chat.close()
        assert path_table(await chat.history()).state.tolist() == ["triage", "clarify"]
        assert await judged(lab, chat) == "clarify"

    desk.run(closed(desk.lab))


def test_a_second_part_of_a_refund_is_refused_and_the_first_is_paid_once(desk: Desk) -> None:
    async def parts(lab: Lab) -> None:
        scripted(lab)
        chat = await lab.converse(TicketWorkflow, "ada")
        await chat.send("Please refund 10 EUR for order 1043.")
        assert "already paid, with other details" in await chat.send("Please refund 12 EUR for order 1043.")
        assert lab.table("refunds").query("order_id == '1043'").amount_cents.tolist() == [1000]

    desk.run(parts(desk.lab))


# The machine checks itself


def changed(*moves: Move, **states: State) -> None:
    replace(TICKET, states=STATES | states, moves=(*MOVES, *moves))


@pytest.mark.parametrize(
    ("moves", "states", "words"),
    [
        ([Move("triage", "gone", "model")], {}, "there is no state 'gone'. There are: triage, "),
        ([Move("triage", "confirm", "boss")], {}, "moves are made by model, customer, staff, clock"),
        ([MOVES[0]], {}, "stands there twice"),
        ([Move("resolve", "closed", "clock")], {}, "`after` is for the clock, which needs it"),
        ([Move("resolve", "closed", "staff", after=timedelta(1))], {}, "`after` is for the clock"),
        ([Move("closed", "triage", "customer")], {}, "the customer cannot choose, and has two moves there"),
        ([Move("confirm", "triage", "clock", after=timedelta(1))], {}, "the clock cannot choose"),
        ([], {"lonely": State("")}, "No moves lead from 'triage' to 'lonely'"),
        ([Move("triage", "trap", "model")], {"trap": State("")}, "a ticket there could never end"),
        (
            [Move("triage", "mute", "model"), Move("mute", "closed", "staff")],
            {"mute": State("", answers=False)},
            "'mute' does not answer, so its model needs a move",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_machine_in_which_a_ticket_gets_lost_is_refused(moves: Any, states: Any, words: str) -> None:
    changed()
    with pytest.raises(ValueError, match=words) as error:
        changed(*moves, **states)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize(
    ("tools", "words"),
    [
        (
            "look_up_order",
            r"`tools` is a tuple, and one name in a tuple needs a comma: \('look_up_order',\)\.",
        ),
        (("lookup_order",), "'lookup_order' is no tool. There are: look_up_order, check_stock, refund."),
        ((look_up_order,), "a function is no tool. There are: look_up_order, "),
        (("look_up_order", "save_to_database"), "'save_to_database' is no tool"),
    ],
)
def test_tools_that_are_none_are_refused_when_the_machine_is_made(tools: Any, words: str) -> None:
    with pytest.raises(ValueError, match=f"^The state 'resolve': {words}"):
        changed(resolve=replace(STATES["resolve"], tools=tools))


@pytest.mark.parametrize(
    ("slip", "words"),
    [
        (
            {"moves": (*MOVES, Move("resolve", "closed", "clock", after=2))},
            "such as timedelta.days=2., and not 2",
        ),
        ({"moves": (*MOVES, Move("resolve", "closed", "clock", after="3 days"))}, "and not '3 days'"),
        ({"moves": (MOVES, Move("resolve", "closed", "staff"))}, r"`moves` holds a tuple.*\(\*MOVES, Move\("),
        ({"states": (*STATES, State("x"))}, r"`states` is a dict.*STATES \| \{\"name\": State\("),
        ({"states": STATES | {"escalated": "Wait."}}, "The state 'escalated' is a str, and no State"),
    ],
)
def test_a_slip_in_the_data_is_told_in_a_sentence(slip: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        replace(TICKET, **slip)
    assert len(str(error.value)) < 145, "a check shortens what is longer"


def test_a_machine_without_its_start_or_end_is_refused() -> None:
    with pytest.raises(ValueError, match="The machine's start or end: there is no state 'begin'"):
        replace(TICKET, start="begin")


def test_the_offline_model_reads_in_its_instructions_what_it_may_propose() -> None:
    for name in STATES:
        told = str(agent_of(TICKET, name).instructions)
        assert list(choices("move", told)) == TICKET.legal(name, "model")
        assert choices("reply", told) == {}


# The figures


def recorded(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text())["runs"]


def test_the_path_of_a_ticket_is_told_by_its_history() -> None:
    table = path_table(recorded("ticket"))
    assert table.state.tolist()[6:] == [
        "reopened",
        "clarify",
        "closed",
        "reopened",
        "resolve",
        "confirm",
        "closed",
    ]
    assert table.by.tolist()[6:] == ["customer", "model", "clock", "staff", "model", "model", "clock"]
    assert [int(spent.days) for spent in table.spent[6:]] == [0, 7, 1, 0, 0, 3, 14]
    figure = path(recorded("ticket"))
    assert "→ by the clock → closed (1 day) → by the staff → reopened" in figure.description
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts.count("14 days") == 1
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["model", "customer", "staff", "clock"]


def test_what_was_refused_and_what_goes_on_stands_in_the_path() -> None:
    table = path_table(recorded("ticket_refuses"))
    assert table.refused.tolist() == [5, 1]
    assert table.spent.isna().tolist() == [False, True]
    assert path(recorded("ticket_refuses")).description == (
        "Path of a ticket: triage (a moment, 5 refused) → by the model → resolve (is there, 1 refused)."
    )


def test_a_move_is_known_by_what_was_recorded_or_by_the_activity_that_did() -> None:
    history = recorded("ticket")
    table = path_table(history)
    assert path_table(history, "record_move").equals(table)
    assert path_table(history, "save_to_database").empty
    renamed = json.loads(json.dumps(history).replace('"record_move"', '"keep"'))
    assert path_table(renamed).equals(table)
    assert path_table(renamed, "record_move").empty


def test_a_history_without_moves_has_no_path() -> None:
    assert path_table(recorded("hello")).empty
    assert path(recorded("hello")).description == "Path of a ticket: no move on record."


def test_the_machine_is_drawn_from_its_data() -> None:
    states = STATES | {"asleep": State("", tools=("check_stock",))}
    moves = (Move("triage", "asleep", "staff"), Move("asleep", "closed", "clock", after=timedelta(days=1)))
    figure = draw_machine(replace(TICKET, states=states, moves=(*MOVES, *moves)))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert {"asleep", "check_stock", *STATES} <= set(texts)
    arrows = [text for text in figure.axes[0].texts if getattr(text, "arrow_patch", None)]
    assert len(arrows) == len(MOVES) + 2
    assert "asleep → closed by the clock" in figure.description
