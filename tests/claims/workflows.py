"""Workflows that show what the lessons say of Temporal and of the Agents SDK. Each does one thing."""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():  # also in a worker without the plugin
    from agents import (
        Agent,
        GuardrailFunctionOutput,
        InputGuardrail,
        RunConfig,
        Runner,
        RunState,
        function_tool,
    )
    from agents.exceptions import InputGuardrailTripwireTriggered

from tests.inheriting import inherits_run

TEN_SECONDS = timedelta(seconds=10)


@activity.defn
async def read(order: str) -> str:
    return f"row {order}"


@activity.defn
async def silent(seconds: float) -> str:
    """Says nothing while it works."""
    await asyncio.sleep(seconds)
    return "done"


@activity.defn
def refuse() -> None:
    raise ConnectionError("the line is dead")


class UntilClosed:
    def __init__(self) -> None:
        self.closing = False
        self.noted: Any = None

    async def until_closed(self) -> Any:
        await workflow.wait_condition(lambda: self.closing and workflow.all_handlers_finished())
        return self.noted

    @workflow.signal
    def close(self) -> None:
        self.closing = True

    @workflow.update
    async def send(self, text: str) -> str:
        return text

    @workflow.query
    def what(self) -> Any:
        return self.noted


@workflow.defn(name="Reads")
class Reads(UntilClosed):
    orders = ("1042", "1043")

    @workflow.run
    async def run(self, customer: str) -> Any:
        rows = {
            order: await workflow.execute_activity(read, order, start_to_close_timeout=TEN_SECONDS)
            for order in self.orders
        }
        self.noted = rows
        return await self.until_closed()


@workflow.defn(name="Reads")
@inherits_run
class ReadsTheOtherWayRound(Reads):
    orders = ("1043", "1042")


@workflow.defn
class NotesTimeAndId(UntilClosed):
    @workflow.run
    async def run(self, customer: str) -> Any:
        self.noted = [workflow.now().isoformat(), str(workflow.uuid4()), workflow.random().random()]
        return await self.until_closed()


@workflow.defn
class LeavesATaskAlone(UntilClosed):
    """Starts a task that raises, and awaits it nowhere."""

    @workflow.run
    async def run(self, customer: str) -> Any:
        self.task = asyncio.create_task(self.fail())
        return await self.until_closed()

    async def fail(self) -> None:
        self.noted = "it ran"
        raise LookupError("nobody hears of this")


@workflow.defn
class IsSilentInAnActivity(UntilClosed):
    """An activity that sends no heartbeats, and takes longer than their timeout."""

    @workflow.run
    async def run(self, customer: str) -> Any:
        return await workflow.execute_activity(
            silent,
            3.0,
            heartbeat_timeout=timedelta(seconds=1),
            start_to_close_timeout=TEN_SECONDS,
            retry_policy=RetryPolicy(maximum_attempts=1),
        )


@workflow.defn
class Raises(UntilClosed):
    @workflow.run
    async def run(self, customer: str) -> Any:
        raise LookupError("a bug")


@workflow.defn
class TriesAgain(UntilClosed):
    @workflow.run
    async def run(self, customer: str) -> Any:
        await workflow.execute_activity(refuse, start_to_close_timeout=TEN_SECONDS)


@workflow.defn(name="Fails")
class Fails(UntilClosed):
    @workflow.run
    async def run(self, customer: str) -> Any:
        return self.judge(await workflow.execute_activity(read, "1042", start_to_close_timeout=TEN_SECONDS))

    def judge(self, row: str) -> str:
        raise ApplicationError("a mistake")


@workflow.defn(name="Fails")
@inherits_run
class FailsNoMore(Fails):
    def judge(self, row: str) -> str:
        return row


@workflow.defn
class Counts(UntilClosed):
    @workflow.init
    def __init__(self, customer: str, count: int = 0) -> None:
        super().__init__()
        self.count, self.renewing = count, False

    @workflow.run
    async def run(self, customer: str, count: int = 0) -> Any:
        await workflow.wait_condition(lambda: self.renewing or self.closing)
        if self.renewing:
            workflow.continue_as_new(args=[customer, self.count])
        return await self.until_closed()

    @workflow.signal
    def renew(self) -> None:
        self.renewing = True

    @workflow.update
    async def send(self, text: str) -> str:
        self.count += 1
        return str(self.count)


