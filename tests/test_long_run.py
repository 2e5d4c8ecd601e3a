"""A long conversation: it goes on in new runs, nothing is lost on the way, and what it remembers is bounded.

The desk has short runs here (`ShortRunsDesk`), so that few turns see many of them. `soak_long_run.py` has the desk itself.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowHistory

from course import Lab, LabError
from course.desk import renewal
from course.desk.conversation import Turn
from course.desk.memory import KEPT, MAX_SUMMARY, MOST, NOTES, Memory, note_taker
from course.desk.messages import MAX_MESSAGE
from course.desk.renewal import MOST_CARRIED, newest
from course.desk.services.report import write_report
from course.lab import Conversation, everything
from course.lab.chat import Reply
from course.models import OfflineModel
from course.models.offline import status_error
from tests.desks import GapDesk, LingeringNoticeDesk, ShortRunsDesk
from tests.gap import GAP
from tests.lab_helpers import count, mails, renewed, requests, rows, task_failures, until, until_failed

TAKE_YOUR_TIME, TOO_MUCH = "Take your time.", "Too much."


class MoodyModel(OfflineModel):
    """Is refused by its provider, for good, when it is to take notes, while `refuses`. Takes its time over
    one message, until `ready`, and is told to come back later with another, while `overloaded`."""

    refuses = False
    overloaded = False
    ready = True

    async def get_response(self, system_instructions: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
        if self.refuses and system_instructions == note_taker.instructions:
            raise status_error(403, "no notes")
        message = input[-1].get("content")
        if message == TAKE_YOUR_TIME:
            while not self.ready:
                await asyncio.sleep(0.01)
        if self.overloaded and message == TOO_MUCH:
            raise status_error(503, "overloaded")
        return await super().get_response(system_instructions, input, *args, **kwargs)


@pytest.fixture(scope="module")
async def lab() -> AsyncIterator[Lab]:
    desks = [*everything.workflows(), ShortRunsDesk, LingeringNoticeDesk, GapDesk]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(renewal, "TURNS_UNTIL_HOLD", 1)
        async with await Lab.start(workflows=desks, model=MoodyModel(), ui=False) as lab:
            yield lab


def model_inputs(histories: list[WorkflowHistory]) -> list[tuple[int, dict[str, Any]]]:
    """Of each call of the desk's agent: its size in bytes, and what it was given."""
    calls = [one for history in histories for one in requests(history)]
    found = [one.input.payloads[0].data for one in calls if one.activity_type.name == "invoke_model_activity"]
    return [(len(data), given) for data in found if (given := json.loads(data))["tools"]]


def carried(history: WorkflowHistory) -> int:
    """Bytes that a run was handed."""
    started = history.events[0].workflow_execution_started_event_attributes
    return sum(len(payload.data) for payload in started.input.payloads)


# Nothing is lost


async def test_senders_that_never_pause_see_five_new_runs_and_nothing_else(lab: Lab) -> None:
    """Straight at the server, as any sender would: no message is refused, none is sent a second time."""
    chat = await lab.converse(ShortRunsDesk, "busy")
    answers: dict[int, str] = {}

    async def sender(number: int) -> None:
        for order in range(1000 * number, 1000 * number + 9):
            text = f"Where is order {order}?"
            answers[order] = await chat.handle.execute_update("send", text, id=str(uuid.uuid4()))

    await asyncio.gather(*(sender(number) for number in (1, 2, 3)))
    asked = [order for number in (1, 2, 3) for order in range(1000 * number, 1000 * number + 9)]
    assert {order: str(order) in text for order, text in answers.items()} == dict.fromkeys(asked, True)

    told, record = await chat.transcript(), await chat.activities()
    summary = await chat.close()
    histories = await chat.record.histories()
    assert len(histories) >= 6
    assert max(len(history.events) for history in histories) < 60 + 10 * 40

    saved = sorted(rows(lab, chat), key=lambda row: row["turn"])
    numbers = list(range(1, 28))
    assert [row["turn"] for row in saved] == numbers
    assert sorted(int(row["message"][-5:-1]) for row in saved) == asked
    assert len(mails(lab, "busy")) == 27
    learned = sorted(rows(lab, chat, "batches"), key=lambda row: row["batch_num"])
    orders = [row["message"][-5:-1] for row in saved]
    assert [row["batch_num"] for row in learned] == list(range(1, 10))
    assert [row["orders"] for row in learned] == [
        ", ".join(sorted(orders[3 * k : 3 * k + 3])) for k in range(9)
    ]
    assert (summary.turns, summary.answered) == (27, 27)
    [report] = rows(lab, chat, "reports")
    assert (report["turns"], report["answered"]) == (27, 27)

    # The record and the transcript span the runs.
    for role in ("customer", "agent"):
        assert told[told.role == role].turn.tolist() == numbers
    assert told[told.role == "customer"].text.tolist() == [row["message"] for row in saved]
    assert told[told.text == "saved"].turn.tolist() == numbers
    assert record.turn.dropna().unique().tolist() == numbers
    assert (record.activity == "save_to_database").sum() == 27
    assert set(record.status) == {"completed"}


