"""The tests' own workflows, one for each way in which an activity can come to be scheduled.

None of them is the course's. Each keeps a ledger of what it really did (`ledger.py`), against which the
tables made from its recorded history are held.
"""

import asyncio
import dataclasses
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from agents import Agent, FunctionTool, RunContextWrapper, RunHooks, Runner, Tool, function_tool, trace
    from temporalio.contrib.workflow_streams import WorkflowStream
    from temporalio.openai_agents.workflow import activity_as_tool, stateless_mcp_server

    from tests.histories import activities as acts
    from tests.histories.conversation import SHORT, Conversation, UntilClosed, step, two_steps
    from tests.histories.ledger import hand


async def ask(agent: Agent, text: str, **options: Any) -> str:
    return str((await Runner.run(agent, text, **options)).final_output)


def agent_tool(activity: Callable, **changes: Any) -> FunctionTool:
    """The activity as the model's tool; `changes` replace what the model sees (its name, say)."""
    tool = activity_as_tool(activity, start_to_close_timeout=SHORT, **changes.pop("options", {}))
    return dataclasses.replace(tool, on_invoke_tool=hand("agent")(tool.on_invoke_tool), **changes)


@workflow.defn
class BothHands(UntilClosed):
    """The same activity with equal arguments, by the agent and by the workflow: after, before and beside it."""

    @workflow.run
    async def run(self) -> None:
        await self.until_closed()
        await step(acts.record, "the end")

    @workflow.update
    async def send(self, text: str, order: str) -> str:
        self.open_turn()
        agent = Agent(name="desk", tools=[agent_tool(acts.record)])
        if order == "before":
            await step(acts.record, "x")
        beside = asyncio.create_task(step(acts.record, "x")) if order == "beside" else None
        reply = await ask(agent, text)
        if order == "after":
            await step(acts.record, "x")
        if beside:
            await beside
        return reply


@workflow.defn
class InOneTrace(Conversation):
    """As BothHands, but the workflow opens a trace of its own around everything: the header tells nothing."""

    async def turn(self, text: str) -> str:
        agent = Agent(name="desk", tools=[agent_tool(acts.record), agent_tool(acts.look_up)])
        with trace("the whole turn"):
            await step(acts.record, "x")
            reply = await ask(agent, text)
            await step(acts.record, "x")
            await step(acts.look_up, 1)
        return reply


@workflow.defn
class ParallelCalls(Conversation):
    """Several calls in one answer of the model, two of them equal; then the workflow's own step."""

    async def turn(self, text: str) -> str:
        agent = Agent(name="desk", tools=[agent_tool(acts.look_up), agent_tool(acts.record)])
        reply = await ask(agent, text)
        await asyncio.gather(step(acts.look_up, 1), step(acts.record, "x"))
        return reply


@workflow.defn
class Handoffs(Conversation):
    """A second agent takes over, and calls a tool of its own; the turn is in a trace of the workflow's."""

    async def turn(self, text: str) -> str:
        money = Agent(name="money", handoff_description="For refunds", tools=[agent_tool(acts.refund)])
        desk = Agent(name="desk", handoffs=[money], tools=[agent_tool(acts.look_up)])
        with trace("turn"):
            reply = await ask(desk, text)
            await step(acts.notify, "after")
        return reply


@workflow.defn
class ToolOfTwo(Conversation):
    """A function tool whose code runs two activities, one of them also a tool of the model's."""

    async def turn(self, text: str) -> str:
        @function_tool
        @hand("tool")
        async def cancel_order(order: int) -> str:
            """Cancel an order, and tell the customer."""
            await step(acts.refund, order)
            return await step(acts.notify, f"order {order} is cancelled")

        agent = Agent(name="desk", tools=[cancel_order, agent_tool(acts.notify), agent_tool(acts.look_up)])
        reply = await ask(agent, text)
        await step(acts.notify, "answered")
        return reply


@workflow.defn
class AgentsAsTools(Conversation):
    """An agent that is a tool of another: the inner one's calls run while the outer's call is open."""

    async def turn(self, text: str) -> str:
        inner = Agent(name="researcher", tools=[agent_tool(acts.look_up), function_tool(two_steps)])
        tools = [inner.as_tool("research", "Find something out"), agent_tool(acts.record)]
        outer = Agent(name="desk", tools=tools)
        reply = await ask(outer, text)
        await step(acts.look_up, 1)
        return reply


@workflow.defn
class Renamed(Conversation):
    """Activities under other names than their tools', defaults, numbers as text, an object."""

    async def turn(self, text: str) -> str:
        agent = Agent(
            name="desk",
            tools=[
                agent_tool(acts.stock),
                agent_tool(acts.look_up, name="find_order"),
                agent_tool(acts.ship, strict_json_schema=False),
            ],
        )
        reply = await ask(agent, text)
        await step(acts.stock, "fern", False, 0.0)
        return reply


@workflow.defn
class CannotTell(Conversation):
    """A renamed activity without a docstring, as a tool: nothing ties it to the call but its arguments."""

    async def turn(self, text: str) -> str:
        agent = Agent(
            name="desk",
            tools=[agent_tool(acts.undocumented), agent_tool(acts.look_up, options={"summary": "Find it"})],
        )
        reply = await ask(agent, text)
        await step(acts.undocumented, "fern")
        return reply


@workflow.defn
class LocalActivities(Conversation):
    """Local activities, beside ordinary ones; the model's calls may be local too (the plugin's setting)."""

    async def turn(self, text: str) -> str:
        @function_tool
        @hand("tool")
        async def note(order: int) -> str:
            """Note something down, in the worker itself."""
            return await self.here(acts.notify, f"order {order}")

        agent = Agent(name="desk", tools=[note, agent_tool(acts.look_up)])
        reply = await ask(agent, text)
        await self.here(acts.record, text)
        await step(acts.record, "x")
        return reply

    async def here(self, activity: Callable, *args: Any) -> Any:
        return await workflow.execute_local_activity(activity, args=args, start_to_close_timeout=SHORT)


