"""The four questions, answered from recorded histories whose workflows are known (`tests/histories/`)."""

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from course.history import activity_table, questions
from course.history.questions import in_words
from tests.histories.recordings import FOREIGN, NAMES, events_of, read, runs, scheduled, write

REPLAY = Path(__file__).parent / "replay" / "recorded"


@cache
def replayed(name: str) -> list[dict[str, Any]]:
    return json.loads((REPLAY / f"{name}.json").read_text())["runs"]


def answers(history: Any, column: str) -> dict[tuple[str, str], str]:
    """One column of the table, by type of activity and decider."""
    table = questions(history)
    return {(row.activity, row.decided_by): getattr(row, column) for row in table.itertuples()}


@pytest.mark.parametrize("name", [*NAMES, *FOREIGN, "mcp"])
def test_who_decided_is_what_the_table_of_activities_says(name: str):
    expected = activity_table(runs(name)).groupby(["activity", "decided_by"], sort=False).size()
    table = questions(runs(name))
    assert list(table.columns) == [
        *("activity", "times", "decided_by", "arguments", "reply", "if_never", "bounds", "ended")
    ]
    assert dict(zip(zip(table.activity, table.decided_by, strict=True), table.times, strict=True)) == dict(
        expected
    )
    assert table.notna().all(axis=None)


def test_a_history_without_activities_has_no_rows():
    assert questions({"events": []}).empty
    with pytest.raises(ValueError, match="Hand in a temporalio"):
        questions("no history")


# Who decided with which arguments


def test_each_argument_is_the_models_the_messages_or_the_codes():
    said = answers(replayed("desk"), "arguments")
    assert said["look_up_order", "agent"] == "model"
    assert (
        said["save_to_database", "workflow"] == "code, model+message+code"
    )  # a turn: both texts, and its number
    assert said["send_notification", "workflow"] == "code, message, code"
    assert answers(replayed("proposal"), "arguments")["issue_refund", "workflow"] == "code, model, model"
    audited = answers(replayed("audited"), "arguments")
    assert audited["record_tool_call", "workflow"] == "code, model, model"  # its key, and what the call says
    taken_back = answers(replayed("take_back"), "arguments")
    assert (
        taken_back["issue_refund", "tool"] == "code, code, model, model"
    )  # two keys, then what the call says


def test_a_default_that_the_model_left_out_is_the_codes():
    said = answers(runs("renamed"), "arguments")
    assert said["inventory.v2", "agent"] == "model, model, model"  # it gave all three, as other types
    assert said["ship", "agent"] == "model+code, code"  # {"weight": "2.5"}, and nothing else


def test_which_argument_is_the_models_is_told_by_its_name_and_not_by_chance():
    history = json.loads(json.dumps(runs("renamed")))
    for event in events_of(history, "activityTaskCompletedEventAttributes"):
        result = event["activityTaskCompletedEventAttributes"]["result"]
        write(result, json.loads(json.dumps(read(result)).replace("2.5", "1")))
    [shipped] = scheduled(history, "ship")
    write(shipped["input"], {"weight": 1.0, "fragile": False, "labels": []})
    assert read({"payloads": shipped["input"]["payloads"][1:]}) == 1  # the default of another parameter
    assert answers(history, "arguments")["ship", "agent"] == "model+code, code"


def test_what_cannot_be_read_or_was_decided_by_nobody_knows_whom_is_unknown():
    assert answers(runs("sealed"), "arguments")["record", "workflow"] == "unknown"
    assert answers(runs("local_activities"), "arguments")["notify", "tool"] == "unknown"
    foreign = answers(runs("pydantic_ai"), "arguments")
    assert foreign["look_up", "unknown"] == "unknown"
    assert foreign["agent__desk__model_request", "unknown"] == "message+unknown, unknown"


def test_a_text_counts_only_where_it_is_no_chance():
    history = copy.deepcopy(runs("troubles"))
    given = scheduled(history, "refuses")[0]["input"]
    for value, origin in (
        ("troubles", "message"),
        ("So: troubles!", "message"),
        ("trouble", "code"),
        (3, "code"),
    ):
        for update in events_of(history, "workflowExecutionUpdateAcceptedEventAttributes"):
            attributes = update["workflowExecutionUpdateAcceptedEventAttributes"]
            write(attributes["acceptedRequest"]["input"]["args"], "troubles")
        write(given, value)
        assert answers(history, "arguments")["refuses", "workflow"] == origin


