"""Who decided, held against what the workflows did: in the recordings as they are, and with a piece of the
record taken away or changed.

Nothing here looks at a label that `course.history` made up.
"""

import base64
import json
from typing import Any

import pytest

from course.history import activity_table
from course.history.arguments import same_arguments
from tests.histories.recordings import (
    FOREIGN,
    NAMES,
    SCHEDULED,
    decided,
    events_of,
    read,
    recording,
    rows,
    runs,
    scheduled,
    without,
    write,
)

# Where the record cannot prove what the workflow knows: (row, what is proved instead). Documented in
# course/history/deciders.py, and everything else must come out as it really was.
NOT_PROVABLE = {
    "cannot_tell": {1: "unknown"},  # renamed, and without a description
    "sealed": {1: "unknown", 6: "unknown", 10: "unknown"},  # payloads that cannot be read
    "shared_name": {1: "agent"},  # a function tool that does just what it is called for
    "own_loop": dict.fromkeys(range(2, 6), "unknown"),  # an agent of no known framework
}


def test_there_are_the_histories_that_the_docstring_of_the_rule_speaks_of():
    assert len(NAMES) >= 20
    assert all(recording(name)["truth"] and recording(name)["about"] for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_labelled_as_the_workflow_really_ran(name: str):
    truth = recording(name)["truth"]
    for row, proved in NOT_PROVABLE.get(name, {}).items():
        assert truth[row][1] != proved, "the exception is no exception any more"
        truth[row][1] = proved
    assert rows(activity_table(runs(name))) == truth


# Who decided: what the rule rests on, taken away piece by piece.


def test_without_the_trace_header_the_two_hands_are_still_told_apart():
    for name in ("both_hands", "tool_of_two", "agents_as_tools", "parallel_calls", "approvals", "renamed"):
        history, truth = runs(name), recording(name)["truth"]
        assert rows(activity_table(without(history, field="header"))) == truth


def test_where_the_workflow_runs_beside_an_open_call_the_header_decides():
    """Two activities of a function tool's; one of them gets the header of the workflow's own."""
    history = runs("tool_of_two")
    _, tools, *_, outside = scheduled(history)
    assert decided(history, "refund") == ["tool", "tool"]
    tools["header"] = outside["header"]
    assert decided(history, "refund") == ["workflow", "tool"]


def test_sealed_payloads_and_no_header_leave_nothing_to_go_by():
    history = without(runs("sealed"), field="header")
    assert set(decided(history, "record")) == {"unknown"}
    assert set(decided(history, "invoke_model_activity")) == {"plugin"}
    assert len(activity_table(history, times=True)) == 15


def test_before_the_first_model_call_an_unreadable_history_proves_the_workflow():
    history = without(runs("sealed"), field="header")
    scheduled(history)[0]["activityType"]["name"] = "of the workflow's own"
    assert decided(history, "of the workflow's own") == ["workflow"]


def test_a_model_input_that_cannot_be_read_leaves_an_open_call_in_doubt():
    history = without(runs("tool_of_two"), field="header")
    assert decided(history, "notify")[-1] == "workflow"
    for call in scheduled(history, "invoke_model_activity"):
        call["input"]["payloads"][0]["metadata"]["encoding"] = "c2VhbGVk"
    assert decided(history, "notify")[-1] == "unknown"


def test_a_hook_beside_an_activity_tool_is_the_workflows_only_if_the_tool_is_proved_to_be_one():
    history = runs("hooks")
    assert decided(history, "record") == ["workflow"] * 4
    assert "tool" in decided(without(history, field="userMetadata"), "record")


def test_a_call_to_a_handoff_is_no_call_to_a_tool():
    """Some agents hand over without passing the handoff's output on: its call stays open for ever."""
    history = runs("handoffs")
    for event in scheduled(history, "invoke_model_activity"):
        given = read(event["input"])
        given["input"] = [item for item in given["input"] if "assistant" not in item.get("output", "")]
        write(event["input"], given)
    assert decided(history, "notify") == ["workflow", "workflow"]


def test_an_activity_uses_its_call_up():
    """A call left over by an agent that stops at its first tool leads to nothing more."""
    history = without(runs("hooks"), field="header")
    for event in scheduled(history, "invoke_model_activity"):
        given = read(event["input"])
        given["tools"][0]["description"] = ""
        write(event["input"], given)
    assert decided(history, "look_up") == ["agent", "workflow", "agent", "workflow"]


def test_a_call_is_what_one_activity_was_asked_for():
    history = runs("shared_name")
    first, second = scheduled(history, "refund")[0], scheduled(history, "notify")[0]
    second["activityType"], second["input"] = first["activityType"], first["input"]
    assert decided(history, "refund") == ["agent", "tool"]


def test_a_hook_that_runs_ahead_of_the_tool_is_not_taken_for_it():
    history = runs("eager_hooks")
    assert decided(history, "look_up") == ["workflow", "agent", "agent"]
    hooks = events_of(history, SCHEDULED)[1]
    hooks["userMetadata"] = {"summary": {"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "Im1pbmUi"}}
    assert decided(history, "look_up") == ["workflow", "agent", "agent"]


def test_strange_names_of_the_plugins_own_are_known():
    history = runs("tool_server")
    name = scheduled(history)[0]["activityType"]
    for own in (
        "temporalio.mcp.plants.list-tools",
        "plants-stateful-server-session",
        "box-sandbox_session_exec",
        "plants-stateless-call-tool",
    ):
        name["name"] = own
        assert decided(history, own) == ["plugin"]
    name["name"] = "invoke_model_activity_of_mine"
    assert decided(history, "invoke_model_activity_of_mine") == ["workflow"]


def test_a_call_to_an_mcp_server_is_the_agents_where_a_call_asks_for_it():
    assert rows(activity_table(runs("mcp"))) == recording("mcp")["truth"]
    name = "temporalio.mcp.garden.call-tool"
    history = runs("mcp")
    _, second, third = scheduled(history, name)
    write(second["input"], read(second["input"]) | {"arguments": {"plant": "oak"}})
    assert decided(history, name) == ["agent", "plugin", "agent"]
    third["input"]["payloads"][0]["metadata"]["encoding"] = SEALED
    assert decided(history, name) == ["agent", "plugin", "unknown"]


# Agents of other frameworks


SEALED = base64.b64encode(b"binary/sealed").decode()


@pytest.mark.parametrize("name", FOREIGN)
def test_nothing_that_a_foreign_model_chose_is_called_the_workflows(name: str):
    """What comes before its first call is proved; from there on, nothing is."""
    truth = recording(name)["truth"]
    first = next(row for row, (_, hand, _) in enumerate(truth) if hand == "agent")
    expected = [
        "workflow" if hand == "workflow" and row < first else "unknown"
        for row, (_, hand, _) in enumerate(truth)
    ]
    assert {"plugin", "agent", "tool", "workflow"} == {hand for _, hand, _ in truth}
    assert list(activity_table(runs(name)).decided_by) == expected


def payloads(history: list[dict[str, Any]], field: str) -> list[dict[str, Any]]:
    """All payloads of activities' inputs or results."""
    attributes = [part for run in history for event in run["events"] for part in event.values()]
    found = [
        part[field].get("payloads", []) for part in attributes if isinstance(part, dict) and field in part
    ]
    return [payload for part in found for payload in part]


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_model_call_is_known_by_no_name(name: str):
    expected = list(activity_table(runs(name)).decided_by)
    called = {activity for activity, hand, _ in recording(name)["truth"] if hand == "plugin"}
    text = json.dumps(runs(name))
    for number, activity in enumerate(called):
        text = text.replace(f'"name": "{activity}"', f'"name": "strange-{number}"')
    assert list(activity_table(json.loads(text)).decided_by) == expected


@pytest.mark.parametrize("name", FOREIGN)
def test_what_cannot_be_read_may_have_been_a_foreign_model(name: str):
    history = runs(name)
    for payload in payloads(history, "result"):
        payload["metadata"]["encoding"] = SEALED
    assert list(activity_table(history).decided_by) == ["workflow"] * 2 + ["unknown"] * (
        len(recording(name)["truth"]) - 2
    )


@pytest.mark.parametrize("name", ["family", "troubles"])
def test_the_work_of_a_workflow_without_an_agent_is_its_own(name: str):
    assert set(activity_table(runs(name)).decided_by) == {"workflow"}


def answer_of(
    result: Any, *, later: str = "record", given: Any = "x", encoding: str = "json/plain"
) -> list[str]:
    """Who is said to have decided two activities, by what the first was given and returned."""
    history = runs("own_loop")
    name, closed = SCHEDULED, "activityTaskCompletedEventAttributes"
    first, second = events_of(history, name)[1:3]
    returned = next(
        e for e in events_of(history, closed) if e[closed]["scheduledEventId"] == first["eventId"]
    )
    others = [e for e in events_of(history, name) if e not in (first, second)]
    others += [e for e in events_of(history, closed) if e is not returned]
    history[0]["events"] = [event for event in history[0]["events"] if event not in others]
    first[name]["activityType"]["name"], second[name]["activityType"]["name"] = "first", later
    write(first[name]["input"], given)
    write(returned[closed]["result"], result)
    encoding = base64.b64encode(encoding.encode()).decode()
    returned[closed]["result"]["payloads"][0]["metadata"]["encoding"] = encoding
    return list(activity_table(history).decided_by)


TOOLS = [{"name": "water", "about": "Water it.", "input": {"json": {"type": "object", "properties": {}}}}]
CALLS = {
    "beside": {"name": "water", "arguments": {"plant": "fern"}},
    "as text": {"tool": {"name": "water", "arguments": '{"plant": "fern"}'}},
    "without arguments": {"called": "water", "input": None},
    "in pieces": [{"start": {"name": "water", "id": "1"}}, {"piece": '{"pl'}, {"piece": 'ant": "fern"}'}],
    "in a text": json.dumps([{"name": "water", "args": {}}]),
}


@pytest.mark.parametrize("form", CALLS)
def test_a_call_of_a_declared_tool_gives_a_model_away(form: str):
    assert answer_of(CALLS[form], given={"tools": TOOLS}) == ["unknown", "unknown"]
    assert answer_of(CALLS[form], given={"body": json.dumps(TOOLS)}) == ["unknown", "unknown"]
    assert answer_of(CALLS[form], given={"tools": "water"}) == ["workflow", "workflow"]


def test_a_call_of_a_later_activity_gives_a_model_away():
    call = {"next": "record", "with": {"text": "x"}}
    assert answer_of([call]) == ["unknown", "unknown"]
    assert answer_of([call], later="other") == ["workflow", "workflow"]
    assert answer_of({"next": "record", "with": "x"}) == ["workflow", "workflow"]
    assert answer_of({"text": "record", "order": 7}) == ["workflow", "workflow"]


def test_a_form_that_names_no_tool_is_no_model():
    assert (
        answer_of({"valid": True, "form": "order"}, given={"name": "order", "schema": TOOLS[0]["input"]})
        == ["workflow"] * 2
    )


def test_bytes_are_in_doubt_only_where_they_could_name_what_comes_later():
    assert answer_of("%PDF {}", encoding="binary/plain") == ["workflow", "workflow"]
    assert answer_of("{record: x}", encoding="binary/plain") == ["workflow", "unknown"]
    assert answer_of("x", encoding="binary/encrypted") == ["workflow", "unknown"]


SCHEMA = {"properties": {"order": {"type": "string"}, "urgent": {"default": False}, "off": {"default": 0}}}


@pytest.mark.parametrize(
    ("asked", "recorded", "same"),
    [
        ('{"order": "2"}', ["2", False, 0.0], True),
        ('{"order": "2"}', [2, False, 0], True),
        ('{"order": 2}', ["2", False, 0], True),
        ('{"off": 1, "order": "2"}', ["2", False, 1.0], True),
        ('{"order": "2"}', [{"context": None}, "2", False, 0], True),  # the run's context
        ('{"order": "2"}', ['{"order": "2"}'], True),  # as older histories have it
        ('{"order": "2"}', ["3", False, 0], False),
        ('{"order": "2"}', ["2.0", False, 0], False),
        ('{"order": "2"}', ["2", True, 0], False),
        ('{"order": "2"}', ["2"], False),
        ('{"order": ', ["2", False, 0], False),
        ('["2"]', ["2", False, 0], False),
        ('{"order": "two"}', [2, False, 0], False),
        ('{"order": {"id": 7}}', [{"id": "7", "note": ""}, False, 0], True),
        ('{"order": {"id": 7}}', [{"note": ""}, False, 0], False),
        ('{"order": [1, 2]}', [[1, "2"], False, 0], True),
        ('{"order": [1, 2]}', [[1], False, 0], False),
        ('{"order": null}', [None, False, 0], True),
    ],
)
def test_arguments_are_compared_by_value(asked: str, recorded: list[Any], same: bool):
    assert same_arguments(asked, {"params_json_schema": SCHEMA}, recorded) is same


def test_arguments_without_a_schema_are_compared_in_order():
    assert same_arguments('{"a": 1, "b": "x"}', {}, [1, "x", False]) is True
    assert same_arguments('{"a": 1, "b": "x"}', {}, ["x", 1]) is False
    assert same_arguments("", {}, []) is True
    assert same_arguments("{}", {}, None) is None
