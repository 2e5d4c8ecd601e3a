"""The desk over 300 turns, over more than a run may have, held up by a message: minutes, so `make soak` runs them."""

import asyncio

import pytest
from temporalio.service import RPCError

from course import Lab
from course.desk import ConversationWorkflow
from course.desk.renewal import EVENTS
from course.lab import Conversation, LabError
from course.lessons.lesson_12 import BoundedWorkflow
from tests.lab_helpers import until
from tests.test_long_run import model_inputs

MESSAGES = ("Where is order 1042?", "How much light does a Monstera need?", "Do you have a Ficus?")


async def test_three_hundred_turns_are_flat() -> None:
    async with await Lab.start(ui=False) as lab:
        chat = await lab.converse(ConversationWorkflow, "ada")
        for number in range(1, 301):
            text = "My cat is called Miso." if number == 2 else MESSAGES[number % 3]
            await chat.send(text)
        assert "Miso" in await chat.send("What did I tell you about my cat?")
        histories = await chat.record.histories()
        assert len(histories) >= 4
        assert max(len(history.events) for history in histories) < 1.3 * EVENTS
        sizes = [size for size, _ in model_inputs(histories)]
        assert max(sizes[100:]) < 1.2 * max(sizes[30:60])
        told, record = await chat.transcript(), await chat.activities()
        assert told[told.role == "customer"].turn.tolist() == list(range(1, 302))
        assert record.turn.max() == 301
        summary = await chat.close()
        assert (summary.turns, summary.answered) == (301, 301)
        [report] = lab.table("reports").to_dict("records")
        assert report["turns"] == 301
        page = (lab.reports / summary.report).read_text()
        assert "301 messages, 301 answered. The last 100 are shown." in page


async def test_a_conversation_has_more_updates_than_a_run_may() -> None:
    """A run takes 2,000 updates, and 10 at a time."""
    async with await Lab.start(ui=False) as lab:
        chat = await lab.converse(ConversationWorkflow, "ada")

        async def sender(number: int) -> None:
            for turn in range(300):
                assert await chat.send(f"Thanks, {number}-{turn}!", timeout=120)

        await asyncio.gather(*(sender(number) for number in range(7)))
        summary = await chat.close(timeout=60)
        assert (summary.turns, summary.answered) == (2100, 2100)
        saved = lab.table("turns")
        assert sorted(saved.turn) == list(range(1, 2101))
        assert saved.message.nunique() == 2100
        assert sorted(lab.table("batches").batch_num) == list(range(1, 701))
        assert len(lab.inbox()) == 2100
        assert max(len(history.events) for history in await chat.record.histories()) < 1.5 * EVENTS


async def test_a_message_of_3_mb_holds_a_desk_up_for_less_than_a_minute() -> None:
    """Only a sender that checks nothing can send one. The desk's own client refuses it."""
    async with await Lab.start(workflows=[BoundedWorkflow], ui=False) as lab:
        chats = [await lab.converse(BoundedWorkflow, "ada") for _ in range(4)]

        async def hold_up(chat: Conversation) -> None:
            with pytest.raises(RPCError, match="Workflow Task in failed state"):
                await chat.handle.execute_update("send", "x" * 3_000_000)
            await until(lambda: answered(chat), "the desk answers again", seconds=60)

        await asyncio.gather(*map(hold_up, chats))


async def answered(chat: Conversation) -> bool:
    try:
        return bool(await chat.send("Hello!"))
    except LabError as error:
        if "payloads too large" not in str(error):
            raise
        return False
