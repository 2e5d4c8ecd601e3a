"""Exercise 09: change a live workflow."""

import asyncio
import inspect
from typing import Any

from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.service import RPCError

from course.checks.talking import REPLY_SECONDS, Stuck, Talk, lab_for, own, own_fault, workflow_class
from course.checks.verdict import NotYet, quoted, require, shortened
from course.checks.waiting import on_this_machine
from course.lab import LabError
from course.lab.compat import workflow_definition
from course.lessons.lesson_09 import GrowingPatchedWorkflow, GrowingWorkflow
from course.models import OfflineModel

OLD, PATCHED, FRESH = "ada", "ben", "cleo"
BEFORE = ("Where is order 1042?", "How much light does a Monstera need?")
AFTER = ("Is order 1043 late?", BEFORE[0], "Thank you!")
"""The second was said before: an id that is made of the text has been asked for."""
STEP = "process_batch"


async def check(module: Any) -> str:
    desk, roll_out = workflow_class(module, "NextDesk"), own(module, "roll_out", "function")
    name = workflow_definition(desk).name
    if name != "GrowingWorkflow":
        raise NotYet(f"""To Temporal your class is called {name}, so it is another workflow: the conversations under
            way are GrowingWorkflow's, and no worker would run them any more. Keep
            @workflow.defn(name="GrowingWorkflow").""")
    async with lab_for(module, [GrowingWorkflow], OfflineModel()) as lab:
        old = await lab.converse(GrowingWorkflow, OLD)
        await old.send(BEFORE[0])
        await lab.deploy(GrowingPatchedWorkflow)  # what is in production
        await old.send(BEFORE[1])
        patched = await lab.converse(GrowingPatchedWorkflow, PATCHED)
        for message in BEFORE:
            await patched.send(message)
        await _fits(old, desk, "began before “tell-the-team”")
        await _fits(patched, desk, "began with “tell-the-team”")

        try:
            await lab.deploy(desk)
        except LabError as error:
            raise own_fault(error, module) from None
        for chat in (old, patched):
            await _rolled_out(chat, roll_out)
        fresh = await lab.converse(desk, FRESH)
        for chat in (old, patched, fresh):
            for message in AFTER:
                await _told(chat, message)
        await _has_the_step(fresh, 0, "that began with your code")
        for chat in (old, patched):
            await _has_the_step(chat, len(BEFORE), "that was under way when you deployed")
        turns = len(lab.table("batches"))
        for chat in (old, patched):
            await _remembers(chat)
        # In a new run the old patch is asked for the first time: then the team is told of these turns, too.
        for chat, notices in (
            (old, {0, len(AFTER)}),
            (patched, {len(BEFORE + AFTER)}),
            (fresh, {len(AFTER)}),
        ):
            await _tells_as_before(chat, notices)
        for chat in (old, patched, fresh):
            await _fits(chat, desk, "goes on with your code")
            await _asks_no_new_question_each_turn(chat)
    if turns != len(AFTER) * 3:
        raise NotYet(f"""The step ran in {len(AFTER) * 3} turns, and the database has {turns} rows of it:
            turns share a key. self.key names the turn.""")
    return f"""Two conversations were under way, one from before “tell-the-team” and one from after it. Both
        histories replay clean with your code. Deployed and rolled out, it runs {STEP} in every turn of both from then on, in
        every turn of a new conversation, and in no turn that was over; the memory went along, and the histories that
        your code has made replay clean, too."""


async def _rolled_out(chat: Talk, roll_out: Any) -> None:
    """What the reader does with a conversation under way."""
    found = roll_out(chat.handle)
    if not inspect.isawaitable(found):
        raise NotYet("roll_out is a plain function. It talks to the server, so it is `async def`.")
    task = asyncio.ensure_future(found)
    if not await chat.wait_for(task, on_this_machine(REPLY_SECONDS)):
        raise NotYet(f"roll_out had not returned after {REPLY_SECONDS} seconds. What does it wait for?")
    try:
        task.result()
    except (RPCError, WorkflowUpdateFailedError) as error:
        raise NotYet(
            f"roll_out was refused by the server: {shortened(str(error.__cause__ or error))}"
        ) from None
    await chat.activities()  # until it is quiet: a new run has begun
    if await chat.status() != WorkflowExecutionStatus.RUNNING:
        raise NotYet("""roll_out ended a conversation that was under way, and with it what the customer had said. It has to go
            on, under its id and with its memory.""")


