"""An agent of Google's ADK: activities as tools, and a tool of two activities."""

import asyncio
import json
from collections.abc import AsyncGenerator
from datetime import timedelta
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

    from tests.histories.elsewhere.stage import Desk, acts, next_step, play, script, two_steps
    from tests.histories.ledger import hand


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
    wrapped = activity_as_tool(activity, start_to_close_timeout=timedelta(seconds=20))

    async def noted(*args: Any, **named: Any) -> Any:
        with hand("agent"):
            return await wrapped(*args, **named)

    noted.__name__, noted.__doc__ = wrapped.__name__, wrapped.__doc__
    noted.__signature__ = wrapped.__signature__
    noted.__annotations__ = wrapped.__annotations__
    return noted


@workflow.defn
class GoogleDesk(Desk):
    @workflow.run
    async def run(self) -> None:
        await self.until_closed()

    async def answer(self, text: str) -> str:
        tools = [tool(acts.look_up), tool(acts.stock), two_steps]
        runner = InMemoryRunner(
            Agent(name="desk", model=TemporalModel("scripted"), tools=tools), app_name="desk"
        )
        session = await runner.session_service.create_session(app_name="desk", user_id="ada")
        said = types.Content(role="user", parts=[types.Part(text=text)])
        reply = ""
        async for event in runner.run_async(user_id="ada", session_id=session.id, new_message=said):
            for part in (event.content and event.content.parts) or []:
                reply = part.text or reply
        return reply


if __name__ == "__main__":
    asyncio.run(
        play(
            "google_adk",
            "Google ADK: one call, two at once, a tool of two activities, no call",
            GoogleDesk,
            [
                script("Hello."),
                script([["look_up", {"order": 7}]], "Packed."),
                script([["look_up", {"order": 7}], ["stock", {"plant": "fern"}]], "Both."),
                script([["two_steps", {"order": 7}]], "Cancelled."),
                script("Bye."),
            ],
            [GoogleAdkPlugin()],
        )
    )
