"""Duties behind the reply: a bug in one is found out, two messages without an id are two, every row has its time."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import WorkflowExecutionStatus

from course import Lab, LabError
from course.desk import ConversationWorkflow
from course.desk.memory import Memory
from tests.desks import MendedDesk, SlipDesk
from tests.lab_helpers import count, rows, task_failures

LAB = {"workflows": [SlipDesk, ConversationWorkflow]}


async def test_a_bug_in_a_duty_stops_the_conversation_and_mended_code_does_the_duty(lab: Lab) -> None:
    chat = await lab.converse(SlipDesk, "ada")
    await chat.send("Hello!")
    waiting = chat.begin("Where is order 1042?")
    with pytest.raises(LabError, match="the workflow's own code raises. The message is kept"):
        await chat.send("Thanks!", timeout=5)
    assert set(task_failures(await chat.history())) == {"A duty has a bug: KeyError('misspelt')"}
    assert (await chat.handle.describe()).status == WorkflowExecutionStatus.RUNNING
    assert not waiting.done()
    assert count(await chat.history())["send_notification"] == 1

    await lab.deploy(MendedDesk)
    assert "1042" in await waiting
    assert (await chat.close()).turns == 3
    record = await chat.activities()
    assert record[record.activity == "send_notification"].turn.tolist() == [1, 2, 3]
    assert set(record.status) == {"completed"}


async def test_two_posts_without_an_id_are_two_messages(lab: Lab) -> None:
    chat = await lab.converse(ConversationWorkflow, "ben")
    for order in (1042, 1043):
        await chat.handle.signal("post", args=["", f"Where is order {order}?"])
    assert (await chat.close()).turns == 2
    assert [row["message"][-5:-1] for row in rows(lab, chat)] == ["1042", "1043"]


async def test_every_turn_is_recorded_with_its_time_and_may_be_forgotten(lab: Lab) -> None:
    chat = await lab.converse(ConversationWorkflow, "cleo")
    for message in ("Hello!", "Thanks!"):
        await chat.send(message)
        await chat.fast_forward(timedelta(days=2))
    first, second = (datetime.fromisoformat(row["details"]["at"]) for row in rows(lab, chat))
    assert timedelta(days=2) <= second - first < timedelta(days=2, hours=1)
    assert abs(first - datetime.now(UTC)) < timedelta(hours=1)
    assert lab.world.services.database.forget_words((first + timedelta(days=1)).date()) >= 1
    words = [row["message"] for row in rows(lab, chat)]
    assert (isinstance(words[0], str), words[1]) == (False, "Thanks!")


async def test_notes_are_taken_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when so much is said meanwhile that the turns which become notes are no longer kept."""
    asked: list[str] = []
    answers = asyncio.Queue[str]()

    async def slow(_agent: object, _memory: object, text: str) -> object:
        asked.append(text)
        return type("Answer", (), {"outcome": "answered", "text": await answers.get()})

    monkeypatch.setattr("course.desk.memory.ask", slow)
    memory = Memory(kept=2)

    def say(first: int, last: int) -> None:
        for n in range(first, last):
            memory.remember([{"role": "user", "content": f"message {n}"}])

    say(1, 5)
    fold = asyncio.create_task(memory.fold())
    await asyncio.sleep(0)
    say(5, 14)
    assert not memory.is_full()
    await memory.fold()  # nothing: the first is at it
    answers.put_nowait("notes of 1 and 2")
    await fold
    assert memory.summary == "notes of 1 and 2"
    assert len(asked) == 1
    assert memory.is_full()
