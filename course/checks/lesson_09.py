"""Exercise 09: change a live workflow."""

from typing import Any

from course.checks.talking import Stuck, Talk, lab_for, own_fault, workflow_class
from course.checks.verdict import NotYet, quoted, require
from course.lab import LabError
from course.lab.compat import workflow_definition
from course.lessons.lesson_09 import GrowingPatchedWorkflow, GrowingWorkflow
from course.models import OfflineModel

OLD, PATCHED, FRESH = "ada", "ben", "cleo"
BEFORE = ("Where is order 1042?", "How much light does a Monstera need?")
AFTER = (BEFORE[0], "Is order 1043 late?", "Thank you!")
"""The first was said before: an id that is made of the text has been asked for."""
STEP = "process_batch"


async def check(module: Any) -> str:
    desk = workflow_class(module, "NextDesk")
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
        fresh = await lab.converse(desk, FRESH)
        for chat in (old, patched, fresh):
            for message in AFTER:
                await _told(chat, message)
        await _has_the_step(fresh, 0, "that began with your code")
        for chat in (old, patched):
            await _has_the_step(chat, len(BEFORE), "that was under way when you deployed")
        for chat, notices in ((old, 0), (patched, len(BEFORE + AFTER)), (fresh, len(AFTER))):
            await _tells_as_before(chat, notices)
        for chat in (old, patched, fresh):
            await _fits(chat, desk, "goes on with your code")
        turns = len(lab.table("batches"))
    if turns != len(AFTER) * 3:
        raise NotYet(f"""The step ran in {len(AFTER) * 3} turns, and the database has {turns} rows of it:
            turns share a key. self.key names the turn.""")
    return f"""Two conversations were under way, one from before “tell-the-team” and one from after it. Both
        histories replay clean with your code. Deployed, it runs {STEP} in the next turn of both, in every
        turn of a new conversation, and in no turn that was over; and the histories that your code has made
        replay clean, too."""


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
            replayed was told False, and the run remembers that. The next turn has to ask for an id that no
            turn before has asked for.""")
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


async def _tells_as_before(chat: Talk, notices: int) -> None:
    found = len(await chat.rows("send_notification"))
    if found != notices:
        raise NotYet(f"""The notices changed: a conversation has {found} send_notification, and should have {notices}.
            Leave “tell-the-team” as it was: it decides only about its own step.""")
