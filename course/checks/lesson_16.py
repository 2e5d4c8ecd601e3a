"""Exercise 16: an incompatible change, brought to conversations that are under way."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents import Model, ModelResponse
from temporalio.api.enums.v1 import WorkflowTaskFailedCause
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle, WorkflowUpdateStage
from temporalio.service import RPCError

from course.checks.talking import (
    NoReply,
    OwnLab,
    Stuck,
    Talk,
    lab_for,
    own,
    own_fault,
    own_part,
    workflow_class,
)
from course.checks.verdict import NotYet, quoted, require, shortened
from course.checks.waiting import on_this_machine
from course.lab import LabError
from course.lab.compat import workflow_definition
from course.lab.processes import WorkerProcess
from course.lessons.lesson_16 import ShippedWorkflow
from course.models import OfflineModel
from course.models.understanding import Turn, plain

STARTS_PROCESSES = True
"""A worker for each version. One is killed."""

LIMIT_SECONDS = 60.0
"""Of the whole check, on a quiet machine. A solution takes some fifteen."""

IDLE, CALLING, WAITING, NEW = "ada", "ben", "cleo", "dan"
FIRST, HELD, AFTER, MEMORY = (
    "Where is order 1042?",
    "How much light does a Monstera need?",
    "Is order 1043 late?",
    "What did I ask first?",
)
STEP = "process_batch"
SECONDS = 10.0
"""So long a reply, or version 1's last conversation, is waited for on a quiet machine."""
BROKEN = {
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR,
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE,
}
"""Not that a message came while a task was under way: then the server wants the task once more."""


@dataclass
class Held(Model):
    """The offline model. What it is asked with `HELD` it answers when there is a file `go`."""

    folder: Path

    async def get_response(
        self, system_instructions: Any, input: Any, *rest: Any, **more: Any
    ) -> ModelResponse:
        if Turn.read(None, plain(input)).message == HELD:
            (self.folder / "asked").touch()
            while not (self.folder / "go").exists():
                await asyncio.sleep(0.05)
        return await OfflineModel().get_response(system_instructions, input, *rest, **more)

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        raise NotImplementedError("This model does not stream.")


class Shop:
    """What `roll_out` is given."""

    def __init__(self, lab: OwnLab) -> None:
        self.client = lab.client
        self.switched = asyncio.Event()
        self.stopped: set[str] = set()
        self._lab, self._workers = lab, dict[str, list[WorkerProcess]]()
        self._code: dict[str, type] = {}

    async def start(self, build: str, workflow: type) -> None:
        """A worker with this code, under this build id, beside those that are there."""
        self.stopped.discard(build)
        try:
            worker = await self._lab.deploy(workflow, version=build)
        except LabError as error:
            raise (
                own_fault(error, self._lab.module) if error.__cause__ else NotYet(own_part(str(error)))
            ) from None
        self._workers.setdefault(build, []).append(worker)
        self._code[build] = workflow

    async def make_current(self, build: str) -> None:
        """New conversations begin on this version from now on."""
        try:
            await self._lab.make_current(build)
        except LabError as error:
            if "was not made current" not in str(error):
                raise
            raise NotYet(
                f"make_current({build!r}) was refused: no worker of this version has been started."
            ) from None
        if build != "1":
            self.switched.set()

    async def open(self, build: str) -> list[WorkflowHandle[Any, Any]]:
        """The open conversations that are pinned to this version."""
        there = f"TemporalWorkerDeploymentVersion = '{self._lab.task_queue}:{build}'"
        found = self.client.list_workflows(f"{there} AND ExecutionStatus = 'Running'")
        return [self.client.get_workflow_handle(one.id) async for one in found]

    async def drained(self, build: str) -> None:
        """Waits until no open conversation is pinned to this version any more."""
        try:
            await self._lab.drained(build, timeout=on_this_machine(SECONDS))
        except LabError:
            left = sorted(handle.id.rpartition("-")[0] for handle in await self.open(build))
            require(self.switched.is_set(), f"Version {build} is not drained: it is still the current one.")
            raise NotYet(
                f"""Version {build} is not drained after {SECONDS:g} seconds: {" and ".join(left) or "nobody"} is still pinned to
                it. Who is idle has no workflow task, so nothing moves them; the signal `wake` makes one, once another version is
                current."""
            ) from None

    async def stop(self, build: str) -> None:
        """Ends the workers of this version."""
        self.stopped.add(build)
        await self._end(build)

    async def _end(self, build: str) -> None:
        for worker in self._workers.get(build, []):
            worker.kill()
            await worker.died()

    def works(self, build: str) -> bool:
        return any(worker.alive for worker in self._workers.get(build, []))

    async def kill(self, build: str) -> None:
        """SIGKILL; and then its supervisor starts the same code again, unless somebody stops it."""
        await self._end(build)
        if build in self.stopped:
            return
        worker = await self._lab.deploy(self._code[build], version=build)
        self._workers[build].append(worker)
        if build in self.stopped:  # meanwhile
            await self._end(build)