async def test_the_same_message_in_the_next_run_is_the_same_turn(lab: Lab) -> None:
    chat = await lab.converse(ShortRunsDesk, "again")
    first = await chat.handle.execute_update("send", "Where is order 1042?", id="message-1")
    await chat.handle.signal("post", args=["mail-2", "Where is order 1043?"])
    await chat.handle.execute_update("send", "Hello!", id="message-3")
    await renewed(chat, 2)
    calls = lab.model.calls
    assert await chat.handle.execute_update("send", "Where is order 1042?", id="message-1") == first
    assert lab.model.calls == calls
    await chat.send("Thanks!")
    record = await chat.activities(times=True)
    assert record[record.run > 1].turn.unique().tolist() == [4]
    calls = lab.model.calls
    await chat.handle.signal("post", args=["mail-2", "Where is order 1043?"])
    await chat.handle.signal("post", args=["message-3", "by the other way"])
    assert "1043" in await chat.handle.execute_update("send", "Where is order 1043?", id="mail-2")
    assert lab.model.calls == calls
    assert (await chat.close()).turns == 4
    assert [row["turn"] for row in rows(lab, chat)] == [1, 2, 3, 4]


async def in_the_gap(chat: Conversation) -> None:
    """Returns when the conversation has decided for a new run, which has not begun yet."""
    GAP.open()
    for order in (1042, 1043):
        await chat.handle.execute_update("send", f"Where is order {order}?", id=f"message-{order}")
    await asyncio.to_thread(GAP.reached.wait, 10)


async def test_what_arrives_in_the_gap_is_answered_once(lab: Lab) -> None:
    chat = await lab.converse(GapDesk, "gap")
    await in_the_gap(chat)
    replies = [chat.begin(f"Where is order {order}?") for order in (1044, 1045)]
    again = asyncio.create_task(chat.handle.execute_update("send", "Where is order 1042?", id="message-1042"))
    await asyncio.sleep(0.1)  # they are on their way
    GAP.close()
    assert ["1044" in await replies[0], "1045" in await replies[1], "1042" in await again] == [True] * 3
    assert (await chat.close()).turns == 4
    assert [row["turn"] for row in rows(lab, chat)] == [1, 2, 3, 4]
    assert len(await chat.record.histories()) >= 2


async def test_a_post_in_the_gap_is_answered_before_the_new_run(lab: Lab) -> None:
    """The server gives the old run its signal: the task that would have ended it is taken back."""
    chat = await lab.converse(GapDesk, "post")
    await in_the_gap(chat)
    await chat.handle.signal("post", args=["mail-1", "Where is order 1044?"])
    GAP.close()
    await renewed(chat, 2)
    assert (await chat.close()).turns == 3
    first = (await chat.record.histories())[0]
    assert task_failures(first) == ["UnhandledCommand"]
    assert count(first)["save_to_database"] == 3
    assert len(rows(lab, chat)) == 3


