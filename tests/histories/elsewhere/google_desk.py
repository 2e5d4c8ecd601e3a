"""An agent of Google's ADK: activities as tools, and a tool of two activities."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from google.adk.agents import Agent
    from google.adk.models import BaseLlm, LLMRegistry
    from google.adk.models.llm_response import LlmResponse
    from google.adk.runners import InMemoryRunner
    from google.genai import types
    from temporalio.google_adk import GoogleAdkPlugin, TemporalModel
    from temporalio.google_adk.workflow import activity_as_tool

    from tests.histories import activities as acts
    from tests.histories.conversation import SHORT, two_steps
    from tests.histories.elsewhere.stage import Desk, play
    from tests.histories.ledger import hand
    from tests.histories.playing import next_step, script


class Scripted(BaseLlm):
    @classmethod
    def supported_models(cls) -> list[str]:
        return ["scripted"]

    async def generate_content_async(
        self, llm_request: Any, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        parts = [
            (content.role, part)
            for content in llm_request.contents
            for part in content.parts
            if part.text is None or content.role == "user"
        ]
        said_last = max(n for n, (role, part) in enumerate(parts) if role == "user" and part.text)
        steps = json.loads(parts[said_last][1].text)
        answered = sum(part.function_response is not None for _, part in parts[said_last:])
        yield LlmResponse(content=types.Content(role="model", parts=_parts(next_step(steps, answered))))


def _parts(answer: Any) -> list[types.Part]:
    if isinstance(answer, str):
        return [types.Part(text=answer)]
    calls = [types.FunctionCall(name=name, args=arguments) for name, arguments in answer]
    return [types.Part(function_call=call) for call in calls]


LLMRegistry.register(Scripted)


def tool(activity: Any) -> Any:
    """The activity as the model's tool, noted in the ledger as the model's doing."""
    return hand("agent")(activity_as_tool(activity, start_to_close_timeout=SHORT))


@workflow.defn
class GoogleDesk(Desk):
    async def answer(self, text: str) -> str:
        tools = [tool(acts.look_up), tool(acts.stock), two_steps]
        agent = Agent(name="desk", model=TemporalModel("scripted"), tools=tools)
        runner = InMemoryRunner(agent, app_name="desk")
        session = await runner.session_service.create_session(app_name="desk", user_id="ada")
        said = types.Content(role="user", parts=[types.Part(text=text)])
        reply = ""
        async for event in runner.run_async(user_id="ada", session_id=session.id, new_message=said):
            for part in (event.content and event.content.parts) or []:
                reply = part.text or reply
        return reply


if __name__ == "__main__":
    both = [["look_up", {"order": 7}], ["stock", {"plant": "fern"}]]
    asyncio.run(
        play(
            "google_adk",
            "Google ADK: one call, two at once, a tool of two activities, no call",
            GoogleDesk,
            GoogleAdkPlugin(),
            script("Hello."),
            script([["look_up", {"order": 7}]], "Packed."),
            script(both, "Both."),
            script([["two_steps", {"order": 7}]], "Cancelled."),
            script("Bye."),
        )
    )
