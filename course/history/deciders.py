"""Who decided that an activity runs: `plugin`, `agent`, `tool`, `workflow`, or `unknown`.

An activity that the model asked for and one that the workflow's code asked for leave the same events. What
tells them apart is elsewhere in the history: in what the model answered before, and in what it was
given afterwards. A *call* is a `function_call` in a model's recorded answer. It is *open* from the end of
that model call until its output (a `function_call_output` with its `call_id`) is in the input of a
later one. From this follows, for every activity:

`plugin`     The integration schedules it for its own ends: the model calls, its MCP and sandbox operations.
             They are known by the names under which the plugin registers them; no other name is looked at.
`agent`      It is what an open call asks for: the same operation, with the same arguments. An activity uses
             the call up. The turn does not matter: what a person has to approve may run in a later one.
             A tool of an MCP server is what the call asks for, too: the plugin's `call-tool` with its name.
`tool`       It is not what an open call asks for, but a call is open: the model called a tool, and that
             tool's own code chose this activity.
`workflow`   No call is open that could have led to it: the workflow's own code asked for it.
`unknown`    The record proves none of these. It is never guessed.

*The same operation*: the activity's type is the call's name; or its summary is the description that the
model was given of the tool (`activity_as_tool` writes the one into the other, and activities can be
renamed). *The same arguments*: see `arguments.py`; an object that code has put in front of them is not compared.

Three more things in the record make the rule sharper:

- The plugin notes on every activity whether it was scheduled inside an agent run (`__openai_span`: a trace
  id, or `no-op` where tracing is off) or outside (null). No call leads to what is noted as outside.
- A tool that is an activity runs that activity and nothing else. So what runs while only such calls are
  open was chosen by code of the workflow's, in a run hook, say. That a tool is one is proved, for all its
  calls, where its description is the summary of an activity that one of them asked for. If one that looked
  like the tool's came before it, that one was a hook's.
- A call to a handoff is no call to a tool.

**Scope.** All of this is about the OpenAI Agents SDK and its plugin (`temporalio-openai-agents`). Of an
agent of any other framework, or of none, the record proves only that there is one (`foreign.py`: its model
calls have a form that gives them away). From its first answer that calls a tool, nothing is called the
workflow's: every row that is not the plugin's, and is not proved to be what an open call asks for, is
`unknown`, and so are that agent's model calls before. A workflow without an agent has decided everything
itself, and is read so unless a result looks like a call. A result that cannot be read may have been such an answer: what comes after it is `unknown`.

**What the record cannot prove**

- A function tool's code may run an activity of the tool's own name, with the call's own arguments. This is
  `agent`: the model asked for just that, whoever wrote the wrapper. So may a run hook, before the tool's code
  runs at all: then the hook's is `agent` and the tool's is `tool`, unless the tool is an activity and has a
  description.
- While the call of a function tool is open, other code may run beside it: the workflow's own, if it opened
  a `trace()` around the agent run (else the note tells), run hooks, guardrails. This is `tool`.
- Calls may be left over, their output never given to a model: an agent that stops at its first tool, a
  conversation that does not carry its items on. They stay open. If the workflow opened a `trace()`, or the
  plugin's notes are missing, its own activities after them are `tool`.
- A renamed activity whose tool has no description, or a summary of its own, looks like a function tool's
  activity that was given the same arguments: `unknown`.
- A local model call leaves its answer but not its input: there is neither a description nor a schema, and
  no outputs. Its calls count as answered by the next local model call of the same agent in the same turn,
  since the Agents SDK asks again only when every call has its output; after any other model call they are
  in doubt. Local activities leave neither arguments nor a note, so they are never `agent`.
- Hosted tools and function tools without activities leave nothing of their own.
- A result that names, beside an object, a later activity (a plan, a routing rule) or what its input describes
  with a JSON schema (a structured output) looks like a model's answer: `unknown`.
- A foreign agent is not seen if its model calls leave no activity with such a form: a graph whose node binds
  the tools and whose next node runs them all under one name; a model call in a child workflow; a local one,
  unless its tools are activities by their own names; an answer that is no call, and that the workflow's code
  acts upon. Before the first call, what the framework does besides model calls and listings of tools is said
  to be the workflow's.
- Where results cannot be read, a foreign agent beside one of the plugin's is not seen: the note is believed.
"""

import re
from collections import deque
from functools import cache, cached_property
from typing import Any

from course.history.arguments import same_arguments, same_object
from course.history.executions import Activity
from course.history.foreign import foreign_agent_in
from course.history.reading import Unreadable, value_of