@workflow.defn
class Streaming(Conversation):
    """The model's answers come as a stream of events."""

    @workflow.init
    def __init__(self) -> None:
        super().__init__()
        self.stream = WorkflowStream()

    async def turn(self, text: str) -> str:
        agent = Agent(name="desk", tools=[agent_tool(acts.record), function_tool(two_steps)])
        result = Runner.run_streamed(agent, text)
        async for _ in result.stream_events():
            pass
        await step(acts.record, "x")
        return str(result.final_output)


@workflow.defn
class Signals(UntilClosed):
    """Messages as signals, answered in the signal's handler."""

    @workflow.run
    async def run(self) -> None:
        await self.until_closed()
        await step(acts.record, "the end")

    @workflow.signal
    async def send(self, text: str) -> None:
        self.open_turn()
        await ask(Agent(name="desk", tools=[agent_tool(acts.look_up)]), text)
        await step(acts.record, "x")


@workflow.defn
class Mailbox(UntilClosed):
    """Messages as signals that only fill a queue; the workflow's main function answers them, one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: list[str] = []

    @workflow.run
    async def run(self) -> None:
        agent = Agent(name="desk", tools=[agent_tool(acts.look_up)])
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
    """A new run for every second turn, and a duty that a turn leaves behind and the drain waits for."""

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
            reply = await ask(Agent(name="desk", tools=[agent_tool(acts.look_up)]), text)
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
class Approvals(Conversation):
    """A call that a person approves in a later turn; between, an unrelated question is answered."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: Any = None  # the agents.RunState of the run that was interrupted

    def agent(self) -> Agent:
        return Agent(
            name="desk", tools=[agent_tool(acts.refund, needs_approval=True), agent_tool(acts.look_up)]
        )

    async def turn(self, text: str) -> str:
        result = await Runner.run(self.agent(), text)
        await step(acts.record, "x")
        if result.interruptions:
            self.waiting = result.to_state()
            return "That needs an approval."
        return str(result.final_output)

    @workflow.update
    async def decide(self, approved: bool) -> str:
        self.open_turn()
        for item in self.waiting.get_interruptions():
            if approved:
                self.waiting.approve(item)
            else:
                self.waiting.reject(item)
        result = await Runner.run(self.agent(), self.waiting)
        await step(acts.refund, 1)
        return str(result.final_output)


class Audit(RunHooks):
    """The workflow's own code, which the Agents SDK calls at every tool call."""

    async def on_tool_start(self, context: RunContextWrapper, agent: Agent, tool: Tool) -> None:
        await step(acts.record, "before")

    async def on_tool_end(self, context: RunContextWrapper, agent: Agent, tool: Tool, result: Any) -> None:
        await step(acts.record, "after")


@workflow.defn
class Hooks(UntilClosed):
    """Run hooks around the model's tool call; and an agent that stops at its first tool's result."""

    @workflow.update
    async def send(self, text: str, stop: bool) -> str:
        self.open_turn()
        agent = Agent(
            name="desk",
            tools=[agent_tool(acts.look_up)],
            tool_use_behavior="stop_on_first_tool" if stop else "run_llm_again",
        )
        reply = await ask(agent, text, hooks=Audit())
        await step(acts.look_up, 1)
        return reply


class Eager(RunHooks):
    """A hook that looks the order up before the model's call for it gets there."""

    async def on_llm_end(self, *args: Any) -> None:
        if any(item.type == "function_call" for item in args[-1].output):
            await step(acts.look_up, 1)


@workflow.defn
class EagerHooks(Conversation):
    """A run hook that runs the tool's own activity, with the call's arguments, before the tool does."""

    async def turn(self, text: str) -> str:
        return await ask(Agent(name="desk", tools=[agent_tool(acts.look_up)]), text, hooks=Eager())


@workflow.defn
class OwnLoop(Conversation):
    """An agent without a framework: an activity asks the model, and the workflow runs what it names."""

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
class SharedName(Conversation):
    """A function tool that shares its activity's name and arguments, and then runs another."""

    async def turn(self, text: str) -> str:
        @function_tool
        @hand("tool")
        async def refund(order: int) -> str:
            """Give the money back, and say so."""
            await step(acts.refund, order)
            return await step(acts.notify, "told")

        reply = await ask(Agent(name="desk", tools=[refund]), text)
        await step(acts.notify, "told")
        return reply


@workflow.defn
class Troubles(Conversation):
    """Every way in which an activity can end, or not end."""

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
    """A service that is down until the virtual clock has moved on: two retries, hours apart."""

    async def turn(self, text: str) -> str:
        reply = await ask(Agent(name="desk", tools=[agent_tool(acts.look_up)]), text)
        await step(
            acts.fails_twice,
            "x",
            retry_policy=RetryPolicy(initial_interval=timedelta(hours=1), backoff_coefficient=2),
        )
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

    async def turn(self, text: str) -> str:
        await workflow.sleep(timedelta(milliseconds=10))
        await workflow.execute_child_workflow(Helper.run, id=workflow.info().workflow_id + "-child")
        return await step(acts.record, text)


@workflow.defn
class ToolServer(Conversation):
    """Tools of an MCP server, reached through the plugin's own activities."""

    async def turn(self, text: str) -> str:
        server = stateless_mcp_server("plants")
        reply = await ask(Agent(name="desk", mcp_servers=[server]), text)
        await step(acts.record, "x")
        return reply
