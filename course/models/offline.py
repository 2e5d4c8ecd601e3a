"""The offline model: an `agents.Model` made of rules. Simulated: no network, the same answer every time."""

import json
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import httpx2
import openai
from agents import Model, ModelResponse
from temporalio import activity

from .choosing import SILENCE, Skill, Wanted, chosen, is_duty
from .filling import facts_of
from .notes import notes_of, takes_notes
from .replies import in_words, proposal, remembers, reply
from .understanding import Turn, clean, fingerprint, plain
from .wire import (
    ESTIMATED,
    NAME,
    ToolCall,
    as_json,
    as_response,
    call_items,
    estimated_usage,
    events_of,
    message_item,
    status_error,
)


@dataclass(frozen=True)
class Mistakes:
    """How often the model misbehaves: rates from 0 (never) to 1 (always).

    The seed and what the customer has written decide, so the same conversation makes the same mistakes: on a
    retry, in a replay, in another process. A higher rate makes all the mistakes of a lower one, and more.

    Raises:
        ValueError: a rate is no number from 0 to 1.
    """

    forget: float = 0  # leaves out a tool call that is due; decided for each call
    repeat: float = 0  # makes a tool call twice; each call
    malformed: float = 0  # sends arguments that are not JSON; each call
    mistyped: float = 0  # sends JSON of the wrong types; each call
    obey: float = 0  # skips its duties when a customer says "please don't record this"; each message
    invent: float = 0  # calls a tool that does not exist; each message
    loop: float = 0  # calls a tool again and again; each message
    refuse: float = 0  # is refused by its provider for good (HTTP 403); each message
    time_out: float = 0  # never answers in time, on any attempt; each message
    seed: int = 0

    def __post_init__(self) -> None:
        for rate in fields(self):
            value = getattr(self, rate.name)
            if rate.name != "seed" and (
                isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1
            ):
                raise ValueError(
                    f"Mistakes({rate.name}={value!r}): a rate is a number from 0 (never) to 1 (always)."
                )

    def happens(self, mistake: str, *about: Any) -> bool:
        return int(fingerprint(self.seed, mistake, *about)[:13], 16) / 16**13 < getattr(self, mistake)


@dataclass(frozen=True)
class Fails:
    """A script's step that fails on its first attempts with an HTTP status (503: come back later)."""

    times: int
    then: Any = None  # a step; None: the rules answer
    status: int = 503


Step = str | ToolCall | list[ToolCall] | Exception | Fails


