"""What goes over the wire: the items, responses, events and errors of the Responses API."""

import json
import math
from dataclasses import dataclass
from typing import Any, get_args

import httpx2
import openai
from agents import ModelResponse, Usage
from openai.types import responses as parts
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails, ResponseUsage

from .understanding import fingerprint

NAME = "offline-model (simulated)"
ESTIMATED = {"estimated": True, "rule": "characters / 4, rounded up; no tokenizer ran"}


@dataclass(frozen=True)
class ToolCall:
    """A script's tool call. Arguments as a dict, or a text that goes out as it is (malformed, too)."""

    name: str
    arguments: dict[str, Any] | str = "{}"


def status_error(status: int, message: str) -> openai.APIStatusError:
    """The error that the OpenAI client raises for an HTTP status."""
    kinds = {400: openai.BadRequestError, 401: openai.AuthenticationError, 403: openai.PermissionDeniedError,
             404: openai.NotFoundError, 429: openai.RateLimitError}  # fmt: skip
    kind = kinds.get(status, openai.InternalServerError if status >= 500 else openai.APIStatusError)
    response = httpx2.Response(status, request=httpx2.Request("POST", "http://offline.invalid/v1/responses"))
    return kind(message, response=response, body=None)


def as_json(arguments: dict[str, Any] | str) -> str:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()


def call_items(calls: list[ToolCall], seed: str) -> list[parts.ResponseFunctionToolCall]:
    items = []
    for index, call in enumerate(calls):
        unique = fingerprint(seed, index)[:24]
        said = {"name": call.name, "arguments": as_json(call.arguments), "status": "completed"}
        ids = {"id": f"fc_{unique}", "call_id": f"call_{unique}"}
        items.append(parts.ResponseFunctionToolCall(type="function_call", **ids, **said))
    return items


def message_item(text: str, seed: str) -> parts.ResponseOutputMessage:
    content = parts.ResponseOutputText(type="output_text", text=text, annotations=[], logprobs=[])
    return parts.ResponseOutputMessage(
        type="message", id=f"msg_{seed[:24]}", role="assistant", status="completed", content=[content]
    )


def estimated_usage(asked: Any, said: Any) -> Usage:
    """Estimates: a token for four characters of instructions, conversation, tools and schema."""
    read, wrote = (math.ceil(len(json.dumps(what, ensure_ascii=False)) / 4) for what in (asked, said))
    return Usage(requests=1, input_tokens=read, output_tokens=wrote, total_tokens=read + wrote)


def as_response(answer: ModelResponse, model: str = NAME) -> parts.Response:
    """A model's answer as the Responses API sends it."""
    usage = ResponseUsage(
        input_tokens=answer.usage.input_tokens,
        output_tokens=answer.usage.output_tokens,
        total_tokens=answer.usage.total_tokens,
        input_tokens_details=InputTokensDetails(cached_tokens=0, cache_write_tokens=0),
        output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
    )
    return parts.Response(
        id=answer.response_id or "resp_0", created_at=0, model=model, object="response", status="completed",
        output=answer.output, parallel_tool_calls=True, tool_choice="auto", tools=[], usage=usage,
        metadata={"simulated": NAME},
    )  # fmt: skip


def events_of(response: parts.Response) -> list[Any]:
    """The stream of events that ends in this response, its texts word by word."""
    events: list[Any] = []

    def tell(event: Any, **said: Any) -> None:
        [kind] = get_args(event.model_fields["type"].annotation)
        events.append(event(type=kind, sequence_number=len(events), **said))

    begun = response.model_copy(update={"output": [], "status": "in_progress", "usage": None})
    tell(parts.ResponseCreatedEvent, response=begun)
    tell(parts.ResponseInProgressEvent, response=begun)
    for at, item in enumerate(response.output):
        called = item.type == "function_call"
        empty = {"arguments": ""} if called else {"content": []}
        started = item.model_copy(update={"status": "in_progress", **empty})
        tell(parts.ResponseOutputItemAddedEvent, item=started, output_index=at)
        where: dict[str, Any] = {"output_index": at, "item_id": item.id}
        if called:
            tell(parts.ResponseFunctionCallArgumentsDeltaEvent, delta=item.arguments, **where)
            done = parts.ResponseFunctionCallArgumentsDoneEvent
            tell(done, name=item.name, arguments=item.arguments, **where)
        else:
            text, where["content_index"] = item.content[0], 0
            tell(parts.ResponseContentPartAddedEvent, part=text.model_copy(update={"text": ""}), **where)
            for word in text.text.replace(" ", " \0").split("\0"):
                tell(parts.ResponseTextDeltaEvent, delta=word, logprobs=[], **where)
            tell(parts.ResponseTextDoneEvent, text=text.text, logprobs=[], **where)
            tell(parts.ResponseContentPartDoneEvent, part=text, **where)
        tell(parts.ResponseOutputItemDoneEvent, item=item, output_index=at)
    tell(parts.ResponseCompletedEvent, response=response)
    return events
