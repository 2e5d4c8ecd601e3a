"""Exercise 14: `sick(client)`, which names the workflows that are stuck, and no others."""

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.client import Client

from course.checks.talking import Talk, dice_of, lab_for, own
from course.checks.verdict import NotYet, shortened
from course.checks.waiting import on_this_machine
from course.desk.jobs import CleanupWorkflow
from course.desk.listing import make_known
from course.lessons.lesson_10.approval import ApprovalWorkflow
from course.lessons.lesson_14 import OrderReadingWorkflow, WatchedWorkflow, listed
from course.models import OfflineModel

NAMES = ("Nora", "Olaf", "Pia", "Quim", "Rosa", "Sven", "Tara", "Udo", "Vera", "Wim", "Xenia", "Yann")
SECONDS = 10
"""For one call of `sick`. It takes a tenth of a second."""


@dataclass
class Fleet:
    """What the reader's `sick` is asked about, and what it should say.

    Attributes:
        client: As the reader's code gets it.
        stuck: The ids of those that are, and why.
        well: The ids of the others, and what they do.
    """

    sick: Callable[[Client], Any]
    client: Client
    stuck: dict[str, str]
    well: dict[str, str]

    async def judge(self, where: str) -> None:
        """Raises `NotYet` for the first workflow that is named wrongly."""
        try:
            named = await asyncio.wait_for(self.sick(self.client), on_this_machine(SECONDS))
        except TimeoutError:
            raise NotYet(f"{where}, sick(client) had not returned after {SECONDS} seconds.") from None
        if not isinstance(named, set | frozenset | list | tuple) or not all(
            isinstance(one, str) for one in named
        ):
            raise NotYet(f"""{where}, sick(client) returns {shortened(repr(named), 60)}. It returns a set of workflow
                ids, each a text.""")
        for id in sorted(named):
            if id not in self.stuck:
                is_well = self.well.get(id, "is none of this fleet")
                raise NotYet(f"{where}, sick(client) names {id}, which is not stuck: it {is_well}.")
        for id, why in self.stuck.items():
            if id not in named:
                raise NotYet(f"{where}, sick(client) does not name {id}, which is stuck: it {why}.")

    def becomes(self, id: str, stuck: str = "", well: str = "") -> None:
        self.stuck.pop(id, None), self.well.pop(id, None)
        (self.stuck if stuck else self.well)[id] = stuck or well


async def check(module: Any) -> str:
    sick = own(module, "sick", "function")
    if not inspect.iscoroutinefunction(sick):
        raise NotYet("sick asks the server, so it is written with async def.")
    dice = dice_of(module)
    names = iter(dice.sample(NAMES, 7))
    workflows = [OrderReadingWorkflow, WatchedWorkflow, ApprovalWorkflow, CleanupWorkflow]
    async with lab_for(module, workflows, OfflineModel()) as lab:
        await make_known(lab.client)
        fleet = Fleet(sick, lab.client, {}, {})

        async def begun(desk: type = OrderReadingWorkflow, text: str = "") -> Talk:
            chat: Any = await lab.converse(desk, next(names))
            await chat.says(text or f"Where is order {dice.randint(1100, 9999)}?")
            return chat

        # Nobody is stuck.
        calm, closed, frozen, given_up = [await begun() for _ in range(4)]
        fleet.becomes(calm.id, well="has answered, and waits for its customer")
        asks = await begun(WatchedWorkflow, f"Please refund 26 EUR for order {dice.randint(1100, 9999)}.")
        fleet.becomes(asks.id, well="waits for a colleague, as it should")
        fleet.becomes(f"{asks.id}/refund-1", well="is an approval, and waits for a colleague, as it should")
        for chat in (calm, closed, frozen, given_up, lab.conversation(f"{asks.id}/refund-1")):
            await chat.activities()
        await closed.ends()
        fleet.becomes(closed.id, well="has ended")
        outage = await lab.outage("mail")
        slow = await begun()
        while (await slow.pending()).attempt.max() < 5:
            await slow.fast_forward(timedelta(seconds=1))
        fleet.becomes(slow.id, well="has a notice that has failed four times, and not five")
        later = await lab.client.start_workflow(
            CleanupWorkflow.run,
            90,
            id=f"{calm.id}/later",
            task_queue=f"later-{dice.randint(10, 99)}",
            start_delay=timedelta(days=30),
        )
        fleet.becomes(
            later.id,
            well="starts in 30 days, so none of its tasks is due, and nobody has to poll its queue yet",
        )
        for chat in (frozen, given_up):
            fleet.becomes(chat.id, well="has answered, and waits for its customer")
        await fleet.judge("In a fleet where all is well")

        # Four ways to be stuck.
        for chat in (frozen, given_up):
            chat.begin("Thanks!", timeout=1)  # no number in it
        await slow.fast_forward(timedelta(hours=1))
        fleet.becomes(
            slow.id, stuck="has a notice that has failed more than ten times, and is tried again and again"
        )
        queue = f"{next(names).lower()}-{dice.randint(10, 99)}"
        job = await lab.client.start_workflow(
            CleanupWorkflow.run, 90, id=f"{queue}/cleanup", task_queue=queue
        )
        fleet.becomes(job.id, stuck=f"has a task that is due, and nobody polls its queue, {queue!r}")
        problems = {frozen.id, given_up.id}
        while not problems <= {*await listed(lab.client, "TemporalReportedProblems IS NOT NULL")}:
            await asyncio.sleep(0.1)
        await given_up.handle.terminate()
        fleet.becomes(frozen.id, stuck="is frozen: its workflow task fails again and again")
        fleet.becomes(given_up.id, well="was frozen, and has been terminated")
        await fleet.judge("In a fleet where three are stuck")

        # The mail server is back.
        outage.end()
        await slow.fast_forward(timedelta(minutes=30))
        await slow.activities()
        fleet.becomes(slow.id, well="was stuck, and its notice has been sent since")
        await fleet.judge("After the mail server has come back")
    return """In a fleet where all is well you named nobody: not the one that waits for a colleague, not the one whose
        mail had failed four times, and not the job that starts in a month. Then you named the frozen one, the one whose
        mail was tried in vain for an hour, and the job on a queue that nobody polls; and no longer the one that got
        well, or was terminated."""
