"""Record the tests' histories anew: `make histories`, or `python -m tests.histories.record [name ...]`.

Each scenario is played on a real Temporal server with the OpenAI Agents plugin and a scripted model, and
written to `recorded/<name>.json`.
"""

import asyncio
import os
import sys
import zlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from agents import set_trace_processors
from agents.mcp import MCPServer
from mcp.types import CallToolResult, TextContent
from mcp.types import Tool as MCPTool
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateStage
from temporalio.converter import PayloadCodec
from temporalio.openai_agents import ModelActivityParameters, OpenAIAgentsPlugin, StatelessMCPServerProvider
from temporalio.openai_agents.testing import TestModelProvider
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment

from tests.histories import playing, workflows
from tests.histories.conversation import SHORT
from tests.histories.model import ScriptedModel
from tests.histories.playing import IDENTITY, SERVER, script

RECORDED = Path(__file__).parent / "recorded"


@dataclass
class Stage:
    """What a scenario plays on: one running workflow."""

    environment: WorkflowEnvironment
    handle: WorkflowHandle

    async def send(self, *args: Any, update: str = "send") -> Any:
        return await self.handle.execute_update(update, args=args)

    async def begin(self, *args: Any) -> Any:
        accepted = WorkflowUpdateStage.ACCEPTED
        return await self.handle.start_update("send", args=args, wait_for_stage=accepted)

    async def lines(self, count: int) -> None:
        """Wait until the workflow has written so many lines, and a moment for the last to end."""
        async with asyncio.timeout(20):
            while len(await self.handle.query("ledger")) < count:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)


Play = Callable[[Stage], Awaitable[None]]


@dataclass
class Scenario:
    about: str
    workflow: type
    play: Play
    args: Sequence[Any] = ()
    closes: bool = True
    tracing: bool = False
    model: dict[str, Any] = field(default_factory=dict)
    codec: PayloadCodec | None = None


SCENARIOS: dict[str, Scenario] = {}


def scenario(about: str, workflow: type, **options: Any) -> Callable[[Play], Play]:
    def register(play: Play) -> Play:
        SCENARIOS[play.__name__] = Scenario(about, workflow, play, **options)
        return play

    return register


def talk(name: str, about: str, workflow: type, *messages: str, **options: Any) -> None:
    """A scenario that is no more than a few messages."""

    async def play(stage: Stage) -> None:
        for message in messages:
            await stage.send(message)

    SCENARIOS[name] = Scenario(about, workflow, play, **options)


def again(name: str, about: str, as_in: str, **options: Any) -> None:
    """Another scenario, with other options."""
    SCENARIOS[name] = replace(SCENARIOS[as_in], about=about, **options)


def call(tool: str, arguments: dict[str, Any] | str | None = None, /, **named: Any) -> list:
    return [tool, named if arguments is None else arguments]


BOTH = "The same activity with equal arguments, by the agent and by the workflow: after, before and beside it"


@scenario(BOTH, workflows.BothHands)
async def both_hands(stage: Stage) -> None:
    for order in ("after", "before", "beside"):
        await stage.send(script([call("record", text="x")], "Recorded."), order)
    await stage.send(script("Not recorded."), "after")


again("both_hands_traced", BOTH + "; tracing is on", "both_hands", tracing=True)

talk(
    "in_one_trace",
    "The workflow opens a trace of its own: no header tells the two hands apart",
    workflows.InOneTrace,
    script([call("record", text="x")], [call("look_up", order=1)], "Done."),
    script("Nothing to do."),
)
again("in_one_trace_traced", "As in_one_trace; tracing is on", "in_one_trace", tracing=True)