MODEL_CALLS = {"invoke_model_activity", "invoke_model_activity_streaming"}
_is_plugin = cache(
    re.compile(
        r"invoke_model_activity(_streaming)?"
        r"|temporalio\.mcp\..+\.(list-tools|call-tool|list-prompts|get-prompt|list-resources"
        r"|list-resource-templates|read-resource)"
        r"|.+-(stateless|stateful)-(list-tools|list-prompts|(call-tool|get-prompt)(-v2)?)"
        r"|.+-stateful-server-session"
        r"|.+-sandbox_(client|session)_\w+"
    ).fullmatch
)
_is_mcp_call = cache(
    re.compile(r"temporalio\.mcp\..+\.call-tool|.+-(stateless|stateful)-call-tool(-v2)?").fullmatch
)


class ModelCall:
    """A model call, and what the model was given: read once, and only where the rule needs it."""

    def __init__(self, activity: Activity) -> None:
        self.activity = activity

    @cached_property
    def given(self) -> dict[str, Any] | None:
        """What it was given; None where the record does not hold it."""
        given = (self.activity.arguments or [None])[0]
        return given if isinstance(given, dict) else None

    def _items(self, field: str) -> list[dict[str, Any]]:
        return _dicts(self.given.get(field)) if self.given else []

    @cached_property
    def in_agent_run(self) -> bool | None:
        return _in_agent_run(self.activity)

    @cached_property
    def outputs(self) -> set[str]:
        """The ids of the calls whose outputs it was given."""
        items = self._items("input")
        return {item.get("call_id") for item in items if item.get("type") == "function_call_output"}

    @cached_property
    def tools(self) -> dict[str, dict[str, Any]]:
        """The tools as it was given them, by name."""
        return {tool.get("name"): tool for tool in self._items("tools")}

    @cached_property
    def handoffs(self) -> set[str]:
        """The names by which it can hand over to another agent."""
        return {handoff.get("tool_name") for handoff in self._items("handoffs")}

    def answer(self) -> dict[str, Any] | None:
        """What the model answered, its `output` and `usage`; None where that cannot be read."""
        answer = self.activity.result
        if isinstance(answer, list):  # streamed: a list of events, the whole answer in the one that ends it
            ends = [event for event in _dicts(answer) if event.get("type") == "response.completed"]
            answer = ends[-1].get("response") if ends else {}
        return answer if isinstance(answer, dict) else None

    def calls(self) -> list["Call"]:
        """The function calls in the model's answer."""
        answer = self.answer()
        if answer is None:
            return [Call(self, None)]
        items = _dicts(answer.get("output"))
        return [Call(self, item) for item in items if item.get("type") == "function_call"]


class Call:
    """A function call in a model's answer; or, without an item, an answer that cannot be read."""

    def __init__(self, model_call: ModelCall, item: dict[str, Any] | None) -> None:
        self.model_call = model_call
        self.id, self.name, self.arguments = (
            (item or {}).get(field) for field in ("call_id", "name", "arguments")
        )
        self.is_unreadable = self.in_doubt = item is None  # in doubt: whether it is open cannot be told
        self.used_by: Activity | None = None  # that was what it asked for

    @property
    def tool(self) -> dict[str, Any]:
        return self.model_call.tools.get(self.name, {})

    @property
    def description(self) -> str | None:
        """Of the tool, as the model was given it."""
        return self.tool.get("description")


def decide(activities: list[Activity]) -> None:
    """Set `decided_by` of every activity. They come in the order of scheduling, with their turns."""
    answered = [a for a in activities if a.name in MODEL_CALLS and a.status == "completed"]
    answers = deque(sorted(answered, key=lambda model_call: model_call.closed_position))
    in_flight: dict[int, ModelCall] = {}
    open_calls: list[Call] = []
    activity_tools: set[tuple] = set()  # tools that are proved to be one activity and nothing else
    by_tools: list[tuple[Activity, list[Call]]] = []
    for activity in activities:
        while answers and answers[0].closed_position < activity.position:
            answer = in_flight.pop(answers.popleft().position)
            open_calls = _with_new(open_calls, answer.calls())
        if activity.name in MODEL_CALLS:
            model_call = in_flight[activity.position] = ModelCall(activity)
            open_calls = _still_open(open_calls, model_call)
        if _is_plugin(activity.name) and not (open_calls and _is_mcp_call(activity.name)):
            activity.decided_by = "plugin"
            continue
        possible = _led_to_by(open_calls, activity)
        verdicts = [_asks_for(call, activity) for call in possible]
        if True in verdicts:
            activity.decided_by = "agent"
            call = possible[verdicts.index(True)]
            if call.used_by is not None:  # by an activity that only looked like the tool's
                call.used_by.decided_by, call.used_by.asked_by = "tool", None
                by_tools.append((call.used_by, possible))
            call.used_by = activity
            activity.asked_by = call.model_call.activity, call.id
            is_the_tool = _is_plugin(activity.name) or activity.summary == call.description
            if call.description and is_the_tool:
                activity_tools.add((call.name, call.description))
            if is_the_tool or not call.description:  # else a function tool's code may go on
                open_calls.remove(call)
        elif _is_plugin(activity.name):
            activity.decided_by = "unknown" if None in verdicts else "plugin"
        elif None in verdicts or any(call.in_doubt for call in possible):
            activity.decided_by = "unknown"
        elif possible:
            activity.decided_by = "tool"
            by_tools.append((activity, possible))
        else:
            activity.decided_by = "workflow"
    for activity, possible in by_tools:
        if all((call.name, call.description) in activity_tools for call in possible):
            activity.decided_by = "workflow"
    others = [activity for activity in activities if not _is_plugin(activity.name)]
    _doubt_for_foreign(others, has_agent=any(activity.name in MODEL_CALLS for activity in activities))


