"""The tests' model: it does what the customer's message says, a script of `playing.py`, and nothing else.

Where the conversation stands is read off the conversation itself, so that a retried call gets the same
answer, as from a model that thinks.
"""

import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

from agents import Model, ModelResponse, Usage
from agents.items import TResponseStreamEvent
from openai.types.responses import Response, ResponseCompletedEvent, ResponseFunctionToolCall
from temporalio.openai_agents.testing import ResponseBuilders

from tests.histories.playing import next_step


class ScriptedModel(Model):
    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    async def get_response(self, system_instructions: Any, input: Any, *args: Any, **kwargs: Any):
        return ModelResponse(output=self._answer(input), usage=Usage(), response_id=None)

    async def stream_response(
        self, system_instructions: Any, input: Any, *args: Any, **kwargs: Any
    ) -> AsyncIterator[TResponseStreamEvent]:
        response = Response(
            id="response",
            created_at=0,
            model="scripted",
            object="response",
            output=self._answer(input),
            parallel_tool_calls=True,
            tool_choice="auto",
            tools=[],
        )
        yield ResponseCompletedEvent(response=response, sequence_number=1, type="response.completed")

    def _answer(self, input: Any) -> list[Any]:
        items = [{"role": "user", "content": input}] if isinstance(input, str) else list(input)
        told = [i for i in items if i.get("role") == "user" or i.get("type") == "function_call_output"]
        step = next_step(item.get("content") for item in told)
        if isinstance(step, str):
            return [ResponseBuilders.response_output_message(step)]
        return [self._call(name, arguments) for name, arguments in step]

    def _call(self, name: str, arguments: Any) -> ResponseFunctionToolCall:
        number = next(self._numbers)
        return ResponseFunctionToolCall(
            id=f"item_{number}",
            call_id=f"call_{number}",
            name=name,
            arguments=arguments if isinstance(arguments, str) else json.dumps(arguments),
            type="function_call",
            status="completed",
        )
