"""The tables and the figure, held against histories whose workflows kept the truth.

The recordings in `tests/histories/recorded` are the tests' own workflows on a real server; `make histories`
makes them anew. Each holds what its workflow's code really did, in order. Nothing here looks at a label that
`course.history` made up.
"""

import copy
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.collections import Collection
from matplotlib.colors import to_rgb
from temporalio.client import WorkflowHistory

from course.history import activity_table, event_table, growth_table, timeline, transcript_table
from course.history.parsing import read_events
from course.history.timeline import _apart
from tests.benchmarks.history import long_history
from tests.histories.recordings import (
    FOREIGN,
    NAMES,
    events_of,
    read,
    recording,
    rows,
    runs,
    text_of,
    without,
    write,
)


def test_the_columns():
    table = activity_table(runs("both_hands"))
    assert list(table.columns) == ["turn", "activity", "decided_by", "attempts", "status"]
    assert table.turn.dtype == table.attempts.dtype == "Int64"
    timed = activity_table(runs("both_hands"), times=True)
    times = "scheduled started closed waited ran run input result failure"
    assert list(timed.columns)[5:] == times.split()
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


@pytest.mark.parametrize("name", ["both_hands", "continues_as_new"])
@pytest.mark.parametrize("table", [activity_table, event_table, transcript_table, growth_table])
def test_the_order_of_events_is_that_of_their_ids(name: str, table):
    """`temporal workflow show --reverse` begins with the newest."""
    forwards = runs(name)
    backwards = [{"events": run["events"][::-1]} for run in reversed(forwards)]
    expected = table(forwards)
    pd.testing.assert_frame_equal(table(backwards), expected)
    pd.testing.assert_frame_equal(table(json.dumps(backwards)), expected)
    objects = [
        WorkflowHistory("id", list(WorkflowHistory.from_json("", run).events)[::-1]) for run in forwards
    ]
    pd.testing.assert_frame_equal(table(objects), expected)


@pytest.mark.parametrize("name", NAMES)
def test_events_are_read_as_the_sdk_reads_them(name: str):
    for run in runs(name):
        expected = list(WorkflowHistory.from_json("", run).events)
        assert list(read_events(run)) == expected
        assert list(read_events(json.dumps(run, indent=2))) == expected


def test_older_json_is_read_by_the_sdk():
    history = runs("both_hands")
    expected = activity_table(history)
    for event in history[0]["events"]:
        words = event["eventType"].removeprefix("EVENT_TYPE_").split("_")
        event["eventType"] = "".join(word.capitalize() for word in words)
    pd.testing.assert_frame_equal(activity_table(history), expected)
    pd.testing.assert_frame_equal(activity_table(json.dumps(history[0])), expected)


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
    """One for each thing that is to be seen: a row's bars are one artist, and so are all brackets."""
    artists = [artist for artist in figure.axes[0].get_children() if artist.get_gid()]
    parts = [len(a.get_paths()) if isinstance(a, Collection) else 1 for a in artists]
    return [a.get_gid() for a, number in zip(artists, parts, strict=True) for _ in range(number)]


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


def test_crosses_stand_apart_and_in_no_gap():
    gaps = [0.9, 2.2]
    crosses = _apart(0.0, 8.0, 12, gaps)
    assert min(after - before for before, after in pairwise(crosses)) > 0.5
    assert all(abs(cross - gap) >= 0.3 for cross in crosses for gap in gaps)


def test_a_figure_too_long_to_be_read_has_no_words():
    figure = timeline(long_history(10_000))
    assert gids(figure).count("turn") == 250
    assert len(figure.axes[0].texts) == 3  # what the three lanes hold


def test_turns_that_end_at_their_reply_are_labelled_alike():
    def labels(name: str) -> list[str]:
        texts = [text.get_text() for text in timeline(runs(name)).axes[0].texts]
        return [text for text in texts if text.startswith("turn ")]

    assert labels("handoffs") == ["turn 1, to its reply", "turn 2, to its reply"]
    assert labels("outage") == ["turn 1, to its reply", "turn 2"]  # the second has no reply
    assert labels("streaming") == ["turn 1", "turn 2"]  # the second is too short for the words


def test_the_title_says_what_the_figure_shows():
    def title(figure: Any) -> str:
        return figure.axes[0].get_title(loc="left")

    shown = "Who decided what: 6 activities in 2 turns, in order; the clock skipped 6 h"
    assert title(timeline(runs("outage"))) == shown
    assert title(timeline(runs("outage"), title="Mine")) == "Mine"


def test_a_workflow_without_turns_is_not_said_to_have_some():
    recorded = Path(__file__).parent / "replay/recorded/approval_unanswered.json"
    figure = timeline(json.loads(recorded.read_text())["runs"])
    assert figure.description.startswith("Timeline of a workflow without turns. workflow: ")
    assert " turn" not in figure.axes[0].get_title(loc="left")


def test_lanes_are_told_apart_without_colour():
    looks = set()
    for name in ("agents_as_tools", "sealed"):
        for bars in timeline(runs(name)).axes[0].collections:
            decider = (bars.get_gid() or "").split(" ")[1:2]
            if decider:
                grey = round(sum(to_rgb(bars.get_facecolor()[0])) / 3, 1)
                looks.add((decider[0], grey, bars.get_hatch()))
    assert len({look[0] for look in looks}) == 5
    assert len({look[1:] for look in looks}) == 5


# The house


def test_recordings_hold_no_name_of_a_machine():
    for name in [*NAMES, *FOREIGN, "mcp"]:
        text = text_of(name)
        for words in ("stackTrace", "/tmp/", "/home/", "/root/", "site-packages"):
            assert words not in text
        assert set(re.findall(r'"identity": ?"(.*?)"', text)) <= {"recorder"}
