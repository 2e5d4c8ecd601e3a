"""Lesson 11: whatever is said, proposed, moved and killed, no illegal state is ever on record.

`make test` tries some tickets, the same every time; with SOAK=1 there are hundreds.
"""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.client import WorkflowUpdateFailedError

from course import Lab, LabError
from course.desk.answering import APOLOGY
from course.desk.services.database import storable
from course.history import path_table
from course.history.executions import activities_of
from course.history.reading import runs_of
from course.lab import Conversation
from course.lessons.lesson_11.one_agent import OneAgentWorkflow
from course.lessons.lesson_11.ticket import STATES, TICKET, TicketWorkflow
from course.models import Defiant, Fails, ToolCall
from course.models.offline import status_error
from tests.generating import odd_text, swept
from tests.lab_helpers import accepted, attributes, settled, task_failures, until

# The judge: reads the recorded history, and knows the machine only as data

RUN_BY = {"look_up_order": "look_up_order", "check_stock": "check_stock", "issue_refund": "refund"}
"""The tool that an activity belongs to."""
LEGAL = {(move.from_state, move.to_state, move.by) for move in TICKET.moves}


def judge(history: Any) -> str:
    """Walks along the record of a ticket. Returns its state at the end; asserts that it was always a legal one."""
    activities = activities_of(runs_of(history))
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


async def judged(lab: Lab, chat: Conversation) -> str:
    """The judge's verdict on a ticket, whose rows and whose own word must be those of its history."""
    history = await chat.history()
    # A server refuses to end a workflow when news has just come: then its own code has not failed.
    assert set(task_failures(history)) <= {"UnhandledCommand"}
    state = judge(history)
    assert await chat.handle.query("state") == state
    recorded = [one.arguments for one in activities_of(runs_of(history)) if one.name == "record_move"]
    rows = lab.table("moves")
    rows = rows[rows.ticket == chat.id].to_dict("records")
    kept = [{"task_id": key, **move} for key, move in filter(None, recorded)]
    assert rows == [{name: storable(value) for name, value in move.items()} for move in kept]
    assert [row["task_id"] for row in rows] == [f"{chat.id}/move-{n}" for n in range(1, len(rows) + 1)]
    return state


LAB = {"workflows": [TicketWorkflow, OneAgentWorkflow]}


def says(move: Any) -> str:
    return json.dumps({"reply": "As you wish.", "move": move})


# What may happen to a ticket

odd = st.one_of(st.sampled_from(["gone", "Closed", "closed "]), odd_text)
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
KILLED_AT = ("record_move", "record_move #2", "invoke_model_activity", "issue_refund", "workflow task #2")
moments = st.sampled_from([f"{when} {what}" for when in ("before", "after") for what in KILLED_AT])
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


async def moved_by_staff(chat: Conversation, to_state: str) -> None:
    if to_state != to_state.encode(errors="replace").decode():
        return  # such a text does not leave the sender
    try:
        came_to = await chat.handle.execute_update("move", to_state)
    except WorkflowUpdateFailedError as error:
        came_to = str(error.cause)
    assert came_to == to_state or "Legal would be: " in came_to


async def live(lab: Lab, script: list[Any], happened: list[tuple[str, Any]]) -> None:
    lab.model.script = [*script]
    chat = await lab.converse(TicketWorkflow, "mallory")
    for what, how in happened:
        if not await chat.record.runs():
            break
        await happen(lab, chat, what, how)
    await chat.activities()  # quiet
    await judged(lab, chat)


@swept(9, 300)
@given(st.lists(steps, max_size=14), st.lists(happenings, min_size=2, max_size=6))
async def test_no_illegal_state_is_ever_on_record(lab: Lab, script: list[Any], happened: list[Any]) -> None:
    await live(lab, script, happened)


@swept(2, 40)
@given(st.lists(steps, max_size=8), st.lists(happenings, max_size=2), moments)
async def test_nor_when_the_worker_is_killed(
    lab: Lab, script: list[Any], happened: list[Any], moment: str
) -> None:
    await live(lab, script, [*happened, ("crash", moment), ("message", "Thank you!")])


async def test_the_judge_sees_what_the_naive_desk_does(lab: Lab) -> None:
    async def naive(*script: Any) -> str:
        lab.model.script = [*script]
        chat = await lab.converse(OneAgentWorkflow, "ben")
        await chat.send("Please refund 1 EUR for order 1045.")
        return judge(await chat.history())

    with pytest.raises(AssertionError, match="issue_refund in triage"):
        await naive()  # no script: the rules alone
    with pytest.raises(AssertionError, match="'triage', 'closed', 'model'"):
        await naive(says("closed"))


async def test_every_move_that_is_illegal_for_a_model_is_proposed_and_none_is_made() -> None:
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