async def test_a_close_in_the_gap_ends_the_conversation(lab: Lab) -> None:
    chat = await lab.converse(GapDesk, "closed")
    await in_the_gap(chat)
    await chat.handle.signal("close")
    GAP.close()
    summary = await chat.handle.result()
    assert (summary.turns, summary.answered) == (2, 2)
    assert (await chat.handle.describe()).status == WorkflowExecutionStatus.COMPLETED
    assert len(await chat.record.histories()) == 1
    assert (await chat.close()).turns == 2  # closing twice gives the same result
    with pytest.raises(LabError, match="has ended"):
        await chat.send("Hello!")


async def test_an_outage_behind_the_reply_puts_the_new_run_off_and_no_reply(lab: Lab) -> None:
    chat = await lab.converse(ShortRunsDesk, "outage")
    began = await chat.record.now()
    with await lab.outage("mail", hours=6):
        for _ in range(8):
            await chat.send("Where is order 1042?")
        assert len(await chat.pending()) == 8
        [only] = await chat.record.histories()
        assert not any(event.HasField("timer_started_event_attributes") for event in only.events)
        await chat.fast_forward(timedelta(hours=7))
    await chat.send("Thanks!")
    assert len(await renewed(chat, 2)) == 2
    assert await chat.record.now() - began > timedelta(hours=7)  # the new run's clock goes on from there
    summary = await chat.close()
    assert summary.turns == 9
    assert len(mails(lab, "outage")) == 9


async def test_duties_that_come_and_go_do_not_put_the_new_run_off(lab: Lab) -> None:
    """Senders that never pause, and a duty that is always at work: no moment is idle by itself."""
    chat = await lab.converse(LingeringNoticeDesk, "lingering")
    for number in range(12):
        assert await chat.send(f"Thanks for number {number}!")
    histories = await chat.record.histories()
    assert len(histories) >= 3
    assert not any(
        event.HasField("timer_fired_event_attributes") for one in histories for event in one.events
    )
    assert (await chat.close()).turns == 12
    assert sum(text.startswith("lingering wrote") for text in lab.inbox()["text"]) == 12


async def test_a_held_reply_goes_out_after_a_minute_when_another_message_has_no_answer(lab: Lab) -> None:
    """The model answers one of two, and has none for the other: the first sender is not left waiting for it."""
    chat = await lab.converse(ShortRunsDesk, "held")
    lab.model.ready, lab.model.overloaded = False, True

    async def accepted(text: str, turns: int) -> Reply:
        async def there() -> bool:
            return (await chat.handle.query("state"))["turns"] == turns

        reply = chat.begin(text)
        await until(there, f"{turns} turns")
        return reply

    orders = [await accepted(f"Where is order {1041 + n}?", n) for n in (1, 2)]
    slow = await accepted(TAKE_YOUR_TIME, 3)
    await asyncio.gather(*orders)  # the run is long enough by now, and goes on: the third is under way
    refused = await accepted(TOO_MUCH, 4)

    async def told() -> bool:
        return (await chat.handle.query("state"))["duties_running"] == 0

    await until(told, "the notices of the first two, for no reply is held back for a duty that goes on")
    lab.model.ready = True
    await until_failed(chat, "invoke_model_activity")
    await until(lambda: len(rows(lab, chat)) == 3, "the record of the one before")
    assert not slow.done()
    began = await chat.record.now()
    await chat.fast_forward(renewal.HOLD)
    assert await slow
    assert await chat.record.now() - began < 2 * renewal.HOLD
    assert not refused.done()
    lab.model.overloaded = False
    await chat.fast_forward(timedelta(minutes=30))
    assert await refused
    assert len(await renewed(chat, 2)) == 2
    assert (await chat.close()).turns == 4


# What it remembers


