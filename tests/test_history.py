"""The tables and the figure, held against histories whose workflows kept the truth.

The recordings in `tests/histories/recorded` are the tests' own workflows on a real server; `make histories`
makes them anew. Each holds what its workflow's code really did, in order. Nothing here looks at a label that
`course.history` made up.
"""

import base64
import copy
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from temporalio.client import WorkflowHistory

from course.history import activity_table, event_table, timeline, transcript_table
from course.history.arguments import same_arguments

RECORDED = Path(__file__).parent / "histories" / "recorded"
NAMES = sorted(path.stem for path in RECORDED.glob("*.json"))

# Where the record cannot prove what the workflow knows: (row, what is proved instead). Documented in
# course/history/deciders.py, and everything else must come out as it really was.
NOT_PROVABLE = {
    "cannot_tell": {1: "unknown"},  # renamed, and without a description
    "sealed": {1: "unknown", 6: "unknown", 10: "unknown"},  # payloads that cannot be read
    "shared_name": {1: "agent"},  # a function tool that does just what it is called for
}


@cache
def _text(name: str) -> str:
    return (RECORDED / f"{name}.json").read_text()


def recording(name: str) -> dict[str, Any]:
    return json.loads(_text(name))


def runs(name: str) -> list[dict[str, Any]]:
    return recording(name)["runs"]


def rows(table: pd.DataFrame) -> list[list[Any]]:
    """As the workflows write them: activity, hand, turn."""
    return [
        [row.activity, row.decided_by, None if pd.isna(row.turn) else int(row.turn)]
        for row in table.itertuples()
    ]


def events_of(history: list[dict[str, Any]], attributes: str) -> list[dict[str, Any]]:
    return [event for run in history for event in run["events"] if attributes in event]


def without(history: list[dict[str, Any]], *, field: str) -> list[dict[str, Any]]:
    """The same history as an older server or SDK would have left it."""
    stripped = copy.deepcopy(history)
    for run in stripped:
        for event in run["events"]:
            event.pop(field, None)
            for attributes in event.values():
                if isinstance(attributes, dict):
                    attributes.pop(field, None)
    return stripped


def scheduled(history: list[dict[str, Any]], activity: str) -> list[dict[str, Any]]:
    """What is recorded of the scheduling of an activity, to be changed."""
    name = "activityTaskScheduledEventAttributes"
    return [e[name] for e in events_of(history, name) if e[name]["activityType"]["name"] == activity]


def read(payloads: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(payloads["payloads"][0]["data"]))


def write(payloads: dict[str, Any], value: Any) -> None:
    payloads["payloads"][0]["data"] = base64.b64encode(json.dumps(value).encode()).decode()


def decided(history: Any, name: str) -> list[str]:
    table = activity_table(history)
    return list(table[table.activity == name].decided_by)


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


def test_the_columns():
    table = activity_table(runs("both_hands"))
    assert list(table.columns) == ["turn", "activity", "decided_by", "attempts", "status"]
    assert table.turn.dtype == table.attempts.dtype == "Int64"
    timed = activity_table(runs("both_hands"), times=True)
    assert list(timed.columns)[5:] == [
        *("scheduled", "started", "closed", "waited", "ran", "run", "input", "result", "failure"),
    ]
    pd.testing.assert_frame_equal(timed[list(table.columns)], table)
    events = event_table(runs("both_hands"))
    assert list(events.columns) == ["event_id", "time", "event", "turn", "detail"]
    assert list(transcript_table(runs("both_hands")).columns) == ["turn", "role", "text"]


@pytest.mark.parametrize("name", ["both_hands", "local_model", "continues_as_new"])
@pytest.mark.parametrize("table", [activity_table, event_table, transcript_table])
def test_every_form_of_a_history_gives_the_same_table(name: str, table):
    parsed = runs(name)
    objects = [WorkflowHistory.from_json("id", run) for run in parsed]
    expected = table(objects)
    assert len(expected) > 0
    forms = [parsed, [json.dumps(run) for run in parsed], [json.dumps(run).encode() for run in parsed]]
    forms += [json.dumps(parsed), [run.to_json() for run in objects], list(reversed(objects))]
    if len(parsed) == 1:
        forms += [objects[0], parsed[0], json.dumps(parsed[0])]
    for form in forms:
        pd.testing.assert_frame_equal(table(form), expected)