def _doubt_for_foreign(activities: list[Activity], has_agent: bool) -> None:
    """What the agent of another framework may have decided is `unknown`.

    Where nothing but payloads that cannot be read speaks for one, and there is an agent of the plugin's, the
    plugin's note is believed: it is that agent, and no second one, that the workflow asks.
    """
    agent = foreign_agent_in(activities)
    for activity in activities:
        if activity.decided_by not in ("workflow", "tool"):
            continue
        chosen = activity.position > agent.answered or activity.name in agent.types
        doubtful = activity.decided_by == "workflow" and activity.position > agent.in_doubt
        if chosen or (doubtful and not (has_agent and _in_agent_run(activity) is False)):
            activity.decided_by = "unknown"


def _with_new(calls: list[Call], new: list[Call]) -> list[Call]:
    """One answer that cannot be read casts as much doubt as a thousand."""
    if any(call.is_unreadable for call in new):
        calls = [call for call in calls if not call.is_unreadable]
    return calls + new


def _still_open(calls: list[Call], model_call: ModelCall) -> list[Call]:
    """The calls whose output this model call is not given."""
    if not calls:
        return calls
    if model_call.activity.is_local:
        return [call for call in calls if not _answered_by_local(call, model_call.activity)]
    if model_call.given is None:
        for call in calls:
            call.in_doubt = True
    return [call for call in calls if call.is_unreadable or call.id not in model_call.outputs]


def _answered_by_local(call: Call, local: Activity) -> bool:
    asked_by = call.model_call.activity
    if asked_by.is_local and asked_by.summary == local.summary and asked_by.turn == local.turn:
        return True
    call.in_doubt = True
    return False


def _led_to_by(calls: list[Call], activity: Activity) -> list[Call]:
    """The open calls whose tool could have scheduled the activity."""
    if calls and _in_agent_run(activity) is False:  # then only what is itself noted as outside, strangely
        calls = [call for call in calls if call.model_call.in_agent_run is False]
    return [call for call in calls if call.name not in call.model_call.handoffs]


def _in_agent_run(activity: Activity) -> bool | None:
    """What the plugin noted on the activity; None where it noted nothing that can be read."""
    fields = activity.event.activity_task_scheduled_event_attributes.header.fields
    note = value_of(fields["__openai_span"]) if "__openai_span" in fields else None
    return note.get("traceId") is not None if isinstance(note, dict) and "traceId" in note else None


def _asks_for(call: Call, activity: Activity) -> bool | None:
    """Whether the activity is what the call asks for; None where the record cannot tell."""
    if activity.is_local:
        return False
    if _is_mcp_call(activity.name):
        return _asks_for_mcp(call, activity)
    if call.used_by is not None and not _is_rather(activity, call):
        return False
    verdicts = {_same_operation(call, activity)}
    if False not in verdicts:
        verdicts.add(same_arguments(call.arguments, call.tool, activity.arguments))
    return False if False in verdicts else None if None in verdicts else True


def _asks_for_mcp(call: Call, activity: Activity) -> bool | None:
    given = (activity.arguments or [None])[0]
    if call.is_unreadable or isinstance(given, Unreadable):
        return None
    if call.used_by is not None or not isinstance(given, dict):
        return False
    named = given.get("name") or given.get("tool_name")
    return named == call.name and same_object(call.arguments, given.get("arguments"))


def _is_rather(activity: Activity, call: Call) -> bool:
    """Whether the activity is the tool itself, where the one before was not: a run hook's, say.

    `activity_as_tool` leaves the tool's description as the summary of its activity.
    """
    return bool(call.description) and activity.summary == call.description != call.used_by.summary


def _same_operation(call: Call, activity: Activity) -> bool | None:
    if call.is_unreadable:
        return None
    if activity.name == call.name:
        return True
    summary = activity.summary
    if isinstance(summary, Unreadable) or not call.description:
        return None
    if summary is None:
        return False  # activity_as_tool always writes a description down
    return True if summary == call.description else None


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
