"""Workflows and activities that the course did not make. The lab has to run them as they are."""

import asyncio
import threading
import time
from datetime import timedelta

from agents import Agent, Runner
from temporalio import activity, workflow
from temporalio.common import RetryPolicy

from course.desk.answering import ask
from tests.inheriting import inherits_run

let_go = threading.Event()
"""What `hang` waits for."""


@activity.defn
def flaky(succeeds_at: int) -> int:
    """Fails until the attempt that it is told; returns that attempt."""
    attempt = activity.info().attempt
    if attempt < succeeds_at:
        raise ConnectionError(f"attempt {attempt}: the line is dead")
    return attempt


@activity.defn
def hang() -> str:
    let_go.wait(60)
    return "let go"


@activity.defn
def take_time(seconds: float) -> int:
    """Blocks its thread; returns its attempt."""
    time.sleep(seconds)
    return activity.info().attempt


@activity.defn
async def take_time_async(seconds: float) -> int:
    await asyncio.sleep(seconds)
    return activity.info().attempt


@activity.defn
def note_progress(done: str) -> str:
    """Notes what is done, goes on for a while, and fails; its next attempt says what it found."""
    if found := activity.info().heartbeat_details:
        return f"attempt {activity.info().attempt} found {found[0]}"
    activity.heartbeat(done)
    time.sleep(1)
    raise ConnectionError("the line is dead")


@activity.defn
async def shout(text: str) -> str:
    return text.upper()


@workflow.defn(name="echo-of-a-stranger")
class Echo:
    """No base class of the course, other handlers' names, no query; it is closed by an update."""

    def __init__(self) -> None:
        self._done = False

    @workflow.run
    async def run(self, customer: str) -> str:
        await workflow.wait_condition(lambda: self._done and workflow.all_handlers_finished())
        return f"{customer} has gone"

    @workflow.update
    async def say(self, text: str) -> str:
        answer = (await Runner.run(Agent(name="Stranger"), text)).final_output
        return await workflow.execute_activity(shout, answer, start_to_close_timeout=timedelta(seconds=5))

    @workflow.update
    async def finish(self) -> None:
        self._done = True


@workflow.defn
class Child:
    @workflow.run
    async def run(self, hours: int) -> str:
        await workflow.sleep(timedelta(hours=hours))
        return f"{hours} h"


@workflow.defn
class DoesAsTold:
    """Says its messages again, unless one begins with a word that it knows."""

    def __init__(self) -> None:
        self._closing = False

    @workflow.run
    async def run(self, customer: str) -> str:
        await workflow.wait_condition(lambda: self._closing and workflow.all_handlers_finished())
        return "closed"

    @workflow.signal
    def close(self) -> None:
        self._closing = True

    @workflow.update
    async def send(self, text: str) -> str:
        word, _, rest = text.partition(" ")
        minute = timedelta(minutes=1)
        silent = {"heartbeat_timeout": timedelta(seconds=3), "start_to_close_timeout": minute}
        match word:
            case "break":
                raise KeyError(text)
            case "exit":
                raise SystemExit
            case "hang":
                return await workflow.execute_activity(hang, start_to_close_timeout=5 * minute)
            case "note":
                return await workflow.execute_activity(note_progress, rest, **silent)
            case "minutely":  # eight hours are 480 retries
                again = RetryPolicy(initial_interval=minute, maximum_interval=minute)
                limit = timedelta(seconds=10)
                attempt = await workflow.execute_activity(
                    flaky, int(rest), start_to_close_timeout=limit, retry_policy=again
                )
                return f"attempt {attempt}"
            case (
                "slow"
            ):  # 4.5 s in a thread and as much in the event loop; a silence of three seconds is a death
                silent |= {"start_to_close_timeout": timedelta(seconds=float(rest))}
                once = RetryPolicy(maximum_attempts=1)
                tries = [
                    workflow.execute_activity(slow, 4.5, **silent, retry_policy=once)
                    for slow in (take_time, take_time_async)
                ]
                ended = await asyncio.gather(*tries, return_exceptions=True)
                return ", ".join(str(end.__cause__ if isinstance(end, Exception) else end) for end in ended)
            case "hourly":  # some work after an hour, and thirty days later again
                for pause in (timedelta(hours=1), timedelta(days=30)):
                    await workflow.sleep(pause)
                    await workflow.execute_activity(take_time, float(rest), start_to_close_timeout=minute)
            case "children":  # the second starts when the first has slept for three hours
                id = workflow.info().workflow_id
                slept = [
                    await workflow.execute_child_workflow(Child.run, hours, id=f"{id}/{hours}")
                    for hours in (3, 2)
                ]
                return ", ".join(slept)
        return text


@workflow.defn(name="HelloWorkflow")
@inherits_run
class BrokenHello(DoesAsTold):
    """Another version of a workflow of the course. Its own code raises."""

    @workflow.update
    async def send(self, text: str) -> str:
        raise KeyError(text)


@workflow.defn
class Patient(DoesAsTold):
    """Ends by itself when nobody has written for thirty days."""

    @workflow.run
    async def run(self, customer: str) -> str:
        try:
            await workflow.wait_condition(lambda: self._closing, timeout=timedelta(days=30))
        except TimeoutError:
            return "nobody wrote"
        return "closed"


@workflow.defn
class AsksOnce:
    """Runs the agent in `run` itself: a cancellation that is taken for a failure would end in an apology."""

    @workflow.run
    async def run(self, customer: str) -> str:
        return (await ask(Agent(name="Once"), [], customer)).text

    @workflow.update
    async def send(self, text: str) -> str:
        return text


WORKFLOWS = [Echo, DoesAsTold, Child, Patient, AsksOnce]
ACTIVITIES = [flaky, hang, note_progress, take_time, take_time_async, shout]
