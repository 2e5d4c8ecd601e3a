"""An agent of Google's ADK: activities as tools, and a tool of two activities."""

import asyncio
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
    from tests.histories.playing import call, next_step, script


class Scripted(BaseLlm):
    @classmethod
    def supported_models(cls) -> list[str]:
        return ["scripted"]

    async def generate_content_async(
        self, llm_request: Any, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        told = [
            part.text
            for content in llm_request.contents
            for part in content.parts
            if part.function_response or (content.role == "user" and part.text)
        ]
        yield LlmResponse(content=types.Content(role="model", parts=_parts(next_step(told))))


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
    """Google ADK: one call, two at once, a tool of two activities, no call."""

    messages = (
        script("Hello."),
        script([call("look_up", order=7)], "Packed."),
        script([call("look_up", order=7), call("stock", plant="fern")], "Both."),
        script([call("two_steps", order=7)], "Cancelled."),
        script("Bye."),
    )

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
    asyncio.run(play("google_adk", GoogleDesk, GoogleAdkPlugin()))
