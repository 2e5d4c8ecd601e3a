"""Lesson 12: what its notebook does not show, or not in all cases."""

import ast
import asyncio
import copy
import json
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from agents import TResponseInputItem
from temporalio import workflow
from temporalio.client import WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from course import Lab
from course.history import growth, growth_table
from course.lab import LabError, what_comes_first
from course.lab.running import PAYLOADS
from course.lessons import lesson_12
from course.lessons.lesson_12 import (
    TURNS_A_RUN,
    WINDOW,
    BoundedWorkflow,
    OnlyNewRunsWorkflow,
    OnlyWindowWorkflow,
    WholeMemoryWorkflow,
    last_turns,
)
from tests import dev_server
from tests.lab_helpers import renewed, until

FAILED_STATE = RPCError(
    "Unable to perform workflow execution update due to Workflow Task in failed state.",
    RPCStatusCode.FAILED_PRECONDITION,
    b"",
)
"""What the server says to a message when a workflow task has failed three times, which takes a while."""

STRANGERS = sorted((Path(__file__).parent / "histories" / "recorded").glob("*.json"))
DESKS = (WholeMemoryWorkflow, OnlyNewRunsWorkflow, OnlyWindowWorkflow, BoundedWorkflow)
ORDER = "Where is order 1042?"


# The table and the figure


@pytest.mark.parametrize("file", STRANGERS, ids=lambda file: file.stem)
def test_growth_counts_every_event_once_and_no_more_bytes_than_there_are(file: Path) -> None:
    recorded = json.loads(file.read_text())
    runs = recorded.get("runs", recorded)
    runs = runs if isinstance(runs, list) else [runs]
    table = growth_table(runs)
    assert list(table.columns) == ["run", "turn", "events", "bytes"]
    assert table.events.sum() == sum(len(run["events"]) for run in runs)
    assert 0 < table.bytes.sum() < file.stat().st_size
    assert table.dropna().turn.is_monotonic_increasing


def test_growth_takes_and_refuses_what_the_other_tables_do() -> None:
    with pytest.raises(ValueError, match="no workflow history"):
        growth_table(42)  # type: ignore[arg-type]


async def test_growth_is_what_the_history_carries_by_turn_and_the_same_again(lab: Lab) -> None:
    chats = [await lab.converse(BoundedWorkflow, "ada") for _ in range(2)]
    for chat in chats:
        for _ in range(TURNS_A_RUN + 1):
            await chat.send(ORDER)
    tables = [await chat.growth() for chat in chats]
    assert tables[0].bytes.tolist() == tables[1].bytes.tolist()
    assert tables[0].turn.tolist() == [*range(1, TURNS_A_RUN + 2)]
    assert tables[0].run.tolist() == [1] * TURNS_A_RUN + [2]
    # What a run hands to the next stands in both: where it ends, and where the next begins.
    last, first = [run.events for run in await chats[0].record.histories()]
    handed = last[-1].workflow_execution_continued_as_new_event_attributes.input.payloads
    taken = first[0].workflow_execution_started_event_attributes.input.payloads
    assert [p.data for p in handed] == [p.data for p in taken]
    assert tables[0].bytes.iloc[-1] > sum(len(p.data) for p in taken)


async def test_the_figure_says_how_many_runs_and_how_much_the_largest_carried(lab: Lab) -> None:
    chat = await lab.converse(BoundedWorkflow, "ada")
    for _ in range(TURNS_A_RUN + 1):
        await chat.send("Hello!")
    table = await chat.growth()
    figure = growth({"a desk": table, "another": table[table.run == 1]})
    kilobytes = f"{table.groupby('run').bytes.sum().max() / 1000:,.0f}"
    assert f"a desk: 2 runs, {kilobytes} kB carried. another: 1 run, " in figure.description
    [line] = [line for line in figure.axes[0].lines if line.get_gid() == "a desk"]
    assert line.get_xdata().tolist() == [1, 2, 3, 4]
    assert line.get_ydata()[-1] < line.get_ydata()[-2]  # a new run: the line falls
    for wrong in ({}, dict.fromkeys("abcde", table)):
        with pytest.raises(ValueError, match="compares 1 to 4 conversations"):
            growth(wrong)


# The four corners


async def test_only_both_together_are_flat(lab: Lab) -> None:
    """The same message again and again. Per turn, the bytes of the last ones against those of the middle."""

    async def talk(desk: type) -> tuple[int, float]:
        chat = await lab.converse(desk, "ada")
        for _ in range(4 * TURNS_A_RUN):
            await chat.send(ORDER)
        table = await chat.growth()
        runs = table[table.turn.notna()].groupby("run").bytes.sum()
        by_turn = table.groupby("turn").bytes.sum()
        middle, last = by_turn.loc[TURNS_A_RUN + 1 : 2 * TURNS_A_RUN], by_turn.loc[3 * TURNS_A_RUN + 1 :]
        return len(runs), last.mean() / middle.mean()

    found = dict(zip(DESKS, await asyncio.gather(*map(talk, DESKS)), strict=True))
    assert [runs for runs, _ in found.values()] == [1, 4, 1, 4]
    grows = [ratio for _, ratio in found.values()]
    assert min(grows[:2]) > 1.5
    assert max(grows[2:]) < 1.2


async def test_no_message_is_lost_where_runs_change(lab: Lab) -> None:
    """Twelve at once, twice: every one is answered, counted and remembered, whatever run it came to."""
    chat = await lab.converse(OnlyNewRunsWorkflow, "ada")
    said = [f"My number {n} is {n * n}." for n in range(24)]
    for part in (said[:12], said[12:]):
        await asyncio.gather(*(chat.send(text) for text in part))
    record = await chat.activities(times=True)
    await chat.send("Thanks!")
    [call] = (await chat.activities(times=True)).input.iloc[len(record)]
    remembered = {item["content"] for item in call["input"] if item.get("role") == "user"}
    assert remembered == {*said, "Thanks!"}
    assert (await chat.growth()).run.max() > 1
    assert await chat.close() == 25


