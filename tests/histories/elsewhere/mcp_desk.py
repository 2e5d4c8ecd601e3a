"""An agent of the OpenAI Agents SDK with the tools of a real MCP server: a process of its own, over stdio."""

import asyncio
import sys
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from agents import Agent, Runner, function_tool
    from agents.mcp import MCPServerStdio
    from temporalio.openai_agents import ModelActivityParameters, OpenAIAgentsPlugin
    from temporalio.openai_agents.testing import TestModelProvider
    from temporalio.openai_agents.workflow import temporal_mcp_server

    from tests.histories.conversation import SHORT, two_steps
    from tests.histories.elsewhere.stage import Desk, play
    from tests.histories.model import ScriptedModel
    from tests.histories.playing import call, script


def garden(*args: Any) -> MCPServerStdio:
    process = {"command": sys.executable, "args": ["-m", "tests.histories.elsewhere.garden"]}
    return MCPServerStdio(process, name="garden")


@workflow.defn
class McpDesk(Desk):
    """The OpenAI Agents SDK and an MCP server: one call, three at once, a tool of two activities, no call."""

    messages = (
        script([call("water", plant="fern")], "Watered."),
        script([call("water", plant="ivy", litres="2"), call("weather"), call("two_steps", order=7)], "All."),
        script("Bye."),
    )

    async def answer(self, text: str) -> str:
        server = temporal_mcp_server("garden")
        agent: Agent[Any] = Agent(name="desk", mcp_servers=[server], tools=[function_tool(two_steps)])
        return str((await Runner.run(agent, text)).final_output)


if __name__ == "__main__":
    plugin = OpenAIAgentsPlugin(
        model_params=ModelActivityParameters(start_to_close_timeout=SHORT),
        model_provider=TestModelProvider(ScriptedModel()),
        mcp_servers={"garden": garden},
    )
    asyncio.run(play("mcp", McpDesk, plugin))
