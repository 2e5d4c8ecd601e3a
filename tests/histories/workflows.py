"""The tests' own workflows, one for each way in which an agent's activity can come to be scheduled.

None of them is the course's. Each keeps a ledger of what it really did (`ledger.py`), against which the
tables made from its recorded history are held.
"""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from agents import Agent, FunctionTool, RunContextWrapper, RunHooks, Runner, Tool, function_tool, trace
    from temporalio.contrib.workflow_streams import WorkflowStream
    from temporalio.openai_agents.workflow import activity_as_tool, stateless_mcp_server

    from tests.histories import activities as acts
    from tests.histories.conversation import SHORT, Conversation, UntilClosed, step, two_steps
    from tests.histories.ledger import hand
    from tests.histories.playing import ONE, PACKED, REFUND, REFUNDED, TWO, Stage, X, call, script

MONEY = call("transfer_to_money")


async def ask(agent: Agent, text: str, **options: Any) -> str:
    return str((await Runner.run(agent, text, **options)).final_output)


def agent_tool(activity: Callable, **changes: Any) -> FunctionTool:
    """The activity as the model's tool; `changes` replace what the model sees (its name, say)."""
    tool = activity_as_tool(activity, start_to_close_timeout=SHORT, **changes.pop("options", {}))
    return dataclasses.replace(tool, on_invoke_tool=hand("agent")(tool.on_invoke_tool), **changes)


def desk(*tools: Callable | Tool, **options: Any) -> Agent:
    """An agent, and what it may call: tools, and activities."""
    own = [tool if isinstance(tool, FunctionTool) else agent_tool(tool) for tool in tools]
    return Agent(name="desk", tools=own, **options)


@workflow.defn
class BothHands(UntilClosed):
    """The same activity with equal arguments, by the agent and by the workflow: after, before and beside it."""

    @classmethod
    async def play(cls, stage: Stage) -> None:
        for order in ("after", "before", "beside"):
            await stage.send(script([X], "Recorded."), order)
        await stage.send(script("Not recorded."), "after")

    @workflow.run
    async def run(self) -> None:
        await self.until_closed()
        await step(acts.record, "the end")

    @workflow.update
    async def send(self, text: str, order: str) -> str:
        self.open_turn()
        agent = desk(acts.record)
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

    messages = script([X], [ONE], "Done."), script("Nothing to do.")

    async def turn(self, text: str) -> str:
        agent = desk(acts.record, acts.look_up)
        with trace("the whole turn"):
            await step(acts.record, "x")
            reply = await ask(agent, text)
            await step(acts.record, "x")
            await step(acts.look_up, 1)
        return reply


@workflow.defn
class ParallelCalls(Conversation):
    """Four calls in one answer of the model, two of them equal; then the workflow's own step."""

    messages = (script([ONE, X, ONE, TWO], "Done."),)

    async def turn(self, text: str) -> str:
        reply = await ask(desk(acts.look_up, acts.record), text)
        await asyncio.gather(step(acts.look_up, 1), step(acts.record, "x"))
        return reply


@workflow.defn
class Handoffs(Conversation):
    """A second agent takes over, and calls a tool of its own; the turn is in a trace of the workflow's."""

    messages = script([ONE], [MONEY], [REFUND], "Refunded."), script([MONEY], "Anything else?")

    async def turn(self, text: str) -> str:
        money = Agent(name="money", handoff_description="For refunds", tools=[agent_tool(acts.refund)])
        with trace("turn"):
            reply = await ask(desk(acts.look_up, handoffs=[money]), text)
            await step(acts.notify, "after")
        return reply


@workflow.defn
class ToolOfTwo(Conversation):
    """A function tool whose code runs two activities, one of them also a tool of the model's."""

    messages = (
        script([call("cancel_order", order=7)], [call("notify", text="again")], "Cancelled."),
        script([call("cancel_order", order=8), call("look_up", order=8)], "Both."),
    )

    async def turn(self, text: str) -> str:
        @function_tool
        @hand("tool")
        async def cancel_order(order: int) -> str:
            """Cancel an order, and tell the customer."""
            await step(acts.refund, order)
            return await step(acts.notify, f"order {order} is cancelled")

        reply = await ask(desk(cancel_order, acts.notify, acts.look_up), text)
        await step(acts.notify, "answered")
        return reply


@workflow.defn
class AgentsAsTools(Conversation):
    """An agent that is a tool of another: the inner one's calls run while the outer's call is open."""

    inner = script([ONE], [call("two_steps", order=2)], "Found.")
    messages = (script([call("research", input=inner), X], "Done."),)

    async def turn(self, text: str) -> str:
        inner = Agent(name="researcher", tools=[agent_tool(acts.look_up), function_tool(two_steps)])
        reply = await ask(desk(inner.as_tool("research", "Find something out"), acts.record), text)
        await step(acts.look_up, 1)
        return reply


