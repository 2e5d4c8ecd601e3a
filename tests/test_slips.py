"""What a tired person types: each slip gets a sentence, and the lab goes on."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from course import Lab, LabError, check, show_source
from course.desk import ConversationWorkflow


@pytest.fixture(scope="module")
async def lab() -> AsyncIterator[Lab]:
    async with await Lab.start(ui=False) as lab:
        yield lab


async def test_a_conversation_without_await(lab: Lab) -> None:
    chat = lab.converse(ConversationWorkflow, "ada")
    for slip in (lambda: chat.send("hello"), lambda: chat.transcript(), lambda: chat.id):
        with pytest.raises(
            LabError, match=r"lab.converse\(…\) was called without await, so nothing has happened"
        ):
            slip()
    assert repr(chat) == "<lab.converse(…) without await: nothing has happened yet>"
    assert "Welcome" in await (await chat).send("Hello!")


async def test_a_message_without_await_says_so(lab: Lab) -> None:
    chat = await lab.converse(ConversationWorkflow, "ada")
    message = chat.send("Hello!")
    assert repr(message) == "<chat.send(…) without await: nothing has happened yet>"
    assert "Welcome" in await message


async def test_a_clock_that_was_moved_without_await_says_so(lab: Lab) -> None:
    chat = await lab.converse(ConversationWorkflow, "ada")
    moved = chat.fast_forward(timedelta(hours=1))
    assert repr(moved) == "<chat.fast_forward(…) without await: nothing has happened yet>"
    assert (await moved).tzinfo


async def test_an_outage_without_await(lab: Lab) -> None:
    with (
        pytest.raises(LabError, match=r"lab.outage\(…\) was called without await, so nothing has happened"),
        lab.outage("mail"),
    ):
        pass
    outage, process = lab.outage("mail"), lab.worker_process()
    for slip in (lambda: outage.end(), lambda: process.died()):
        with pytest.raises(LabError, match=r"was called without await, so nothing has happened"):
            slip()
    outage.close(), process.close()


def test_a_check_without_await_says_so() -> None:
    verdict = check("08")
    assert repr(verdict) == '<check("08") without await: nothing has happened yet>'
    verdict.close()


async def test_calls_are_coroutines_as_everywhere(lab: Lab) -> None:
    chat = await lab.converse(ConversationWorkflow, "ada")
    replies = await asyncio.gather(chat.send("Hello!"), asyncio.create_task(chat.send("Thanks!")))
    assert len(replies) == 2
    async with asyncio.timeout(20):
        assert "1042" in await chat.send("Where is order 1042?")


@pytest.mark.parametrize("arguments", [[], ["only the id"], [3, None], ["id", "   "]])
async def test_a_signal_that_is_no_message_does_not_stop_the_conversation(
    lab: Lab, arguments: list[Any]
) -> None:
    chat = await lab.converse(ConversationWorkflow, "ada")
    await chat.handle.signal("post", args=arguments)
    assert "Welcome" in await chat.send("Hello!")
    assert len(lab.table("turns").query("conversation == @chat.id")) == 1


async def test_an_id_that_nobody_has(lab: Lab) -> None:
    with pytest.raises(LabError, match="This lab's server knows no workflow 'ada-999'"):
        await lab.conversation("ada-999").send("Hello!")
    chat = await lab.converse(ConversationWorkflow, "ada")
    with pytest.raises(LabError, match="found by its id, a text such as 'ada-1'"):
        lab.conversation(chat)


async def test_a_moment_that_does_not_exist(lab: Lab) -> None:
    for moment in (
        "after save",
        "before_reply",
        "after reply",
        "before ",
        "tomorrow",
        "",
        "before reply #0",
        "before reply #x",
        3,
    ):
        with pytest.raises(LabError, match="There is no moment .* to kill a worker at: say 'before reply'"):
            await lab.worker_process(kill=moment)
    chat = await lab.converse(ConversationWorkflow, "ada")
    assert "Welcome" in await chat.send("Hello!")


def test_source_of_something_without_source() -> None:
    with pytest.raises(LabError, match="shows a class, a function or a module, and not 'X'"):
        show_source("X")


async def test_a_lab_says_where_it_is(lab: Lab) -> None:
    assert repr(lab) == f"<Lab at {lab.address}>"