ONE, TWO, X = call("look_up", order=1), call("look_up", order=2), call("record", text="x")
PACKED, REFUNDED = script([ONE], "Packed."), script([call("refund", order=1)], "Refunded.")
talk(
    "parallel_calls",
    "Four calls in one answer, two of them equal",
    workflows.ParallelCalls,
    script([ONE, X, ONE, TWO], "Done."),
)
MONEY = call("transfer_to_money")
talk(
    "handoffs",
    "A second agent takes over",
    workflows.Handoffs,
    script([ONE], [MONEY], [call("refund", order=1)], "Refunded."),
    script([MONEY], "Anything else?"),
)
talk(
    "tool_of_two",
    "A function tool that runs two activities",
    workflows.ToolOfTwo,
    script([call("cancel_order", order=7)], [call("notify", text="again")], "Cancelled."),
    script([call("cancel_order", order=8), call("look_up", order=8)], "Both."),
)
INNER = script([ONE], [call("two_steps", order=2)], "Found.")
talk(
    "agents_as_tools",
    "An agent that is a tool of another agent",
    workflows.AgentsAsTools,
    script([call("research", input=INNER), X], "Done."),
)
STOCK = call("stock", plant="fern", urgent=False, discount="0")
talk(
    "renamed",
    "Renamed activities, defaults, numbers as text, an object",
    workflows.Renamed,
    script([STOCK, call("find_order", order="12")], [call("ship", parcel={"weight": "2.5"})], "Done."),
)
talk(
    "cannot_tell",
    "Nothing ties a renamed activity to the call but its arguments",
    workflows.CannotTell,
    script([call("undocumented", plant="fern"), ONE], "Done."),
)
LOCAL = script([call("note", order=1)], [ONE], "Noted.")
talk("local_activities", "Local activities", workflows.LocalActivities, LOCAL)
again(
    "local_model",
    "Local activities, the model's calls among them",
    "local_activities",
    model={"use_local_activity": True},
)
talk(
    "streaming",
    "The model's answers are streamed",
    workflows.Streaming,
    script([X], [call("two_steps", order=1)], "Done."),
    script("Again."),
    model={"streaming_topic": "answers"},
)


@scenario("Messages as signals, answered in the handler", workflows.Signals)
async def signals(stage: Stage) -> None:
    for message, lines in ((PACKED, 4), (script("Bye."), 6)):
        await stage.handle.signal("send", message)
        await stage.lines(lines)


again("mailbox", "Messages as signals that fill a queue", "signals", workflow=workflows.Mailbox)


@scenario(
    "Three runs of one conversation, and duties that outlive their turn",
    workflows.ContinuesAsNew,
    args=([], 0),
)
async def continues_as_new(stage: Stage) -> None:
    for order in (1, 2, 3):
        await stage.send(script([call("look_up", order=order)], f"Order {order}."))
        await asyncio.sleep(0.3)
    await stage.send(script("Four."))
    await asyncio.sleep(0.3)
    await stage.send(script("Five."))


@scenario("A call that a person approves, or rejects, in a later turn", workflows.Approvals)
async def approvals(stage: Stage) -> None:
    await stage.send(REFUNDED)
    await stage.send(script([TWO], "Packed."))
    await stage.send(True, update="decide")
    await stage.send(script([call("refund", order=3)], "Refunded."))
    await stage.send(False, update="decide")


@scenario("Run hooks around a tool call, and an agent that stops at its first tool's result", workflows.Hooks)
async def hooks(stage: Stage) -> None:
    for stops in (False, True):
        await stage.send(PACKED, stops)


talk(
    "eager_hooks",
    "A run hook that runs the tool's activity before the tool does",
    workflows.EagerHooks,
    script([ONE, TWO], "Packed."),
)


@scenario("An agent without a framework: the tools are not in the model call's input", workflows.OwnLoop)
async def own_loop(stage: Stage) -> None:
    await stage.lines(1)
    await stage.send("Refund order 7.")


talk(
    "shared_name",
    "A function tool that shares its activity's name and arguments",
    workflows.SharedName,
    REFUNDED,
)
talk(
    "troubles",
    "Activities that fail, time out, are cancelled, are retried, are left behind",
    workflows.Troubles,
    "x",
)


