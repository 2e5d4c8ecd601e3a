"""Record the tests' histories anew: `make histories`, or `python -m tests.histories.record [name ...]`.

Each scenario is played on a real Temporal server with the OpenAI Agents plugin and a scripted model, and
written to `recorded/<name>.json`:

    {"about": what it is for,
     "truth": [[activity, hand, turn], ...],      # written by the workflow's code while it ran
     "runs": [history, ...]}                      # as the server has it, one a run

The names of the machine and of the process are taken out. Ids and times differ from recording to
recording; what the tests compare does not.
"""

import asyncio
import json
import os
import sys
import sysconfig
import zlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
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
from temporalio.worker import Worker

from tests.histories import activities, workflows
from tests.histories.keeping import IDENTITY, runs_of, scrub, write
from tests.histories.ledger import LedgerInterceptor
from tests.histories.model import ScriptedModel

RECORDED = Path(__file__).parent / "recorded"
SERVER = Path(sysconfig.get_path("scripts")) / "temporal"

Play = Callable[["Stage"], Awaitable[None]]


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

    async def signal(self, *args: Any) -> None:
        await self.handle.signal("send", args=args)

    async def lines(self, count: int) -> None:
        """Wait until the workflow has written so many lines, and a moment for the last to end."""
        async with asyncio.timeout(20):
            while len(await self.handle.query("ledger")) < count:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)


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


def script(*steps: str | list) -> str:
    """What the scripted model is told to do: lists of tool calls, then the answer."""
    return json.dumps(steps)


def call(tool: str, arguments: dict[str, Any] | str | None = None, /, **named: Any) -> list:
    return [tool, named if arguments is None else arguments]


BOTH = "The same activity with equal arguments, by the agent and by the workflow: after, before and beside it"


@scenario(BOTH, workflows.BothHands)
async def both_hands(stage: Stage) -> None:
    for order in ("after", "before", "beside"):
        await stage.send(script([call("record", text="x")], "Recorded."), order)
    await stage.send(script("Not recorded."), "after")


SCENARIOS["both_hands_traced"] = replace(
    SCENARIOS["both_hands"], about=BOTH + "; tracing is on", tracing=True
)


@scenario("The workflow opens a trace of its own: no header tells the two hands apart", workflows.InOneTrace)
async def in_one_trace(stage: Stage) -> None:
    await stage.send(script([call("record", text="x")], [call("look_up", order=1)], "Done."))
    await stage.send(script("Nothing to do."))


SCENARIOS["in_one_trace_traced"] = replace(
    SCENARIOS["in_one_trace"], about="As in_one_trace; tracing is on", tracing=True
)


@scenario("Four calls in one answer, two of them equal", workflows.ParallelCalls)
async def parallel_calls(stage: Stage) -> None:
    calls = [call("look_up", order=1), call("record", text="x"), call("look_up", order=1)]
    await stage.send(script([*calls, call("look_up", order=2)], "Done."))


@scenario("A second agent takes over", workflows.Handoffs)
async def handoffs(stage: Stage) -> None:
    steps = [call("look_up", order=1)], [call("transfer_to_money")], [call("refund", order=1)]
    await stage.send(script(*steps, "Refunded."))
    await stage.send(script([call("transfer_to_money")], "Anything else?"))


@scenario("A function tool that runs two activities", workflows.ToolOfTwo)
async def tool_of_two(stage: Stage) -> None:
    await stage.send(script([call("cancel_order", order=7)], [call("notify", text="again")], "Cancelled."))
    await stage.send(script([call("cancel_order", order=8), call("look_up", order=8)], "Both."))


@scenario("An agent that is a tool of another agent", workflows.AgentsAsTools)
async def agents_as_tools(stage: Stage) -> None:
    inner = script([call("look_up", order=1)], [call("two_steps", order=2)], "Found.")
    await stage.send(script([call("research", input=inner), call("record", text="x")], "Done."))


@scenario("Renamed activities, defaults, numbers as text, an object", workflows.Renamed)
async def renamed(stage: Stage) -> None:
    first = [call("stock", plant="fern", urgent=False, discount="0"), call("find_order", order="12")]
    second = [call("ship", parcel={"weight": "2.5"})]
    await stage.send(script(first, second, "Done."))


@scenario("Nothing ties a renamed activity to the call but its arguments", workflows.CannotTell)
async def cannot_tell(stage: Stage) -> None:
    await stage.send(script([call("undocumented", plant="fern"), call("look_up", order=1)], "Done."))


LOCAL = script([call("note", order=1)], [call("look_up", order=1)], "Noted.")


@scenario("Local activities", workflows.LocalActivities)
async def local_activities(stage: Stage) -> None:
    await stage.send(LOCAL)


SCENARIOS["local_model"] = replace(
    SCENARIOS["local_activities"],
    about="Local activities, the model's calls among them",
    model={"use_local_activity": True},
)


@scenario("The model's answers are streamed", workflows.Streaming, model={"streaming_topic": "answers"})
async def streaming(stage: Stage) -> None:
    await stage.send(script([call("record", text="x")], [call("two_steps", order=1)], "Done."))
    await stage.send(script("Again."))


@scenario("Messages as signals, answered in the handler", workflows.Signals)
async def signals(stage: Stage) -> None:
    await stage.signal(script([call("look_up", order=1)], "Packed."))
    await stage.lines(4)
    await stage.signal(script("Bye."))
    await stage.lines(6)


@scenario("Messages as signals that fill a queue", workflows.Mailbox)
async def mailbox(stage: Stage) -> None:
    await stage.signal(script([call("look_up", order=1)], "Packed."))
    await stage.lines(4)
    await stage.signal(script("Bye."))
    await stage.lines(6)