@workflow.defn
class Renamed(Conversation):
    """Activities under other names than their tools', defaults, numbers as text, an object."""

    first = call("stock", plant="fern", urgent=False, discount="0"), call("find_order", order="12")
    messages = (script([*first], [call("ship", parcel={"weight": "2.5"})], "Done."),)

    async def turn(self, text: str) -> str:
        find_order = agent_tool(acts.look_up, name="find_order")
        reply = await ask(desk(acts.stock, find_order, agent_tool(acts.ship, strict_json_schema=False)), text)
        await step(acts.stock, "fern", False, 0.0)
        return reply


@workflow.defn
class CannotTell(Conversation):
    """A renamed activity without a docstring, as a tool: nothing ties it to the call but its arguments."""

    messages = (script([call("undocumented", plant="fern"), ONE], "Done."),)

    async def turn(self, text: str) -> str:
        find = agent_tool(acts.look_up, options={"summary": "Find it"})
        reply = await ask(desk(acts.undocumented, find), text)
        await step(acts.undocumented, "fern")
        return reply


@workflow.defn
class LocalActivities(Conversation):
    """Local activities, beside ordinary ones; the model's calls may be local too (the plugin's setting)."""

    messages = (script([call("note", order=1)], [ONE], "Noted."),)

    async def turn(self, text: str) -> str:
        @function_tool
        @hand("tool")
        async def note(order: int) -> str:
            """Note something down, in the worker itself."""
            return await self.here(acts.notify, f"order {order}")

        reply = await ask(desk(note, acts.look_up), text)
        await self.here(acts.record, text)
        await step(acts.record, "x")
        return reply

    async def here(self, activity: Callable, *args: Any) -> Any:
        return await workflow.execute_local_activity(activity, args=args, start_to_close_timeout=SHORT)


@workflow.defn
class Streaming(Conversation):
    """The model's answers come as a stream of events."""

    messages = script([X], [call("two_steps", order=1)], "Done."), script("Again.")

    @workflow.init
    def __init__(self) -> None:
        super().__init__()
        self.stream = WorkflowStream()

    async def turn(self, text: str) -> str:
        result = Runner.run_streamed(desk(acts.record, function_tool(two_steps)), text)
        async for _ in result.stream_events():
            pass
        await step(acts.record, "x")
        return str(result.final_output)


@workflow.defn
class Approvals(Conversation):
    """A call that a person approves, or rejects, in a later turn; between, an unrelated question is answered."""

    @classmethod
    async def play(cls, stage: Stage) -> None:
        await stage.send(REFUNDED)
        await stage.send(script([TWO], "Packed."))
        await stage.send(True, update="decide")
        await stage.send(script([call("refund", order=3)], "Refunded."))
        await stage.send(False, update="decide")

    def __init__(self) -> None:
        super().__init__()
        self.waiting: Any = None  # the agents.RunState of the run that was interrupted

    def agent(self) -> Agent:
        return desk(agent_tool(acts.refund, needs_approval=True), acts.look_up)

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

    @classmethod
    async def play(cls, stage: Stage) -> None:
        for stops in (False, True):
            await stage.send(PACKED, stops)

    @workflow.update
    async def send(self, text: str, stop: bool) -> str:
        self.open_turn()
        behaviour = "stop_on_first_tool" if stop else "run_llm_again"
        reply = await ask(desk(acts.look_up, tool_use_behavior=behaviour), text, hooks=Audit())
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

    messages = (script([ONE, TWO], "Packed."),)

    async def turn(self, text: str) -> str:
        return await ask(desk(acts.look_up), text, hooks=Eager())


@workflow.defn
class SharedName(Conversation):
    """A function tool that shares its activity's name and arguments, and then runs another."""

    messages = (REFUNDED,)

    async def turn(self, text: str) -> str:
        @function_tool
        @hand("tool")
        async def refund(order: int) -> str:
            """Give the money back, and say so."""
            await step(acts.refund, order)
            return await step(acts.notify, "told")

        reply = await ask(desk(refund), text)
        await step(acts.notify, "told")
        return reply


@workflow.defn
class ToolServer(Conversation):
    """Tools of an MCP server, reached through the plugin's own activities."""

    messages = (script([call("water", plant="fern")], "Watered."),)

    async def turn(self, text: str) -> str:
        reply = await ask(desk(mcp_servers=[stateless_mcp_server("plants")]), text)
        await step(acts.record, "x")
        return reply