class OfflineModel(Model):
    """Understands the shop (orders, stock, refunds, small talk), and any tool by its name, words and schema.

    It knows what a call hands it and nothing else. Token counts are estimates: `ESTIMATED` stands beside
    them, as `raw_usage`.

    Args:
        mistakes: how it misbehaves; not at all by default.
        script: steps that it plays in place of its rules, one a *logical* call: inside a Temporal activity
            all attempts of that activity are one call, and each workflow plays the script from the start;
            anywhere else each call is one. A step is a text (the answer), a `ToolCall` or a list of them, an
            exception (raised on every attempt) or `Fails`. A script that is used up hands over to the rules.
            Where it stands is remembered in this process only.

    Raises:
        TypeError: a step is none of these.
    """

    _lock = threading.Lock()  # of the class: a model goes to workers in other processes, and a lock cannot

    def __init__(self, *, mistakes: Mistakes | None = None, script: Sequence[Step] | None = None) -> None:
        if mistakes is not None and not isinstance(mistakes, Mistakes):
            raise TypeError(f"mistakes= takes Mistakes(forget=0.2, …), not {type(mistakes).__name__}.")
        self.mistakes = mistakes or Mistakes()
        self.script = script or []
        self.attempts = 0  # how often it was asked
        self._answered: set[tuple[str, ...]] = set()

    def __repr__(self) -> str:
        return f"<{NAME}, {self.calls} calls answered>"

    @property
    def script(self) -> Sequence[Step]:
        """A new one is played from its first step, also in a conversation that has begun."""
        return self._script

    @script.setter
    def script(self, steps: Sequence[Step]) -> None:
        self._script = [_checked(step) for step in ([steps] if isinstance(steps, str) else steps)]
        self._steps: dict[str, dict[tuple[str, ...], int]] = {}  # conversation -> logical call -> its step
        self._failed: dict[tuple[str, ...], int] = {}

    @property
    def calls(self) -> int:
        """How many logical calls were answered: the provider's own counter."""
        return len(self._answered)

    async def get_response(
        self,
        system_instructions: Any,
        input: Any,
        model_settings: Any,
        tools: Any,
        output_schema: Any,
        handoffs: Any,
        *_: Any,
        **__: Any,
    ) -> ModelResponse:
        """Answers one call. Arguments and result are those of `agents.Model`."""
        logical, attempt, step = self._begin()
        items = plain(input)
        turn = Turn.read(system_instructions, items)
        skills = _skills(tools, handoffs)
        says = None if step is None else _play(step, attempt)
        if says is None:
            says = self._by_rules(turn, skills, output_schema, getattr(model_settings, "tool_choice", None))
        seed = fingerprint(logical, turn.message, len(turn.earlier), len(turn.calls))
        said: Any = says if isinstance(says, str) else [[call.name, call.arguments] for call in says]
        output: list[Any] = [message_item(says, seed)] if isinstance(says, str) else call_items(says, seed)
        offered = [[skill.name, skill.description, skill.schema] for skill in skills]
        usage = estimated_usage([system_instructions, items, offered, _schema(output_schema)], said)
        self._answered.add(logical)
        return ModelResponse(output, usage, response_id=f"offline_{seed}", raw_usage=dict(ESTIMATED))

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """The same answer as a stream of Responses events, the text word by word."""
        answer = await self.get_response(*args, **kwargs)
        for event in events_of(as_response(answer)):
            yield event

    def _begin(self) -> tuple[tuple[str, ...], int, Step | None]:
        """The logical call, the attempt at it, and its step of the script (None: the rules answer)."""
        with self._lock:
            self.attempts += 1
            if activity.in_activity():
                info = activity.info()
                conversation, attempt = str(info.workflow_id), info.attempt
                logical: tuple[str, ...] = (conversation, str(info.workflow_run_id), info.activity_id)
            else:
                conversation = ""
                logical = ("", str(len(self._steps.get("", {})) + 1))
                attempt = self._failed.get(logical, 0) + 1
            steps = self._steps.setdefault(conversation, {})
            index = steps.get(logical, len(steps))
            step = self.script[index] if index < len(self.script) else None
            if conversation == "" and isinstance(step, Fails) and attempt <= step.times:
                self._failed[logical] = attempt  # the next call is taken for another attempt at this one
            else:
                steps[logical] = index
            return logical, attempt, step

    def _by_rules(
        self, turn: Turn, skills: list[Skill], output_schema: Any, tool_choice: Any
    ) -> str | list[ToolCall]:
        said = [*turn.earlier, turn.message]
        if self.mistakes.happens("refuse", said):
            raise status_error(403, "The offline model's provider refuses this request (simulated).")
        if self.mistakes.happens("time_out", said):
            raise openai.APITimeoutError(httpx2.Request("POST", "http://offline.invalid/v1/responses"))
        if not skills and takes_notes(turn.instructions):
            return notes_of(turn.whole)
        skills = [] if tool_choice == "none" else skills
        duties = {skill.name for skill in skills if is_duty(skill, turn.instructions)}
        asked_not_to = duties and SILENCE.search(turn.message.replace("’", "'"))
        obeyed = bool(asked_not_to) and self.mistakes.happens("obey", said)
        usable = [s for s in skills if s.name in duties] if remembers(turn.message) else skills

        def undone(wanted: list[Wanted]) -> list[str]:
            asked = [call for call in wanted if not call.duty and not call.name.startswith("transfer_to_")]
            return [in_words(call.name, json.dumps(call.arguments)) for call in asked]

        first = undone(chosen(turn, usable, ""))
        draft = f"One moment: {', '.join(first)}." if first else reply(turn, skills, duties)
        wanted = [call for call in chosen(turn, usable, draft) if not (obeyed and call.duty)]
        if not wanted and not turn.calls and tool_choice not in (None, "auto", "none"):
            forced = next((s for s in skills if tool_choice in ("required", s.name)), None)
            wanted = [Wanted.of(forced, facts_of(turn, turn.message, draft))] if forced else []
        calls = self._with_mistakes(turn, wanted, skills, said)
        if calls:
            return calls
        how = {"undone": undone(wanted), "obeyed": obeyed}
        if _schema(output_schema) is None:
            return reply(turn, skills, duties, **how)
        return proposal(_schema(output_schema), turn, skills, duties, **how)

    def _with_mistakes(
        self, turn: Turn, wanted: list[Wanted], skills: list[Skill], said: list[str]
    ) -> list[ToolCall]:
        if skills and self.mistakes.happens("loop", said):
            skill = next((s for s in skills if not s.handoff), skills[0])
            again = wanted[0] if wanted else Wanted.of(skill, facts_of(turn, turn.message))
            return [ToolCall(again.name, again.arguments)]
        calls = []
        if not turn.calls and self.mistakes.happens("invent", said):
            calls.append(ToolCall("consult_the_head_gardener", {"question": clean(turn.message, 200)}))
        for i, call in enumerate(wanted):
            about = (said, call.name, [other.name for other in wanted[:i]].count(call.name))
            if self.mistakes.happens("forget", *about):
                continue
            arguments: dict[str, Any] | str = call.arguments
            if self.mistakes.happens("mistyped", *about):
                arguments = {
                    k: {"value": v} if isinstance(v, str) else "as agreed" for k, v in call.arguments.items()
                }
            if self.mistakes.happens("malformed", *about):
                arguments = as_json(arguments)[:-1]
            calls += [ToolCall(call.name, arguments)] * (2 if self.mistakes.happens("repeat", *about) else 1)
        return calls


def _checked(step: Any) -> Step:
    whole = isinstance(step, list) and step and all(isinstance(call, ToolCall) for call in step)
    if isinstance(step, Fails):
        if step.then is not None:
            _checked(step.then)
    elif not (whole or isinstance(step, str | ToolCall | Exception)):
        raise TypeError(
            "A script's step is a text, a ToolCall, a list of them, an exception or Fails(times, then), "
            f"not {step!r}."
        )
    return step


def _play(step: Step | None, attempt: int) -> str | list[ToolCall] | None:
    if isinstance(step, Fails):
        if attempt <= step.times:
            said = f"The offline model fails attempt {attempt} of {step.times} (scripted)."
            raise status_error(step.status, said)
        return _play(step.then, attempt - step.times)
    if isinstance(step, Exception):
        raise step.with_traceback(None)
    return [step] if isinstance(step, ToolCall) else step


def _skills(tools: Any, handoffs: Any) -> list[Skill]:
    """Function tools and handoffs; what a provider runs itself (web search and its like) is left alone."""
    functions = [t for t in tools if hasattr(t, "params_json_schema")]
    found = [Skill.of(t.name, t.description or "", t.params_json_schema) for t in functions]
    return found + [
        Skill.of(h.tool_name, h.tool_description or "", h.input_json_schema, True) for h in handoffs
    ]


def _schema(output_schema: Any) -> dict[str, Any] | None:
    return None if output_schema is None or output_schema.is_plain_text() else output_schema.json_schema()
