"""An agent of Strands: activities as tools, and a tool of two activities. Its model's answers are streams."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterable
from datetime import timedelta
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from strands import tool
    from strands.models import Model
    from temporalio.strands_agents import StrandsPlugin, TemporalAgent
    from temporalio.strands_agents.workflow import activity_as_tool

    from tests.histories.elsewhere.stage import Desk, acts, next_step, play, script, two_steps
    from tests.histories.ledger import hand


class Scripted(Model):
    def update_config(self, **model_config: Any) -> None: ...

    def get_config(self) -> Any:
        return {}

    def structured_output(self, *args: Any, **kwargs: Any) -> AsyncGenerator[dict[str, Any], None]:
        raise NotImplementedError

    async def stream(self, messages: Any, *args: Any, **kwargs: Any) -> AsyncIterable[Any]:
        blocks = [(message["role"], block) for message in messages for block in message["content"]]
        said_last = max(n for n, (role, block) in enumerate(blocks) if role == "user" and "text" in block)
        steps = json.loads(blocks[said_last][1]["text"])
        answered = sum("toolResult" in block for _, block in blocks[said_last:])
        yield {"messageStart": {"role": "assistant"}}
        answer = next_step(steps, answered)
        if isinstance(answer, str):
            yield {"contentBlockStart": {"start": {}}}
            yield {"contentBlockDelta": {"delta": {"text": answer}}}
            yield {"contentBlockStop": {}}
        else:
            for number, (name, arguments) in enumerate(answer):
                use = {"name": name, "toolUseId": f"use-{len(blocks)}-{number}"}
                yield {"contentBlockStart": {"start": {"toolUse": use}}}
                text = json.dumps(arguments)
                for piece in (text[:5], text[5:]):
                    yield {"contentBlockDelta": {"delta": {"toolUse": {"input": piece}}}}
                yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "end_turn" if isinstance(answer, str) else "tool_use"}}


def agent_tool(activity: Any) -> Any:
    """The activity as the model's tool, noted in the ledger as the model's doing."""
    wrapped = activity_as_tool(activity, start_to_close_timeout=timedelta(seconds=20))
    stream = wrapped.stream

    async def noted(*args: Any, **named: Any) -> Any:
        with hand("agent"):
            async for event in stream(*args, **named):
                yield event

    wrapped.stream = noted
    return wrapped


@workflow.defn
class StrandsDesk(Desk):
    @workflow.run
    async def run(self) -> None:
        await self.until_closed()

    async def answer(self, text: str) -> str:
        tools = [agent_tool(acts.look_up), agent_tool(acts.refund), tool(two_steps)]
        agent = TemporalAgent(model="scripted", tools=tools, start_to_close_timeout=timedelta(seconds=20))
        return str(await agent.invoke_async(text))


if __name__ == "__main__":
    asyncio.run(
        play(
            "strands",
            "Strands: one call, two at once, a tool of two activities, no call",
            StrandsDesk,
            [
                script("Hello."),
                script([["look_up", {"order": 7}]], "Packed."),
                script([["look_up", {"order": 7}], ["refund", {"order": 7}]], "Both."),
                script([["two_steps", {"order": 7}]], "Cancelled."),
                script("Bye."),
            ],
            [StrandsPlugin(models={"scripted": Scripted})],
        )
    )