@scenario(
    "An outage of hours, retried on the virtual clock; the last activity is left waiting",
    workflows.Outage,
    closes=False,
)
async def outage(stage: Stage) -> None:
    first = await stage.begin(PACKED)
    await stage.lines(4)
    await stage.environment.fast_forward(stage.handle, timedelta(hours=6))
    await first.result()
    await stage.begin(script("Bye."))
    await stage.lines(6)


talk("family", "A child workflow and a timer", workflows.Family, "x")
WATER = script([call("water", plant="fern")], "Watered.")
talk("tool_server", "Tools of an MCP server", workflows.ToolServer, WATER)


class Sealed(PayloadCodec):
    """Payloads that nobody else can read. (Compression will do: without the codec they are bytes.)"""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload(metadata={"encoding": b"binary/sealed"}, data=zlib.compress(p.SerializeToString()))
            for p in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload.FromString(zlib.decompress(p.data))
            if p.metadata.get("encoding") == b"binary/sealed"
            else p
            for p in payloads
        ]


again("sealed", "Payloads that cannot be decoded", "both_hands", codec=Sealed())


class PlantServer(MCPServer):
    """One tool, in this process."""

    name = "plants"

    async def connect(self) -> None: ...

    async def cleanup(self) -> None: ...

    async def list_tools(self, run_context: Any = None, agent: Any = None) -> list[MCPTool]:
        schema = {"type": "object", "properties": {"plant": {"type": "string"}}, "required": ["plant"]}
        return [MCPTool(name="water", description="Water a plant", input_schema=schema)]

    async def call_tool(self, tool_name: str, arguments: Any, meta: Any = None) -> CallToolResult:
        return CallToolResult(content=[TextContent(type="text", text="wet")])

    async def list_prompts(self) -> Any:
        raise NotImplementedError

    async def get_prompt(self, name: str, arguments: Any = None) -> Any:
        raise NotImplementedError


def client_for(client: Client, scene: Scenario) -> Client:
    """A client with the plugin set up as the scenario asks."""
    os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "0" if scene.tracing else "1"
    plugin = OpenAIAgentsPlugin(
        model_params=ModelActivityParameters(start_to_close_timeout=SHORT, **scene.model),
        model_provider=TestModelProvider(ScriptedModel()),
        mcp_server_providers=[StatelessMCPServerProvider("plants", PlantServer)],
    )
    converter = replace(client.data_converter, payload_codec=scene.codec)
    return Client(**client.config() | {"plugins": [plugin], "data_converter": converter})


async def record(environment: WorkflowEnvironment, name: str, scene: Scenario) -> dict[str, Any]:
    served = [scene.workflow, workflows.Helper]
    return await playing.record(
        client_for(environment.client, scene),
        name,
        scene.about,
        served,
        lambda handle: scene.play(Stage(environment, handle)),
        scene.args,
        scene.closes,
    )


async def main(names: list[str]) -> None:
    if unknown := set(names) - set(SCENARIOS):
        sys.exit(f"No scenario is called {', '.join(sorted(unknown))}. There are: {', '.join(SCENARIOS)}.")
    set_trace_processors([])  # tracing on means recorded ids here, never an export
    settings = ("frontend.WorkflowTimeSkippingEnabled=true", 'history.timerProcessorMaxTimeShift="10ms"')
    async with await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(enabled=False),
        identity=IDENTITY,
        dev_server_existing_path=SERVER,
        dev_server_log_level="error",
        dev_server_extra_args=[arg for value in settings for arg in ("--dynamic-config-value", value)],
    ) as environment:
        for name in names or SCENARIOS:
            recording = await record(environment, name, SCENARIOS[name])
            playing.write(RECORDED / f"{name}.json", recording)
            print(f"{name}: {len(recording['truth'])} activities")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