async def test_the_notebooks_cells_that_start_with_a_message_can_be_run_again(lab: Lab) -> None:
    """An id of their own would be taken the second time."""
    notebook = json.loads((Path(__file__).parents[1] / "notebooks" / "12_how_big.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    [at] = [n for n, cell in enumerate(cells) if "WithStart" in cell]
    names = vars(lesson_12) | {"lab": lab, "QUESTIONS": ["What is my cactus called?"]}
    for cell in cells[at : at + 2] * 2:
        running = eval(compile(cell, "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
        if running is not None:
            await running


async def test_senders_that_never_pause_keep_a_desk_that_only_waits_in_its_run(lab: Lab) -> None:
    """Six of them. The desk to take home makes a pause: tests/test_long_run.py."""
    chat = await lab.converse(BoundedWorkflow, "ada")

    async def sender() -> None:
        for _ in range(TURNS_A_RUN + 1):
            await chat.handle.execute_update("send", "Hello!")

    await asyncio.gather(*(sender() for _ in range(6)))
    turns = (await chat.growth()).dropna().groupby("run").turn.count()
    assert turns[1] > 6 * TURNS_A_RUN


@pytest.mark.parametrize(
    ("renews", "runs"), [(OnlyNewRunsWorkflow, 2), (OnlyWindowWorkflow, 1)], ids=["renews", "does not"]
)
async def test_a_run_is_full_when_the_server_suggests_a_new_one(renews: type, runs: int) -> None:
    """After thirty events: two turns with a tool, before the third."""
    async with dev_server.that_suggests(30) as address, await Lab.start(address=address, ui=False) as lab:
        chat = await lab.converse(renews, "ada")
        for _ in range(2):
            await chat.send(ORDER)
        assert len(await renewed(chat, runs)) == runs


def test_a_window_never_cuts_a_turn() -> None:
    def turn(n: int) -> list[dict]:
        call = {"type": "function_call", "call_id": str(n), "name": "look_up_order", "arguments": "{}"}
        output = {"type": "function_call_output", "call_id": str(n), "output": "…"}
        said = {"role": "assistant", "content": str(n)}
        return [{"role": "user", "content": str(n)}, *[call, output] * (n % 3), said]

    memory: list = []
    for n in range(12):
        memory = last_turns([*memory, *turn(n)], WINDOW)
        assert memory == [item for m in range(max(0, n - WINDOW + 1), n + 1) for item in turn(m)]


async def test_an_agents_message_that_is_read_back_as_the_sdks_type_cannot_be_copied() -> None:
    """Its parts are read when somebody asks for them. The SDK copies the input of each run, and fails the task."""
    part = {"type": "output_text", "text": "Yes.", "annotations": []}
    said = {"type": "message", "id": "1", "role": "assistant", "status": "completed", "content": [part]}
    carried = [{"role": "user", "content": "Hello!"}, said]
    payloads = await PAYLOADS.encode([carried])
    [plain] = await PAYLOADS.decode(payloads, [list[dict[str, Any]]])
    assert copy.deepcopy(plain) == carried
    [typed] = await PAYLOADS.decode(payloads, [list[TResponseInputItem]])
    assert copy.deepcopy(typed[0]) == carried[0]  # a customer's message is a text
    with pytest.raises(TypeError, match="ValidatorIterator"):
        copy.deepcopy(typed)


# Too big


SEEN: list[int] = []


@workflow.defn(sandboxed=False)
class Refuses:
    @workflow.run
    async def run(self, customer: str) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.update
    async def send(self, text: str) -> str:
        return text

    @send.validator
    def check_send(self, text: str) -> None:
        SEEN.append(len(text))
        raise ApplicationError("No.")

    @workflow.signal
    def close(self) -> None:
        pass


async def test_the_validator_refuses_3_mb_and_it_is_the_refusal_that_is_too_big() -> None:
    async with await Lab.start(workflows=[Refuses], ui=False) as lab:
        chat = await lab.converse(Refuses, "ada")
        sent = asyncio.ensure_future(chat.handle.execute_update("send", "x" * 3_000_000))
        await until(lambda: chat.record.is_too_big(), "the workflow task fails")
        assert set(SEEN) == {3_000_000}
        sent.cancel()
        await asyncio.gather(sent, return_exceptions=True)


async def refused(reply: Awaitable[str]) -> LabError:
    with pytest.raises(LabError) as error:
        await reply
    return error.value


async def test_a_message_over_the_limit_is_on_no_record(lab: Lab) -> None:
    """3 MB: the refusal, which carries it, cannot be handed in, so the history knows nothing of the message.

    (The sender would get an error after twenty seconds, and the desk goes on: tests/soak_long_run.py.)
    """
    chat = await lab.converse(BoundedWorkflow, "ada")
    sent = asyncio.ensure_future(chat.handle.execute_update("send", "x" * 3_000_000))
    assert "payloads too large" in str(await what_comes_first(chat, sent))
    assert "WorkflowExecutionUpdateAccepted" not in set((await chat.events()).event)
    assert not sent.done()
    for error in (
        await refused(chat.send("Hello!", timeout=0.5)),
        await chat.record.unreachable(FAILED_STATE),
    ):
        assert "its workflow task carries more than 2 MiB (payloads too large)" in str(error)
        assert "send yours again in a minute" in str(error)
        assert "raises" not in str(error)
    sent.cancel()
    with pytest.raises(WorkflowUpdateRPCTimeoutOrCancelledError):
        await sent
    await chat.handle.terminate()