@workflow.defn
class AsksForManyPatches:
    @workflow.run
    async def run(self, customer: str) -> None:
        for turn in range(150):
            workflow.patched(f"tell-the-team/turn-{turn}")


@workflow.defn
class WritesEvents(UntilClosed):
    """Adds events to its history until the server ends it."""

    @workflow.run
    async def run(self, customer: str) -> Any:
        for _ in range(100):
            for number in range(1000):
                workflow.upsert_memo({"number": number})
            await workflow.sleep(timedelta(milliseconds=1))


@workflow.defn
class HoldsItsUpdates(UntilClosed):
    @workflow.run
    async def run(self, customer: str) -> Any:
        return await self.until_closed()

    @workflow.update
    async def send(self, text: str) -> str:
        await workflow.wait_condition(lambda: self.noted)
        return text

    @workflow.signal
    def let_go(self) -> None:
        self.noted = "let go"


@workflow.defn
class CutsItsUpdatesOff(UntilClosed):
    @workflow.run
    async def run(self, customer: str) -> None:
        await workflow.wait_condition(lambda: self.noted or self.closing)
        if self.noted:
            workflow.continue_as_new(customer)

    @workflow.update(unfinished_policy=workflow.HandlerUnfinishedPolicy.ABANDON)
    async def send(self, text: str) -> str:
        self.noted = text
        await workflow.wait_condition(lambda: False)
        return text


async def waits_first(context: Any, agent: Agent[Any], input: Any) -> GuardrailFunctionOutput:
    await workflow.sleep(timedelta(milliseconds=10))
    return GuardrailFunctionOutput(output_info=None, tripwire_triggered=True)


@workflow.defn
class ChecksBesideTheModel(UntilClosed):
    in_parallel = True

    @workflow.run
    async def run(self, customer: str) -> Any:
        guardrail = InputGuardrail(waits_first, run_in_parallel=self.in_parallel)
        try:
            await Runner.run(Agent(name="Guarded", input_guardrails=[guardrail]), "My card is 4111.")
        except InputGuardrailTripwireTriggered:
            return "stopped"
        return "not stopped"


@workflow.defn
@inherits_run
class ChecksBeforeTheModel(ChecksBesideTheModel):
    in_parallel = False


@function_tool
def now_without_async() -> str:
    """Looks at nothing outside."""
    return "noon"


@workflow.defn
class UsesATool(UntilClosed):
    """Runs an agent whose only tool is a plain function."""

    @workflow.run
    async def run(self, customer: str) -> Any:
        return str((await Runner.run(Agent(name="Tools", tools=[now_without_async]), customer)).final_output)


@workflow.defn
class LeavesTheMemoryToTheProvider(UntilClosed):
    """Names the provider's last response in place of handing the conversation over."""

    @workflow.run
    async def run(self, customer: str) -> Any:
        agent, last = Agent(name="Forgetful"), None
        for text in ("My name is Ada.", "What is my name?"):
            last = (await Runner.run(agent, text, previous_response_id=last)).last_response_id
        return last


@function_tool(needs_approval=True)
async def pay(order: str) -> str:
    """Pay money back for an order."""
    return f"{order} is paid"


@workflow.defn
class CarriesAnInterruptedRun(UntilClosed):
    """Writes an interrupted run as JSON, and resumes it in a new run of the workflow."""

    @workflow.run
    async def run(self, model: str, state: dict[str, Any] | None = None) -> Any:
        agent = Agent(name="Approval", tools=[pay])
        if state is None:
            result = await Runner.run(agent, "Pay order 1042 back.")
            workflow.continue_as_new(args=[model, result.to_state().to_json()])
        resumed = await RunState.from_json(agent, state)
        [waiting] = resumed.get_interruptions()
        resumed.approve(waiting)
        config = RunConfig(model=model or None)
        return str((await Runner.run(agent, resumed, run_config=config)).final_output)


WORKFLOWS = [
    Reads,
    NotesTimeAndId,
    LeavesATaskAlone,
    IsSilentInAnActivity,
    Raises,
    TriesAgain,
    Fails,
    Counts,
    AsksForManyPatches,
    WritesEvents,
    HoldsItsUpdates,
    CutsItsUpdatesOff,
    ChecksBesideTheModel,
    ChecksBeforeTheModel,
    LeavesTheMemoryToTheProvider,
    UsesATool,
    CarriesAnInterruptedRun,
]
ACTIVITIES = [read, silent, refuse]