async def test_a_state_that_answers_tells_the_customer_that_nothing_moved(lab: Lab) -> None:
    lab.model.script = [says("resolve"), says("closed")]
    chat = await lab.converse(TicketWorkflow, "ada")
    assert await chat.send("Close it!") == "As you wish. (Your ticket stays in 'resolve'.)"
    await chat.send("Where is order 1042?")
    last = (await chat.activities(times=True)).query("decided_by == 'plugin'").input.iloc[-1]
    told = [item["content"] for item in last[0]["input"] if item.get("role") == "system"]
    assert told == [
        "From resolve, the model may not move the ticket to 'closed'. Legal would be: confirm, clarify."
    ]


# Staff and the clock


async def confirming(lab: Lab) -> Conversation:
    """A ticket that waits for the customer in `confirm`."""
    lab.model.script = []
    chat = await lab.converse(TicketWorkflow, "ada")
    await chat.send("Where is order 1042?")
    assert await judged(lab, chat) == "confirm"
    return chat


async def test_a_move_that_was_legal_when_it_came_is_judged_again_when_its_turn_has_come(lab: Lab) -> None:
    lab.model.script = []
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


async def test_staff_are_refused_before_anything_is_on_record(lab: Lab) -> None:
    chat = await lab.converse(TicketWorkflow, "ada")
    with pytest.raises(WorkflowUpdateFailedError) as error:
        await chat.handle.execute_update("move", "resolve")
    assert str(error.value.cause).endswith("Legal would be: closed.")
    assert accepted(await chat.history()) == []


async def test_equal_moves_at_once_pass_the_validator_together_and_one_is_made(lab: Lab) -> None:
    chat = await lab.converse(TicketWorkflow, "spam")
    await moved_by_staff(chat, "closed")
    with await lab.outage("database"):  # the first waits for its record, in the state that all of them see

        async def all_are_accepted() -> bool:
            return len(attributes(await chat.history(), "workflow_execution_update_accepted")) == 6

        moves = [asyncio.create_task(moved_by_staff(chat, "reopened")) for _ in range(5)]
        await until(all_are_accepted, "five moves")
    await chat.fast_forward(timedelta(minutes=10))
    await asyncio.gather(*moves)
    path = path_table(await chat.history())
    assert path.state.tolist() == ["triage", "closed", "reopened"]
    assert path.refused.tolist() == [0, 0, 4]
    await judged(lab, chat)


async def test_the_clock_counts_from_the_last_message(lab: Lab) -> None:
    chat = await confirming(lab)
    for _ in range(2):
        await chat.fast_forward(timedelta(days=2))
        await chat.send("Where is order 1042?")
    assert await judged(lab, chat) == "confirm"
    await chat.fast_forward(timedelta(days=3))
    assert await judged(lab, chat) == "closed"
    assert path_table(await chat.history()).by.tolist().count("clock") == 1


async def test_the_clock_waits_for_a_message_that_is_under_way(lab: Lab) -> None:
    """The model is away when the three days are over, and refuses in the end: the customer is there all the same."""
    chat = await confirming(lab)
    await chat.fast_forward(timedelta(days=2))
    with await lab.outage("model"):
        reply = chat.begin("Thank you!")
        await chat.fast_forward(timedelta(days=2))
        lab.model.script = ["no JSON"] * 9
    await chat.fast_forward(timedelta(hours=12))
    assert await reply == APOLOGY
    assert await judged(lab, chat) == "confirm"
    await chat.fast_forward(timedelta(days=3))
    assert await judged(lab, chat) == "closed"


async def test_a_closed_ticket_opens_again_for_fourteen_days_and_then_ends(lab: Lab) -> None:
    chat = await confirming(lab)
    await chat.send("Thank you!")
    await chat.fast_forward(timedelta(days=13))
    await chat.send("Where is order 1043?")
    path = path_table(await chat.history()).state.tolist()
    assert path[-4:] == ["closed", "reopened", "resolve", "confirm"]
    await chat.send("Thank you!")
    await chat.fast_forward(timedelta(days=14))
    with pytest.raises(LabError, match="has ended"):
        await chat.send("Hello?")
    assert await judged(lab, chat) == "closed"


async def test_a_state_without_a_clock_waits_for_somebody_and_for_nothing_else(lab: Lab) -> None:
    """The machine's look at itself does not see it: there is a way on, and nobody goes it."""
    lab.model.script = ["no JSON"] * 9
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


async def test_close_ends_a_ticket_past_the_machine(lab: Lab) -> None:
    lab.model.script = []
    chat = await lab.converse(TicketWorkflow, "ada")
    await chat.send("My plant arrived dead!")
    await chat.close()
    assert path_table(await chat.history()).state.tolist() == ["triage", "clarify"]
    assert await judged(lab, chat) == "clarify"


async def test_a_second_part_of_a_refund_is_refused_and_the_first_is_paid_once(lab: Lab) -> None:
    lab.model.script = []
    chat = await lab.converse(TicketWorkflow, "ada")
    await chat.send("Please refund 10 EUR for order 1043.")
    assert "already paid, with other details" in await chat.send("Please refund 12 EUR for order 1043.")
    assert lab.table("refunds").query("order_id == '1043'").amount_cents.tolist() == [1000]