async def _remembers(chat: Talk) -> None:
    answer = await chat.says("What did I ask first?")
    if BEFORE[0] not in answer:
        raise NotYet(f"""After the roll-out a customer asked “What did I ask first?”, and was told {quoted(answer)}: the conversation
            has lost its memory. The signal `renew` takes it along.""")


async def _asks_no_new_question_each_turn(chat: Talk) -> None:
    """A patch leaves a marker, and its id in a list of the run's that the server searches by."""
    for history in await chat.record.histories():
        asked = [event for event in history.events if event.HasField("marker_recorded_event_attributes")]
        if len(asked) > len(AFTER):
            raise NotYet(f"""Every turn has its step, at the price of a patch id of its own: {len(asked)} in one run of {chat.id},
                one more with every message, for as long as it lives; before it ends, no code can do without them. Give the step one
                id, and the conversations under way a point at which they have not asked for it yet: roll_out makes one.""")


async def _told(chat: Talk, message: str) -> None:
    try:
        await chat.says(message)
    except Stuck as error:
        raise NotYet(f"Deployed, your code froze the conversation at {quoted(message)}. {error}") from None


async def _fits(chat: Talk, desk: type, which: str) -> None:
    try:
        await chat.replay(desk)
    except LabError as error:
        said = str(error).split(" Deployed, it would")[0]
        if which == "goes on with your code":
            raise NotYet(f"""The live turns had their step, and now the history that they left does not replay
                with your own code: the next worker that takes over this conversation would freeze it. {said} A
                replay must come to the same answer as the live turn: workflow.patched keeps it on record.""") from None
        raise NotYet(f"A conversation under way, which {which}, would freeze. {said}") from None


async def _has_the_step(chat: Talk, over: int, which: str) -> None:
    """The step once in every turn after those that were over, after the save, and in none of those."""
    record = await chat.activities(times=True)
    steps = record[record.activity == STEP]
    turns = range(1, over + len(AFTER) + 1)
    found = [int((steps.turn == turn).sum()) for turn in turns]
    require(not any(found[:over]), f"{STEP} ran for a turn that was over when you deployed.")
    live = found[over:]
    if not any(live):
        missing = f"No turn has {STEP}, not even in a conversation {which}: the step is not there yet."
        require(over > 0, missing)
        asked = ", ".join(record[record.turn == turns[-1]].activity)
        raise NotYet(f"""Your code fits the old histories, and it is live; yet a conversation {which} has no
            {STEP} in its next turns: {asked}. A patch id that was asked for while the first turns were
            replayed was told False, and the run remembers that, for every later turn. A new run has not asked yet:
            what does your roll_out do?""")
    if 0 in live:
        raise NotYet(f"""A conversation {which} has the step in some of its turns and not in others: in its
            {len(live)} turns on your code it ran {live} times. Every turn has to ask a new question: an id that
            was asked for before keeps its answer.""")
    require(max(live) == 1, f"{STEP} ran {max(live)} times in one turn. Once is enough.")
    for turn in turns[over:]:
        ours = record[record.turn == turn].set_index("activity")
        after_the_save = ours.scheduled[STEP] >= ours.closed["save_to_database"]
        if not after_the_save:
            raise NotYet(f"{STEP} began before the save was done. First the record, then the statistics.")


async def _tells_as_before(chat: Talk, notices: set[int]) -> None:
    found = (await chat.rows("send_notification")).turn.isin(range(1, len(BEFORE + AFTER) + 1)).sum()
    if found not in notices:
        raise NotYet(f"""The notices changed: a conversation has {found} send_notification, and should have {max(notices)}.
            Leave “tell-the-team” as it was: it decides only about its own step.""")