async def check(module: Any) -> str:
    desk, roll_out = workflow_class(module, "NextDesk"), own(module, "roll_out", "function")
    name = workflow_definition(desk).name
    if name != "ShippedWorkflow":
        raise NotYet(f"""To Temporal your class is called {name}, so it is another workflow: the conversations under
            way are ShippedWorkflow's, and would have no code to go over to. Keep
            @workflow.defn(name="ShippedWorkflow").""")
    model = Held(Path())
    async with lab_for(module, [ShippedWorkflow], model) as lab:
        model.folder = lab.world.folder
        shop = Shop(lab)
        await shop.start("1", ShippedWorkflow)
        await shop.make_current("1")
        chats = {one: await lab.converse(ShippedWorkflow, one) for one in (IDLE, CALLING, WAITING)}
        await asyncio.gather(*(chat.send(FIRST) for chat in chats.values()))
        asked = await chats[WAITING].handle.start_update(
            "ask_a_person", wait_for_stage=WorkflowUpdateStage.ACCEPTED
        )
        replies = {
            CALLING: chats[CALLING].begin(HELD, timeout=on_this_machine(LIMIT_SECONDS)),
            WAITING: asyncio.ensure_future(asked.result()),
        }
        while not (model.folder / "asked").exists():
            await asyncio.sleep(0.02)

        await _rolled_out(shop, roll_out, chats, model.folder)
        for customer, what in (
            (CALLING, "whose model call was under way"),
            (WAITING, "who waited for a person"),
        ):
            await _has_reply(shop, replies[customer], chats[customer], what)
        await _is_over(shop, lab)
        chats[NEW] = await lab.converse(ShippedWorkflow, NEW)
        for chat in chats.values():
            await _says(shop, chat, AFTER)
        for chat in chats.values():
            await _has_the_step(chat)
            await _remembers(shop, chat)
        await _goes_on_to_3(shop, desk, chats[IDLE])
        for chat in chats.values():
            await _never_failed(chat)
        turns = await _once(lab, list(chats.values()))
    return f"""Three conversations were under way: one idle, one in a model call, one that waited for a person. You brought
        version 2 to all of them, while version 1's worker was killed and came again. Each of them went on with its memory and has
        {STEP} in its next turn, no workflow task failed, {turns} turns left {turns} rows and {turns} mails, and version 3
        reaches them, too."""


async def _rolled_out(shop: Shop, roll_out: Any, chats: dict[str, Talk], folder: Path) -> None:
    found = roll_out(shop)
    if not inspect.isawaitable(found):
        raise NotYet("roll_out is a plain function. It talks to the server, so it is `async def`.")
    rollout = asyncio.ensure_future(found)
    meanwhile = asyncio.create_task(_meanwhile(shop, rollout, chats[WAITING], folder))
    done, _ = await asyncio.wait([rollout], timeout=on_this_machine(3 * SECONDS))
    if not done:
        rollout.cancel()
        raise NotYet(f"roll_out had not returned after {3 * SECONDS:g} seconds. What does it wait for?")
    try:
        rollout.result()
    except RPCError as error:
        raise NotYet(f"roll_out was refused by the server: {shortened(str(error))}") from None
    await meanwhile


async def _meanwhile(shop: Shop, rollout: "asyncio.Future[Any]", waiting: Talk, folder: Path) -> None:
    """What happens while a rollout is under way: a worker is killed, a model answers, a person decides."""
    switched = asyncio.create_task(shop.switched.wait())
    await asyncio.wait([switched, rollout], return_when=asyncio.FIRST_COMPLETED)
    switched.cancel()
    if shop.works("1"):
        await shop.kill("1")
    (folder / "go").touch()
    await waiting.handle.signal("decide", "Yes.")


async def _is_over(shop: Shop, lab: OwnLab) -> None:
    states = dict((await lab.versions())[["version", "state"]].values.tolist())
    if states["1"] == "current":
        raise NotYet("""roll_out has returned, and version 1 is still the current one: new conversations begin on it. A worker
            of version 2 that nobody makes current is given nothing.""")
    require(
        not shop.works("1"),
        """roll_out has returned, and a worker of version 1 still runs. Who stops it, and when? Nobody needs it once version 1 is
        drained.""",
    )


async def _has_reply(shop: Shop, reply: Any, chat: Talk, what: str) -> None:
    waiting = asyncio.ensure_future(_awaited(reply))
    end = asyncio.get_running_loop().time() + on_this_machine(SECONDS)
    while not waiting.done() and asyncio.get_running_loop().time() < end:
        await asyncio.wait([waiting], timeout=0.2)
        if not waiting.done():
            await _may_be_answered(shop, chat, what)
    if not waiting.done() or isinstance(waiting.exception(), LabError):
        raise NotYet(f"{_name(chat)}, {what}, got no reply.")
    waiting.result()


