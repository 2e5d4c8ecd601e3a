"""An agent of Pydantic AI: tools that its integration runs as activities, and a tool of two activities."""

import asyncio
import sys
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic_ai import Agent, FunctionToolset
    from pydantic_ai.durable_exec.temporal import PydanticAIPlugin, TemporalDurability
    from pydantic_ai.mcp import MCPToolset, StdioTransport
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart, UserPromptPart
    from pydantic_ai.models.function import FunctionModel

    from tests.histories.conversation import two_steps
    from tests.histories.elsewhere.stage import Desk, play
    from tests.histories.playing import call, next_step, script


def scripted(messages: list[Any], info: Any) -> ModelResponse:
    parts = [part for message in messages for part in message.parts]
    told = [part for part in parts if isinstance(part, UserPromptPart | ToolReturnPart)]
    answer = next_step(part.content if isinstance(part, UserPromptPart) else None for part in told)
    if isinstance(answer, str):
        return ModelResponse(parts=[TextPart(answer)])
    return ModelResponse(parts=[ToolCallPart(name, arguments) for name, arguments in answer])


shop: FunctionToolset = FunctionToolset(id="shop")


@shop.tool_plain
async def stock(plant: str) -> str:
    """Say how many of a plant are left."""
    return f"3 x {plant}"


@shop.tool_plain
async def opening_hours() -> str:
    """Say when the shop is open."""
    return "9 to 5"


shop.add_function(two_steps, name="cancel_order", takes_ctx=False, metadata={"temporal": False})

process = StdioTransport(sys.executable, ["-m", "tests.histories.elsewhere.garden"])
toolsets = [shop, MCPToolset(process, id="garden")]
agent = Agent(FunctionModel(scripted), name="desk", toolsets=toolsets, capabilities=[TemporalDurability()])


@workflow.defn
class PydanticDesk(Desk):
    """Pydantic AI: one call, two at once (one to an MCP server), a tool of two activities, no call."""

    messages = (
        script("Hello."),
        script([call("stock", plant="fern")], "Three."),
        script([call("opening_hours"), call("water", plant="fern")], "Both."),
        script([call("cancel_order", order=7)], "Cancelled."),
        script("Bye."),
    )
    __pydantic_ai_agents__ = (agent,)

    async def answer(self, text: str) -> str:
        return (await agent.run(text)).output


if __name__ == "__main__":
    asyncio.run(play("pydantic_ai", PydanticDesk, PydanticAIPlugin()))