@pytest.mark.parametrize(
    "garbage", ["", "no JSON", "[]", [], 7, None, {}, {"events": 3}, {"events": ["x"]}, "3", [None]]
)
@pytest.mark.parametrize("table", [activity_table, event_table, transcript_table, timeline])
def test_what_is_no_history_gets_a_sentence(garbage: Any, table):
    with pytest.raises(ValueError, match="Hand in a temporalio"):
        table(garbage)


def test_a_history_without_events_is_an_empty_table():
    for table in (activity_table, event_table, transcript_table):
        assert table({"events": []}).empty
    assert timeline({"events": []}).axes


# Who decided: what the rule rests on, taken away piece by piece.


def test_without_the_trace_header_the_two_hands_are_still_told_apart():
    for name in ("both_hands", "tool_of_two", "agents_as_tools", "parallel_calls", "approvals", "renamed"):
        history, truth = runs(name), recording(name)["truth"]
        assert rows(activity_table(without(history, field="header"))) == truth


def test_where_the_workflow_runs_beside_an_open_call_the_header_decides():
    """Two activities of a function tool's; one of them gets the header of the workflow's own."""
    history = runs("tool_of_two")
    outside = events_of(history, "activityTaskScheduledEventAttributes")[-1]
    tools = events_of(history, "activityTaskScheduledEventAttributes")[1]
    assert decided(history, "refund") == ["tool", "tool"]
    name = "activityTaskScheduledEventAttributes"
    tools[name]["header"] = outside[name]["header"]
    assert decided(history, "refund") == ["workflow", "tool"]


def test_sealed_payloads_and_no_header_leave_nothing_to_go_by():
    history = without(runs("sealed"), field="header")
    assert set(decided(history, "record")) == {"unknown"}
    assert set(decided(history, "invoke_model_activity")) == {"plugin"}
    assert len(activity_table(history, times=True)) == 15


def test_before_the_first_model_call_an_unreadable_history_proves_the_workflow():
    history = without(runs("sealed"), field="header")
    first = events_of(history, "activityTaskScheduledEventAttributes")[0]
    first["activityTaskScheduledEventAttributes"]["activityType"]["name"] = "of the workflow's own"
    assert decided(history, "of the workflow's own") == ["workflow"]


def test_a_model_input_that_cannot_be_read_leaves_an_open_call_in_doubt():
    history = without(runs("tool_of_two"), field="header")
    assert decided(history, "notify")[-1] == "workflow"
    for event in events_of(history, "activityTaskScheduledEventAttributes"):
        attributes = event["activityTaskScheduledEventAttributes"]
        if attributes["activityType"]["name"] == "invoke_model_activity":
            attributes["input"]["payloads"][0]["metadata"]["encoding"] = "c2VhbGVk"
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


def test_strange_names_of_the_plugins_own_are_known():
    history = runs("tool_server")
    scheduled = events_of(history, "activityTaskScheduledEventAttributes")[0]
    name = scheduled["activityTaskScheduledEventAttributes"]["activityType"]
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


# Turns


def test_without_markers_the_order_of_messages_gives_the_turns():
    for name in ("both_hands", "approvals", "mailbox", "streaming", "tool_of_two", "continues_as_new"):
        history, truth = runs(name), recording(name)["truth"]
        if name == "continues_as_new":
            truth[20][2] = None  # left behind by turn 5, and scheduled after the close signal: order misleads
        assert rows(activity_table(without(history, field="eventGroupMarkers"))) == truth


