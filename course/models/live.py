"""Which model answers: the offline one, any `agents.Model`, or a live one; and what its errors say."""

import contextlib
import inspect
import os
import re
import traceback
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import httpx2
import openai
from agents import Model, ModelProvider, ModelResponse, OpenAIProvider
from temporalio import activity
from temporalio.api.enums.v1 import PendingActivityState, TimeoutType
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.exceptions import ApplicationError, TemporalError

from .offline import OfflineModel

ATTEMPTS_AT_BROKEN_CODE = 4  # of a model's own; an outage is another matter, and the retry policy's
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_MAY_COME_BACK = (openai.APIError, OSError, TimeoutError, TemporalError)


class ModelError(ValueError):
    """The model that was asked for cannot be used; the message says what to do."""


def model_provider(model: Model | str | None = None) -> tuple[Model | str, ModelProvider]:
    """The model that was chosen, and the provider that the Temporal plugin asks for it.

    Args:
        model: None for the offline model (a key in the environment changes nothing), any `agents.Model`,
            or a live model's name. A name means the Agents SDK's own OpenAI provider, which speaks the
            Responses API to `OPENAI_BASE_URL` with `OPENAI_API_KEY`; an agent that names a model of its own
            gets that one. For an endpoint that speaks chat completions only, hand in an
            `agents.OpenAIChatCompletionsModel`.

    Returns:
        The model (or a live one's name), and a provider whose models raise errors that Temporal's retries can
        work with; see `GuardedModel`.

    Raises:
        ModelError: a name without a usable key, or something that is no model.
    """
    if model is None:
        model = OfflineModel()
    if isinstance(model, Model):
        return model, ChosenProvider(model)
    if inspect.isclass(model) and issubclass(model, Model):
        raise ModelError(f"model={model.__name__} is a class: give an instance, model={model.__name__}(…).")
    if not isinstance(model, str):
        raise ModelError(
            "model= takes nothing (the offline model), an agents.Model, or a live model's name, "
            f"not {type(model).__name__}."
        )
    if not model.strip():
        raise ModelError(
            "model='' names no model: leave model= out for the offline model, or give a live model's name."
        )
    key = os.environ.get("OPENAI_API_KEY", "").strip()
    if not key:
        raise ModelError(
            f"model={model!r} is a live model, and OPENAI_API_KEY is not set: set it (and OPENAI_BASE_URL "
            "for another endpoint than OpenAI's), or leave model= out for the offline model."
        )
    if not (key.isascii() and key.isprintable()):
        raise ModelError(
            "OPENAI_API_KEY holds a character that cannot be sent (a line break, an accent?): set it again."
        )
    client = openai_client(key, os.environ.get("OPENAI_BASE_URL"))
    return model.strip(), ChosenProvider(
        OpenAIProvider(openai_client=client, use_responses=True), name=model.strip(), client=client
    )


def openai_client(key: str, base_url: str | None) -> openai.AsyncOpenAI:
    """A client that tries once: the retries are Temporal's, which are on record.

    To an endpoint on this machine it goes straight, whatever the environment says of proxies: a proxy could not
    reach it, and would read what customers write. To any other it goes as the environment says.
    """
    on_this_machine = httpx2.URL(base_url or "").host in LOOPBACK
    try:
        http = openai.DefaultAsyncHttpx2Client(trust_env=not on_this_machine)
    except ImportError:
        raise ModelError(
            "The environment (ALL_PROXY, HTTPS_PROXY or HTTP_PROXY) names a SOCKS proxy, and the package that speaks "
            "SOCKS is missing: pip install socksio, or name a proxy that speaks HTTP."
        ) from None
    return openai.AsyncOpenAI(api_key=key, base_url=base_url or None, max_retries=0, http_client=http)


class ChosenProvider(ModelProvider):
    """Hands out guarded models: one given model whatever the name, or another provider's by name."""

    def __init__(
        self,
        source: Model | ModelProvider,
        *,
        name: str | None = None,
        client: openai.AsyncOpenAI | None = None,
    ) -> None:
        self._source, self._name, self._client = source, name, client

    def get_model(self, model_name: str | None) -> Model:
        source = self._source
        model = source if isinstance(source, Model) else source.get_model(model_name or self._name)
        return GuardedModel(model, self._client.api_key if self._client else "")

    async def aclose(self) -> None:
        """Closes a live model's connections, in the event loop that used them: nobody else would."""
        if self._client:
            await self._client.close()