@scenario(
    "Three runs of one conversation, and duties that outlive their turn",
    workflows.ContinuesAsNew,
    args=([], 0),
)
async def continues_as_new(stage: Stage) -> None:
    for order in (1, 2, 3):
        await stage.send(script([call("look_up", order=order)], f"Order {order}."))
        await asyncio.sleep(0.3)
    await asyncio.gather(stage.send(script("Four.")))
    await asyncio.sleep(0.3)
    await stage.send(script("Five."))


@scenario("A call that a person approves, or rejects, in a later turn", workflows.Approvals)
async def approvals(stage: Stage) -> None:
    await stage.send(script([call("refund", order=1)], "Refunded."))
    await stage.send(script([call("look_up", order=2)], "Packed."))
    await stage.send(True, update="decide")
    await stage.send(script([call("refund", order=3)], "Refunded."))
    await stage.send(False, update="decide")


@scenario("Run hooks around a tool call, and an agent that stops at its first tool's result", workflows.Hooks)
async def hooks(stage: Stage) -> None:
    await stage.send(script([call("look_up", order=1)], "Packed."), False)
    await stage.send(script([call("look_up", order=1)], "Packed."), True)


@scenario("A run hook that runs the tool's activity before the tool does", workflows.EagerHooks)
async def eager_hooks(stage: Stage) -> None:
    await stage.send(script([call("look_up", order=1), call("look_up", order=2)], "Packed."))


@scenario("An agent without a framework: the tools are not in the model call's input", workflows.OwnLoop)
async def own_loop(stage: Stage) -> None:
    await stage.send("Refund order 7.")


@scenario("A function tool that shares its activity's name and arguments", workflows.SharedName)
async def shared_name(stage: Stage) -> None:
    await stage.send(script([call("refund", order=1)], "Refunded."))


@scenario("Activities that fail, time out, are cancelled, are retried, are left behind", workflows.Troubles)
async def troubles(stage: Stage) -> None:
    await stage.send("x")


@scenario(
    "An outage of hours, retried on the virtual clock; the last activity is left waiting",
    workflows.Outage,
    closes=False,
)
async def outage(stage: Stage) -> None:
    first = await stage.begin(script([call("look_up", order=1)], "Packed."))
    await stage.lines(4)
    await stage.environment.fast_forward(stage.handle, timedelta(hours=6))
    await first.result()
    await stage.begin(script("Bye."))
    await stage.lines(6)


@scenario("A child workflow and a timer", workflows.Family)
async def family(stage: Stage) -> None:
    await stage.send("x")


@scenario("Tools of an MCP server", workflows.ToolServer)
async def tool_server(stage: Stage) -> None:
    await stage.send(script([call("water", plant="fern")], "Watered."))


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


SCENARIOS["sealed"] = replace(
    SCENARIOS["both_hands"], about="Payloads that cannot be decoded", codec=Sealed()
)


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


@asynccontextmanager
async def worker_for(client: Client, scene: Scenario, queue: str):
    """A client and a worker with the plugin set up as the scenario asks."""
    os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "0" if scene.tracing else "1"
    model = ModelActivityParameters(start_to_close_timeout=timedelta(seconds=20), **scene.model)
    plugin = OpenAIAgentsPlugin(
        model_params=model,
        model_provider=TestModelProvider(ScriptedModel()),
        mcp_server_providers=[StatelessMCPServerProvider("plants", PlantServer)],
    )
    config = client.config()
    config["plugins"] = [plugin]
    if scene.codec:
        config["data_converter"] = replace(config["data_converter"], payload_codec=scene.codec)
    client = Client(**config)
    async with Worker(
        client,
        task_queue=queue,
        workflows=workflows.ALL,
        activities=activities.ALL,
        interceptors=[LedgerInterceptor()],
        graceful_shutdown_timeout=timedelta(0),
    ):
        yield client


async def record(environment: WorkflowEnvironment, name: str, scene: Scenario) -> dict[str, Any]:
    async with worker_for(environment.client, scene, name) as client:
        handle = await client.start_workflow(scene.workflow.run, args=scene.args, id=name, task_queue=name)
        handle = client.get_workflow_handle(name)
        await scene.play(Stage(environment, handle))
        if scene.closes:
            await handle.signal("close")
            await handle.result()
        truth = await handle.query("ledger")
        runs = await runs_of(client, name)
        if not scene.closes:
            await handle.terminate()
    return {"about": scene.about, "truth": truth, "runs": [scrub(run.to_json_dict()) for run in runs]}


async def main(names: list[str]) -> None:
    if unknown := set(names) - set(SCENARIOS):
        sys.exit(f"No scenario is called {', '.join(sorted(unknown))}. There are: {', '.join(SCENARIOS)}.")
    set_trace_processors([])  # tracing on means recorded ids here, never an export
    RECORDED.mkdir(exist_ok=True)
    settings = ("frontend.WorkflowTimeSkippingEnabled=true", 'history.timerProcessorMaxTimeShift="10ms"')
    async with await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(enabled=False),
        identity=IDENTITY,
        dev_server_existing_path=str(SERVER),
        dev_server_log_level="error",
        dev_server_extra_args=[arg for value in settings for arg in ("--dynamic-config-value", value)],
    ) as environment:
        for name in names or SCENARIOS:
            recording = await record(environment, name, SCENARIOS[name])
            write(RECORDED / f"{name}.json", recording)
            print(f"{name}: {len(recording['truth'])} activities")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