async def test_a_fact_of_turn_two_is_known_in_turn_sixty_and_the_model_input_stays_small(lab: Lab) -> None:
    chat = await lab.converse(ShortRunsDesk, "facts")
    await chat.send("Hello!")
    await chat.send("My cat is called Miso, and I am allergic to lilies.")
    for number in range(3, 60):
        await chat.send(f"Thanks for number {number}!")
    assert "Miso" in await chat.send("What did I tell you about my cat?")
    assert "lilies" in await chat.send("What did I tell you about my allergy?")
    assert "nothing that you told me" in await chat.send("What did I tell you about my balcony?")
    histories = await chat.record.histories()
    assert len(histories) > 5
    sizes = [size for size, _ in model_inputs(histories)]
    assert max(sizes[20:]) < 1.2 * sizes[19]
    last = model_inputs(histories)[-1][1]["input"]
    assert last[0]["content"].startswith(NOTES)
    assert len(last[0]["content"]) <= MAX_SUMMARY + len(NOTES) + 1
    assert KEPT <= sum(item.get("role") == "user" for item in last) - 1 <= 2 * KEPT + 1
    assert max(carried(history) for history in histories) < 64 * 1024


async def test_a_conversation_of_the_longest_messages_stays_below_every_limit(lab: Lab) -> None:
    """Twelve messages of 60 kB. All of them would be 0.7 MB in every model call; 2 MiB freeze a workflow."""
    chat = await lab.converse(ShortRunsDesk, "long")
    for number in range(12):
        await chat.send(f"{number} " + "水" * (MAX_MESSAGE - 10))
    histories = await chat.record.histories()
    assert len(histories) >= 3  # none has more than four turns
    assert max(size for size, _ in model_inputs(histories)) < 320 * 1024
    assert max(carried(history) for history in histories) < 1024 * 1024
    assert (await chat.close()).turns == 12
    assert len(rows(lab, chat)) == 12


async def test_a_model_that_takes_no_notes_costs_memory_and_nothing_else(lab: Lab) -> None:
    chat = await lab.converse(ShortRunsDesk, "refused")
    lab.model.refuses = True
    try:
        for number in range(6):  # by their size: notes are due with the third and the fifth
            assert await chat.send(f"{number} " + "水" * (MAX_MESSAGE - 10))
            await chat.activities()
    finally:
        lab.model.refuses = False
    record = await chat.activities()
    assert (record.status == "failed").sum() >= 2
    assert set(record[record.status == "failed"].activity) == {"invoke_model_activity"}
    histories = await chat.record.histories()
    given = model_inputs(histories)[-1][1]["input"]
    assert sum(item.get("role") == "user" for item in given) <= 3
    assert not given[0]["content"].startswith(NOTES)
    assert (await chat.close()).answered == 6


def said(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}, {"role": "assistant", "content": "Yes."}]


def test_memory_is_bounded_also_while_nobody_takes_notes() -> None:
    memory = Memory()
    for number in range(200):
        memory.remember(said(str(number)))
    assert len(memory.recent) == 3 * KEPT
    assert memory.items()[-2]["content"] == "199"
    for _ in range(50):
        memory.remember(said("水" * 30_000))
        assert len(json.dumps(memory.items(), ensure_ascii=False).encode()) <= MOST
    memory.remember([])  # an apology: nothing to remember
    assert len(memory.recent) == len(Memory("notes", memory.recent[:2], memory.recent[2:]).recent)


def test_turns_are_carried_so_far_as_they_fit() -> None:
    short = [Turn(n, "Hello!", "Hello.") for n in range(1, 301)]
    assert [turn.number for turn in newest(short, 3, 100)] == list(range(201, 301))
    assert newest([], 3, 100) == []
    long = [Turn(n, "水" * 20_000, "Hello.") for n in range(1, 31)]
    assert [turn.number for turn in newest(long, 3, 100)] == list(range(27, 31))
    assert MOST_CARRIED > 4 * 60_000
    assert len(newest([Turn(n, "水" * 20_000, "水" * 90_000) for n in range(9)], 3, 100)) == 3


def test_a_report_of_a_long_conversation_says_what_it_shows(tmp_path: Path) -> None:
    turns = [{"turn": n, "message": "Hello!", "answer": "Hello.", "outcome": "answered"} for n in (299, 300)]
    totals = {"turns": 300, "answered": 298}
    page = write_report(tmp_path, "k", {"customer": "ada", "turns": turns, "totals": totals}).read_text()
    assert "300 messages, 298 answered. The last 2 are shown." in page
    page = write_report(tmp_path, "k", {"customer": "ada", "turns": turns}).read_text()
    assert "2 messages, 2 answered.</p>" in page