# May the reply wait for it


def test_what_is_open_at_the_reply_or_begins_after_it_was_not_waited_for():
    desk = answers(replayed("desk"), "reply")
    assert (
        desk["save_to_database", "workflow"] == "perhaps: closed before the reply (3); no reply on record (1)"
    )  # one came as a signal
    assert desk["send_notification", "workflow"] == "no: began after the reply (3); no reply on record (1)"
    assert desk["generate_report", "workflow"] == "in no turn"
    assert answers(replayed("take_back"), "reply")["send_notification", "tool"] == (
        "no: open at the reply (1); perhaps: closed before the reply (1)"
    )
    before = answers(replayed("duties_first"), "reply")
    assert before["send_notification", "workflow"] == "perhaps: closed before the reply"
    assert answers(runs("mailbox"), "reply")["record", "workflow"] == "no reply on record"


# What if it never succeeds


def test_how_long_it_is_tried_is_said_in_a_word():
    desk = answers(replayed("desk"), "if_never")
    assert desk["save_to_database", "workflow"] == "tried without limit"
    assert desk["send_notification", "workflow"] == "tried for 3 d"
    three = answers(replayed("three_attempts"), "if_never")
    assert three["save_to_database", "workflow"] == "tried 3 times at most"
    others = answers(replayed("timeouts"), "if_never")["send_notification", "workflow"]
    assert others == "tried 2 times at most (2); tried for 30 s (1)"
    troubles = answers(runs("troubles"), "if_never")
    assert troubles["record", "workflow"] == "tried without limit, 0.2 s to its start"
    assert troubles["never_ends", "workflow"] == "tried without limit (2); tried once (1)"
    assert answers(runs("local_activities"), "if_never")["notify", "tool"] == "unknown"
    old = copy.deepcopy(runs("both_hands"))
    for attributes in scheduled(old):
        attributes.pop("retryPolicy")
    assert set(answers(old, "if_never").values()) == {"unknown"}


def test_in_words_a_column_is_a_question():
    table = in_words(questions(replayed("desk_through_outages"))).set_index("activity")
    assert list(table.columns) == [
        "times",
        "who decides that it runs?",
        "who decides with which arguments?",
        "may the reply wait for it?",
        "what if it never succeeds?",
    ]
    never = table["what if it never succeeds?"]
    assert never.look_up_order == "tried for 5 min; here failed: its time was over"
    assert never.save_to_database == "tried without limit"


def test_its_bounds_are_those_of_the_event_that_scheduled_it():
    desk = answers(replayed("desk"), "bounds")
    assert (
        desk["save_to_database", "workflow"]
        == "an attempt 10 s, attempts without limit after 1 s × 2 up to 5 min"
    )
    assert desk["send_notification", "workflow"] == (
        "an attempt 30 s, in all 3 d, to its start 3 d, attempts without limit after 1 s × 2 up to 30 min"
    )
    three = answers(replayed("three_attempts"), "bounds")
    assert any("3 attempts after" in bounds for bounds in three.values())
    assert (
        "not after UserError, Py"
        in answers(runs("pydantic_ai"), "bounds")["agent__desk__model_request", "unknown"]
    )
    assert answers(runs("local_activities"), "bounds")["notify", "tool"] == "unknown"
    old = copy.deepcopy(runs("both_hands"))
    for attributes in scheduled(old):
        attributes.pop("retryPolicy")
    assert set(answers(old, "bounds").values()) == {"an attempt 20 s, retries unknown"}


def test_what_ended_it_is_what_temporal_recorded():
    said = answers(runs("troubles"), "ended")
    assert said == {
        ("fails_twice", "workflow"): "completed",
        ("refuses", "workflow"): "failed: its error is not retried",
        ("never_ends", "workflow"): (
            "timed out: an attempt: its attempts were used up (1); canceled (1); its run ended first (1)"
        ),
        ("record", "workflow"): "timed out: to its start: its time was over",
    }
    outage = answers(replayed("desk_through_outages"), "ended")
    assert outage["look_up_order", "agent"] == "failed: its time was over"
    assert answers(runs("outage"), "ended")["fails_twice", "workflow"] == "completed (1); not ended (1)"


def test_the_table_does_not_depend_on_the_form_of_a_history():
    expected = questions(runs("continues_as_new"))
    pd.testing.assert_frame_equal(
        questions([json.dumps(run) for run in reversed(runs("continues_as_new"))]), expected
    )
