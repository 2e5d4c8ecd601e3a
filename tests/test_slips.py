"""What a tired person types: each slip gets a sentence, and the lab goes on. An outage's slips: `test_outages.py`."""

import asyncio
import inspect
import pickle
import subprocess
import sys
import textwrap
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from temporalio.client import WorkflowQueryFailedError
from temporalio.service import RPCError

from course import Lab, LabError, check, show_source
from course.desk import ConversationWorkflow, policies


async def test_a_conversation_without_await(lab: Lab) -> None:
    chat = lab.converse(ConversationWorkflow, "ada")
    for slip in (lambda: chat.send("hello"), lambda: chat.transcript(), lambda: chat.id):
        with pytest.raises(
            LabError, match=r"lab.converse\(…\) was called without await, so nothing has happened"
        ):
            slip()
    assert repr(chat) == "<lab.converse(…) without await: nothing has happened yet>"
    assert "Welcome" in await (await chat).send("Hello!")


async def test_a_message_or_a_move_without_await_says_so(lab: Lab) -> None:
    chat = await lab.converse(ConversationWorkflow, "ada")
    message, moved = chat.send("Hello!"), chat.fast_forward(timedelta(hours=1))
    assert repr(message) == "<chat.send(…) without await: nothing has happened yet>"
    assert repr(moved) == "<chat.fast_forward(…) without await: nothing has happened yet>"
    assert "Welcome" in await message
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


async def test_a_block_without_await(lab: Lab) -> None:
    for slip, says in (
        (lab.outage("mail"), r"lab.outage\(…\) was called without await, .*: with await lab.outage\(…\):"),
        (
            Lab.start(),
            r"Lab.start\(…\) was called without await, .*: async with await Lab.start\(…\) as lab:",
        ),
    ):
        with pytest.raises(LabError, match=says):
            async with slip:
                pass
    assert lab.outages() == []


def test_a_lab_that_was_made_and_not_started() -> None:
    with pytest.raises(LabError, match=r"A lab is started, and not made: lab = await Lab.start\(\)"):
        Lab()


async def test_outages_that_nobody_has_a_name_for(lab: Lab) -> None:
    await lab.outage("mail"), await lab.outage("database", hours=6)
    with pytest.raises(
        LabError, match=r"The mail is out already: end that outage first.*`lab.outages\(\)` has all of them"
    ):
        await lab.outage("mail")
    assert repr(lab.outages()) == "[<Outage of the mail>, <Outage of the database>]"
    for outage in lab.outages():
        outage.end()
    assert lab.outages() == []


async def test_mistakes_of_a_live_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    async with await Lab.start(model="gpt-test", workflows=[ConversationWorkflow], ui=False) as lab:
        assert lab.model == "gpt-test"
        assert not hasattr(lab.model, "nonsense")
        assert pickle.loads(pickle.dumps(lab.model)) == "gpt-test"  # a worker process is handed it
        sentence = r"`lab.model.mistakes` is the offline model's: this lab asks the live model 'gpt-test'"
        with pytest.raises(LabError, match=sentence):
            print(lab.model.mistakes)
        with pytest.raises(LabError, match=sentence):
            lab.model.mistakes = None


SCRIPT = """
    import asyncio
    from course import Lab, LabError
    from course.desk import ConversationWorkflow

    async def main():
        lab = await Lab.start(workflows=[ConversationWorkflow], ui=False)
        chat = await lab.converse(ConversationWorkflow, "ada")
        print(chat.id, len(lab.table("refunds")), flush=True)  # a table of the lessons
        try:
            await lab.worker_process()
        except LabError as error:
            print(error)
        replies = [chat.begin(f"Where is order {number}?") for number in range(1042, 1047)]
        while (await chat.pending()).empty:
            await asyncio.sleep(0)
        await lab.stop()

    asyncio.run(main())
"""


def test_a_script_without_a_guard_runs_once_and_a_stop_in_a_turn_is_quiet(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "ada-1 0",
        "The worker process did not start: it ended with exit code 1. A process that a script starts reads the script "
        "again: put what yours does under `if __name__ == '__main__':`.",
    ]


async def test_a_question_without_await_says_so(lab: Lab) -> None:
    chat = await lab.converse(ConversationWorkflow, "ada")
    for name in (
        "activities",
        "events",
        "transcript",
        "pending",
        "timeline",
        "growth",
        "path",
        "history",
        "close",
    ):
        asked = getattr(chat, name)()
        assert f"<chat.{name}(" in repr(asked)
        with pytest.raises(LabError, match=rf"chat\.{name}\(.*was called without await"):
            asked["turn"]
        asked.close()


async def test_a_wait_that_was_interrupted_can_be_taken_up_again(lab: Lab) -> None:
    chat = await lab.converse(ConversationWorkflow, "ada")
    with await lab.outage("model"):
        reply = chat.begin("Where is order 1042?")

        async def cell() -> str:
            return await reply

        waits = asyncio.create_task(cell())
        await asyncio.wait([waits], timeout=0.1)
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
    await chat.fast_forward(timedelta(minutes=1))
    assert "Monstera" in await reply


async def test_what_comes_out_of_a_handle_is_shown_as_a_sentence(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    chat = await lab.converse(ConversationWorkflow, "ada")
    shell = InteractiveShell.instance()
    await chat.close()
    for slip, says in (
        (
            chat.handle.query("stat"),
            "WorkflowQueryFailedError: Query handler for 'stat' expected but not found",
        ),
        (
            chat.handle.signal("post", args=["1", "2"]),
            "RPCError: the workflow has ended, and takes no more messages.",
        ),
    ):
        try:
            await slip
        except (RPCError, WorkflowQueryFailedError):
            shell.showtraceback()
        [line] = capsys.readouterr().out.strip().splitlines()
        assert line.startswith(says)


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
    mistyped = ("after save", "before_reply", "after reply", "before ", "before reply #0", "before reply #x")
    for moment in (*mistyped, "tomorrow", "", 3):
        with pytest.raises(LabError, match="There is no moment .* to kill a worker at: say 'before reply'"):
            await lab.worker_process(kill=moment)
    chat = await lab.converse(ConversationWorkflow, "ada")
    assert "Welcome" in await chat.send("Hello!")


def test_source_of_something_without_source() -> None:
    with pytest.raises(LabError, match="shows a class, a function or a module, and not 'X'"):
        show_source("X")


def test_source_is_cut_to_the_lines_that_a_lesson_discusses() -> None:
    whole = inspect.getsource(ConversationWorkflow.state)
    cut = show_source(ConversationWorkflow.state, first="turns", last="answered").data
    assert cut == '…\n"turns": self._count(),\n"answered": self._answered(),\n…'
    closed = show_source(policies, first="BACKGROUND = ", last="minutes=30").data
    assert closed.endswith("minutes=30)),\n)\n…")
    assert len(show_source(ConversationWorkflow.state).data.splitlines()) == len(whole.strip().splitlines())
    with pytest.raises(LabError, match="show_source finds no line with 'turnips' there"):
        show_source(ConversationWorkflow.state, first="turnips")


async def test_a_lab_says_where_it_is(lab: Lab) -> None:
    assert repr(lab) == f"<Lab at {lab.address}>"