def test_background_work_belongs_to_the_turn_that_left_it_behind():
    table = activity_table(runs("continues_as_new"), times=True)
    assert list(table[table.activity == "notify"].turn) == [1, 2, 3, 4, 5]
    assert list(table[table.activity == "notify"].run) == [1, 1, 2, 2, 3]
    events = event_table(runs("continues_as_new"))
    first = events[events.turn == 1]
    replied = first.index[first.event == "WorkflowExecutionUpdateCompleted"][0]
    told = first.index[(first.event == "ActivityTaskScheduled") & (first.detail == "notify")][0]
    assert told > replied


def test_an_update_id_that_comes_again_in_a_later_run_is_the_same_turn():
    history = runs("continues_as_new")
    updates = events_of(history, "workflowExecutionUpdateAcceptedEventAttributes")
    first, third = (u["workflowExecutionUpdateAcceptedEventAttributes"] for u in (updates[0], updates[2]))
    old, new = third["protocolInstanceId"], first["protocolInstanceId"]
    history = json.loads(json.dumps(history).replace(old, new))
    assert list(activity_table(history).turn.dropna().unique()) == [1, 2, 3, 4]


def test_messages_of_the_sdk_and_a_close_signal_are_no_turns():
    events = event_table(runs("streaming"))
    signals = events[events.event == "WorkflowExecutionSignaled"]
    assert {"__temporal_workflow_stream_publish", "close"} <= set(signals.detail)
    assert signals.turn.isna().all()


# Status, attempts, times


def test_every_end_has_its_word():
    table = activity_table(runs("troubles"), times=True)
    assert list(zip(table.activity, table.status, strict=True)) == [
        ("fails_twice", "completed"),
        ("refuses", "failed"),
        ("never_ends", "timed out"),
        ("record", "timed out"),
        ("never_ends", "canceled"),
        ("never_ends", "abandoned"),
    ]
    assert table.attempts.fillna(0).tolist() == [3, 1, 1, 0, 1, 0]
    assert table.failure[0] == "attempt 2 failed"
    assert "refused for good" in table.failure[1]
    assert pd.isna(table.closed[5])


def test_an_outage_is_waited_for_in_virtual_time():
    table = activity_table(runs("outage"), times=True)
    late = table[table.activity == "fails_twice"].iloc[0]
    assert (late.attempts, late.waited, late.status) == (3, pd.Timedelta("3h"), "completed")
    assert table.status.iloc[-1] == "pending"
    assert pd.isna(table.attempts.iloc[-1])
    jumps = event_table(runs("outage")).query("event == 'WorkflowExecutionTimeSkippingTransitioned'")
    assert jumps.detail.tolist() == [f"the clock jumps by 0 days 0{hours}:00:00" for hours in (1, 2, 3)]


def test_inputs_and_results_are_decoded_and_what_cannot_be_is_shown_as_such():
    table = activity_table(runs("both_hands"), times=True)
    assert table.input[1] == ["x"]
    assert table.result[1] == "recorded x"
    sealed = activity_table(runs("sealed"), times=True)
    assert str(sealed.input[1][0]).startswith("<binary/sealed, ")
    local = activity_table(runs("local_activities"), times=True)
    assert local.input[1] is None
    assert local.result[1] == "told"


def test_a_local_activity_whose_retry_was_put_off_is_one_row():
    history = runs("local_activities")
    events = history[0]["events"]
    at = next(n for n, event in enumerate(events) if "markerRecordedEventAttributes" in event)
    first = copy.deepcopy(events[at])
    data = first["markerRecordedEventAttributes"]["details"]["data"]
    write(data, read(data) | {"backoff": {"seconds": 60, "nanos": 0}})
    events.insert(at, first)
    assert rows(activity_table(history)) == recording("local_activities")["truth"]
    del events[at + 1]
    assert activity_table(history).status[1] == "pending"


def test_columns_without_times_do_not_depend_on_ids_or_times():
    history = runs("tool_of_two")
    table = activity_table(history)
    for number, event in enumerate(events_of(history, "eventTime")):
        event["eventTime"] = f"2030-01-01T00:{number // 60:02}:{number % 60:02}Z"
    pd.testing.assert_frame_equal(activity_table(history), table)


# Events and transcript


