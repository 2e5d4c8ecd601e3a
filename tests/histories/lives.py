"""The tests' own workflows in which messages, runs, activities and clocks do what they may do in any workflow."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from tests.histories import activities as acts
    from tests.histories.conversation import SHORT, Conversation, UntilClosed, step
    from tests.histories.ledger import hand
    from tests.histories.playing import PACKED, Stage, call, script
    from tests.histories.workflows import ask, desk


@workflow.defn
class Signals(UntilClosed):
    """Messages as signals, answered in the signal's handler."""

    @classmethod
    async def play(cls, stage: Stage) -> None:
        for message, lines in ((PACKED, 4), (script("Bye."), 6)):
            await stage.handle.signal("send", message)
            await stage.lines(lines)

    @workflow.run
    async def run(self) -> None:
        await self.until_closed()
        await step(acts.record, "the end")

    @workflow.signal
    async def send(self, text: str) -> None:
        self.open_turn()
        await ask(desk(acts.look_up), text)
        await step(acts.record, "x")


@workflow.defn
class Mailbox(Signals):
    """Messages as signals that only fill a queue; the workflow's main function answers them, one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: list[str] = []

    @workflow.run
    async def run(self) -> None:
        agent = desk(acts.look_up)
        while True:
            await workflow.wait_condition(lambda: bool(self.queue) or self.closed)
            if not self.queue:
                return
            self.open_turn()
            await ask(agent, self.queue.pop(0))
            await step(acts.record, "x")

    @workflow.signal
    def send(self, text: str) -> None:
        self.queue.append(text)


@workflow.defn
class ContinuesAsNew(Conversation):
    """Three runs, a new one for every second turn; a duty that a turn leaves behind, and the drain waits for."""

    arguments = ([], 0)

    @classmethod
    async def play(cls, stage: Stage) -> None:
        for order in (1, 2, 3):
            await stage.send(script([call("look_up", order=order)], f"Order {order}."))
            await asyncio.sleep(0.3)
        await stage.send(script("Four."))
        await asyncio.sleep(0.3)
        await stage.send(script("Five."))

    @workflow.init
    def __init__(self, lines: list[list[Any]], turns: int) -> None:
        super().__init__()
        self.lines, self.turns, self.here = lines, turns, 0
        self.duties: set[asyncio.Task] = set()
        self.lock = asyncio.Lock()

    @workflow.run
    async def run(self, lines: list[list[Any]], turns: int) -> None:
        await workflow.wait_condition(lambda: self.closed or self.here == 2)
        await workflow.wait_condition(lambda: workflow.all_handlers_finished() and not self.duties)
        if not self.closed:
            workflow.continue_as_new(args=[self.lines, self.turns])
        await step(acts.record, "the end")

    async def turn(self, text: str) -> str:
        async with self.lock:
            reply = await ask(desk(acts.look_up), text)
            await step(acts.record, "x")
            duty = asyncio.create_task(self.later())
            self.duties.add(duty)
            duty.add_done_callback(self.duties.discard)
            self.here += 1
            return reply

    async def later(self) -> None:
        await workflow.sleep(timedelta(milliseconds=50))
        await step(acts.notify, "later")


@workflow.defn
class OwnLoop(Conversation):
    """An agent without a framework: an activity asks the model, with no tools in its input, and the workflow acts."""

    @classmethod
    async def play(cls, stage: Stage) -> None:
        await stage.lines(1)
        await stage.send("Refund order 7.")

    @workflow.run
    async def run(self) -> None:
        await step(acts.notify, "open")
        await self.until_closed()

    async def turn(self, text: str) -> str:
        await step(acts.record, "before")
        while call := await step(acts.plan, text):
            async with hand("agent"):
                text = await step(call["tool"], *call["args"].values())
        return await step(acts.record, "after")


@workflow.defn
class Troubles(Conversation):
    """Activities that fail, time out, are cancelled, are retried, are left behind."""

    messages = ("x",)

    @workflow.run
    async def run(self) -> None:
        await self.until_closed()
        workflow.start_activity(
            acts.never_ends, "x", start_to_close_timeout=SHORT, heartbeat_timeout=timedelta(seconds=5)
        )
        await workflow.sleep(timedelta(milliseconds=50))

    async def turn(self, text: str) -> str:
        await step(acts.fails_twice, text)
        once = RetryPolicy(maximum_attempts=1)
        for activity, options in (
            (acts.refuses, {}),
            (acts.never_ends, {"start_to_close_timeout": timedelta(seconds=0.3), "retry_policy": once}),
            (acts.record, {"task_queue": "nobody", "schedule_to_start_timeout": timedelta(seconds=0.2)}),
        ):
            with suppress(ActivityError):
                await step(activity, text, **options)
        handle = workflow.start_activity(
            acts.never_ends,
            text,
            start_to_close_timeout=SHORT,
            heartbeat_timeout=timedelta(seconds=0.5),  # a cancellation is delivered by a heartbeat
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        await workflow.sleep(timedelta(milliseconds=300))
        handle.cancel()
        with suppress(ActivityError):
            await handle
        return "survived"


@workflow.defn
class Outage(Conversation):
    """A service that is down until the virtual clock has moved on, by hours; the last activity is left waiting."""

    closes = False

    @classmethod
    async def play(cls, stage: Stage) -> None:
        first = await stage.begin(PACKED)
        await stage.lines(4)
        await stage.environment.fast_forward(stage.handle, timedelta(hours=6))
        await first.result()
        await stage.begin(script("Bye."))
        await stage.lines(6)

    async def turn(self, text: str) -> str:
        reply = await ask(desk(acts.look_up), text)
        by_the_hour = RetryPolicy(initial_interval=timedelta(hours=1), backoff_coefficient=2)
        await step(acts.fails_twice, "x", retry_policy=by_the_hour)
        return reply


@workflow.defn
class Helper:
    """A child that does nothing for an hour."""

    @workflow.run
    async def run(self) -> str:
        await workflow.sleep(timedelta(milliseconds=10))
        return "helped"


@workflow.defn
class Family(Conversation):
    """A child workflow and a timer: rows of the event table, not of the activity table."""

    messages = ("x",)
    children = (Helper,)

    async def turn(self, text: str) -> str:
        await workflow.sleep(timedelta(milliseconds=10))
        await workflow.execute_child_workflow(Helper.run, id=workflow.info().workflow_id + "-child")
        return await step(acts.record, text)