async def _awaited(reply: Any) -> Any:
    return await reply


async def _may_be_answered(shop: Shop, chat: Talk, what: str) -> None:
    """Raises `NotYet` where nobody can: the run is frozen, or no worker of its version is left."""
    try:
        await chat.stop_if_stuck()
    except Stuck as error:
        raise _frozen(chat, error) from None
    if (await _versioning(chat)).HasField("versioning_override"):
        return  # an operator has moved it by hand
    version = await _version(chat)
    if version and not shop.works(version):
        raise NotYet(f"""{_name(chat)}, {what}, got no reply. The run is pinned to version {version}, and no worker of that version is
            there any more. It is needed until the version is drained.""")


async def _version(chat: Talk) -> str:
    """Of the worker that had its last task; nothing if there was none."""
    return (await _versioning(chat)).deployment_version.build_id


async def _versioning(chat: Talk) -> Any:
    return (await chat.handle.describe()).raw_description.workflow_execution_info.versioning_info


async def _says(shop: Shop, chat: Talk, text: str) -> str:
    if (status := await chat.status()) != WorkflowExecutionStatus.RUNNING:
        raise NotYet(f"""{_name(chat)}'s conversation has ended ({str(status and status.name).lower()}), and with it what the customer
            had said. A rollout ends no conversation.""")
    what = "who wrote after roll_out"
    await _may_be_answered(shop, chat, what)
    try:
        return await chat.says(text)
    except Stuck as error:
        raise _frozen(chat, error) from None
    except NoReply:
        await _may_be_answered(shop, chat, what)
        raise NotYet(f"{_name(chat)}, {what}, got no reply.") from None


def _frozen(chat: Talk, error: Stuck) -> NotYet:
    if "not deterministic" not in str(error):
        return error
    return NotYet(f"""{_name(chat)}'s conversation is frozen: your new code was handed a run that version 1 had begun, in the middle of
        it, and its history does not fit. A run stays with the code that began it (pinned, under a build id of its own), and the
        next run begins with yours.""")


async def _has_the_step(chat: Talk) -> None:
    record = await chat.activities()
    last = record[record.turn == record.turn.max()].activity.tolist()
    if last.count(STEP) != 1:
        raise NotYet(f"""After roll_out, {_name(chat)}'s turn ran {STEP} {last.count(STEP)} times. In version 2 it runs once in every
            turn: self.learn_from(text).""")


async def _remembers(shop: Shop, chat: Talk) -> None:
    first = AFTER if _name(chat) == "Dan" else FIRST
    answer = await _says(shop, chat, MEMORY)
    if first not in answer:
        raise NotYet(f"""{_name(chat)} asked “{MEMORY}”, and was told {quoted(answer)}: the memory is lost.
            `carry()` returns what goes along.""")


async def _goes_on_to_3(shop: Shop, desk: type, chat: Talk) -> None:
    """The next deployment has to find its way, too."""
    runs = len(await chat.record.histories())
    await shop.start("3", desk)
    await shop.make_current("3")
    for text in ("Thank you!", "Goodbye!"):
        await _says(shop, chat, text)
        await chat.activities()  # until its mail is out: a run does not end before
    if await _version(chat) == "3":
        return await _remembers(shop, chat)
    new = len(await chat.record.histories()) > runs
    raise NotYet(
        f"""You have brought everybody to version 2. Then version 3 came and was made current, and {_name(chat)} wrote twice: the
        conversation is on version {await _version(chat)} still. """
        + (
            """It continued as new, and began on the same version again: `initial_versioning_behavior` says otherwise."""
            if new
            else "Its run did not end. NextDesk has to look whether the target version has changed, as version 1 does."
        )
    )


async def _never_failed(chat: Talk) -> None:
    for history in await chat.record.histories():
        for event in history.events:
            failed = event.workflow_task_failed_event_attributes
            if event.HasField("workflow_task_failed_event_attributes") and failed.cause in BROKEN:
                raise NotYet(f"""{_name(chat)}'s conversation goes on now, and for a while it was frozen: a workflow task failed with
                    {quoted(failed.failure.message, 90)}. Its customer waited.""")


async def _once(lab: OwnLab, chats: list[Talk]) -> int:
    """How many turns there were. Each has one row, and one mail."""
    for chat in chats:
        await chat.activities()  # until its mails are out
    record = [await chat.activities() for chat in chats]
    turns = sum(int(rows.turn.max()) for rows in record)
    rows, mails = len(lab.table("turns")), len(lab.inbox())
    if (rows, mails) != (turns, turns):
        raise NotYet(f"""{turns} messages were sent, and there are {rows} rows and {mails} mails: each turn has one of each, whatever
            worker did it.""")
    return turns


def _name(chat: Talk) -> str:
    return chat.id.rpartition("-")[0].capitalize()