class GuardedModel(Model):
    """A model whose errors are fit for history: no key in them, and no endless retry of code that is broken.

    What may come back (the provider's errors, the network's, timeouts, Temporal's own) passes: the retry
    policy decides. Any other exception is a fault in the model's code: it passes until attempt 4, which is
    the last.
    """

    def __init__(self, model: Model, key: str = "") -> None:
        self._model, self._key = model, key

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        with self._errors_judged():
            answer = await self._model.get_response(*args, **kwargs)
        _fill_empty_lists(answer.output)
        return answer

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        with self._errors_judged():
            async for event in self._model.stream_response(*args, **kwargs):
                _fill_empty_lists(getattr(getattr(event, "response", None), "output", ()))
                yield event

    @contextlib.contextmanager
    def _errors_judged(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if (judged := self._judged(error)) is error:
                raise
            raise judged from None

    def _judged(self, error: Exception) -> Exception:
        secrets = [s for s in {self._key, os.environ.get("OPENAI_API_KEY", "").strip()} if len(s) >= 4]
        _explain(error)
        for one in _chain(error):
            _redact(one, secrets)
        kind, hidden = type(error).__name__, "its error names a secret and is not shown"
        attempt = activity.info().attempt if activity.in_activity() else 1
        leaks = any(secret in "".join(traceback.format_exception(error)) for secret in secrets)
        if attempt >= ATTEMPTS_AT_BROKEN_CODE and not isinstance(error, _MAY_COME_BACK):
            what = hidden if leaks else f"{kind}: {str(error)[:1000]}"
            return ApplicationError(
                f"The model's own code failed {attempt} times and was given up: {what}",
                type=kind,
                non_retryable=True,
            )
        return ApplicationError(f"The model failed; {hidden}.", type=kind) if leaks else error


def _fill_empty_lists(output: Iterable[Any]) -> None:
    """Some endpoints send null where OpenAI sends an empty list; Pydantic refuses it in the next turn's input."""
    for item in output:
        for part in getattr(item, "content", None) or ():
            for name in ("logprobs", "annotations"):
                if getattr(part, name, ()) is None:
                    setattr(part, name, [])


def _explain(error: Exception) -> None:
    """Says in an error what a bare 404 leaves open: the endpoint may speak another API than the one it was asked by."""
    if (
        isinstance(error, openai.APIStatusError)
        and error.status_code in (404, 405, 501)
        and error.request.url.path.endswith("/responses")
        and error.code != "model_not_found"  # it does speak the Responses API
    ):
        error.args = (
            f"{error.request.url.host} does not take POST {error.request.url.path}: HTTP {error.status_code}. If it "
            "speaks chat completions only, give Lab.start, or model_provider in a worker of your own, "
            "model=OpenAIChatCompletionsModel('the model', AsyncOpenAI(max_retries=0)), from agents and openai, in "
            f"place of the name. It says: {error.message}",
        )


def slow_model(call: PendingActivityInfo) -> str | None:
    """What to do when somebody has waited in vain for a model that is slow. None: something else is wrong."""
    timed_out = call.last_failure.timeout_failure_info.timeout_type == TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
    works = call.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
    if not call.activity_type.name.startswith("invoke_model_activity") or not (
        timed_out or (works and not call.HasField("last_failure"))
    ):
        return None
    happens = (
        "The model did not answer within the time that one call may take, so the call is made again."
        if timed_out
        else "The model is still at work."
    )
    return (
        f"{happens} Nothing is lost: once it answers, `await chat.transcript()` shows the reply. To wait longer for a "
        "slow model: `await chat.send(…, timeout=120)`. One call may take 60 s, unless the lab gives it more: "
        "`Lab.start(model=…, model_calls=replace(MODEL_CALLS, start_to_close_timeout=timedelta(minutes=5)))`, with "
        "MODEL_CALLS from course.desk.plugin and replace from dataclasses."
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _redact(error: BaseException, secrets: list[str]) -> None:
    """Takes keys out of what an error says and carries, in place, so that its class and its headers stay."""

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            for secret in secrets:
                value = value.replace(secret, "[key]")
            return re.sub(r"\bsk-[\w*.-]{4,}", "[key]", value)  # masked halves of one, too
        if isinstance(value, dict):
            return {clean(k): clean(v) for k, v in value.items()}
        return type(value)(map(clean, value)) if type(value) in (list, tuple) else value

    error.args = clean(error.args)
    for name in ("message", "_message", "body", "_details", "__notes__", "strerror", "filename"):
        if isinstance(getattr(error, name, None), str | dict | list | tuple):
            with contextlib.suppress(AttributeError):
                setattr(error, name, clean(getattr(error, name)))