def test_children_and_timers_stand_among_the_events():
    events = event_table(runs("family"))
    in_turn = events[events.turn == 1]
    assert {"TimerStarted", "TimerFired", "ChildWorkflowExecutionCompleted"} <= set(in_turn.event)
    started = events[events.event == "StartChildWorkflowExecutionInitiated"].iloc[0]
    assert (started.detail, started.turn) == ("Helper", 1)
    assert events[events.event == "TimerStarted"].detail.tolist() == ["0:00:00.010000"]
    assert events[events.event == "WorkflowTaskScheduled"].turn.isna().all()
    assert events.event_id.tolist() == list(range(1, len(events) + 1))


def test_a_transcript_comes_from_the_messages():
    transcript = transcript_table(runs("approvals"))
    assert transcript.turn.tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert transcript.role.tolist() == ["customer", "agent"] * 5
    assert transcript.text[1] == "That needs an approval."
    assert transcript.text[4] == "true"
    signals = transcript_table(runs("signals"))
    assert signals.role.tolist() == ["customer", "customer"]


# The timeline


def gids(figure: Any) -> list[str]:
    return [gid for artist in figure.axes[0].get_children() if (gid := artist.get_gid())]


@pytest.mark.parametrize("name", NAMES)
def test_the_timeline_has_a_lane_for_each_decider_and_a_bar_for_each_activity(name: str, tmp_path: Path):
    table = activity_table(runs(name))
    figure = timeline(runs(name))
    drawn = gids(figure)
    bars = sorted(f"bar {row.decided_by} {row.activity}" for row in table.itertuples())
    assert sorted(gid for gid in drawn if gid.startswith("bar ")) == bars
    lanes = [a.get_text() for a in figure.axes[0].get_children() if a.get_gid() == "lane"]
    order = ["plugin", "agent", "tool", "workflow", "unknown"]
    assert [lane.split(":")[0] for lane in lanes] == [d for d in order if d in set(table.decided_by)]
    assert drawn.count("turn") == table.turn.nunique()
    figure.savefig(tmp_path / "timeline.png", dpi=40)


def test_the_timeline_marks_jumps_attempts_failures_and_runs():
    outage = timeline(runs("outage"))
    assert gids(outage).count("break") == 2
    jumps = [artist.get_text() for artist in outage.axes[0].get_children() if artist.get_gid() == "jump"]
    assert jumps == ["+3 h\nin 2 jumps", "+3 h"]
    words = [artist.get_text() for artist in outage.axes[0].get_children() if artist.get_gid() == "words"]
    assert words == ["attempt 3", "pending"]
    assert gids(outage).count("attempts") == 1
    assert gids(timeline(runs("troubles"))).count("failed") == 4
    assert gids(timeline(runs("continues_as_new"))).count("run") == 2


def test_the_title_says_what_the_figure_shows():
    def title(figure: Any) -> str:
        return figure.axes[0].get_title(loc="left")

    shown = "Who decided what: 6 activities in 2 turns, in order; the clock skipped 6 h"
    assert title(timeline(runs("outage"))) == shown
    assert title(timeline(runs("outage"), title="Mine")) == "Mine"


def test_lanes_are_told_apart_without_colour():
    looks = set()
    for name in ("agents_as_tools", "sealed"):
        for patch in timeline(runs(name)).axes[0].patches:
            decider = (patch.get_gid() or "").split(" ")[1:2]
            if decider:
                grey = round(sum(to_rgb(patch.get_facecolor())) / 3, 1)
                looks.add((decider[0], grey, patch.get_hatch()))
    assert len({look[0] for look in looks}) == 5
    assert len({look[1:] for look in looks}) == 5


# The house


def test_recordings_hold_no_name_of_a_machine():
    for name in NAMES:
        text = _text(name)
        assert "stackTrace" not in text
        identities = {
            value
            for run in runs(name)
            for event in run["events"]
            for attributes in event.values()
            if isinstance(attributes, dict)
            for key, value in attributes.items()
            if key == "identity"
        }
        assert identities <= {"recorder"}


def test_importing_the_tables_does_not_draw_in_matplotlib():
    code = "import sys, course.history; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
