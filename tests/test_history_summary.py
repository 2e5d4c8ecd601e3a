"""Many workflows, counted."""

import asyncio
import copy
import gc
import json
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory

from course.history import Summary, activity_table
from course.history.__main__ import main
from tests.histories.recordings import runs
from tests.test_history_questions import replayed


def counted(*names: str) -> Summary:
    summary = Summary()
    for name in names:
        summary.add(runs(name), name)
    return summary


def test_each_activity_is_counted_by_its_workflow_and_decider():
    summary = counted("both_hands", "outage", "troubles", "both_hands")
    table = summary.activities().set_index(["workflow", "activity", "decided_by"])
    assert (
        table.times.sum()
        == sum(len(activity_table(runs(n))) for n in ("both_hands", "outage", "troubles")) + 15
    )
    assert table.times["BothHands", "record", "agent"] == 6
    late = table.loc["Outage", "fails_twice", "workflow"]
    assert (late.times, late.attempts, late.failed, late.waited_p50) == (
        2,
        3,
        0,
        pytest.approx(10_800, abs=1),
    )
    assert table.loc["Troubles", "never_ends", "workflow"].failed == 1
    types = summary.types().set_index("workflow")
    assert dict(types.workflows) == {"BothHands": 2, "Outage": 1, "Troubles": 1}
    assert dict(types.open) == {"BothHands": 0, "Outage": 1, "Troubles": 0}
    assert types.turns["BothHands"] == 8
    assert types.model_calls["BothHands"] == 14 / 8


def test_percentiles_are_of_seconds():
    summary = Summary()
    for seconds in range(1, 101):
        history = copy.deepcopy(runs("outage"))
        for event in history[0]["events"]:
            if event["eventType"].startswith("EVENT_TYPE_ACTIVITY_TASK_"):
                late = seconds if "STARTED" in event["eventType"] else 0
                event["eventTime"] = f"2030-01-01T00:{late // 60:02}:{late % 60:02}Z"
        summary.add(history)
    row = summary.activities().set_index("activity").loc["look_up"]
    assert (row.waited_p50, row.waited_p95) == (50.5, 95.05)


def test_tokens_are_the_models_own_and_unknown_where_they_are_not_on_record():
    summary = Summary()
    summary.add(replayed("desk"))
    usage = [result["usage"]["total_tokens"] for result in _model_results(replayed("desk"))]
    [row] = summary.types().itertuples()
    assert (row.tokens, row.model_calls) == (sum(usage) / 4, 7 / 4)
    assert counted("sealed").types().tokens.isna().all()
    assert counted("sealed").types().model_calls.tolist() == [7 / 4]  # their names can be read
    foreign = counted("pydantic_ai").types()
    assert foreign.model_calls.isna().all()
    assert foreign.tokens.isna().all()


def _model_results(history: Any) -> list[Any]:
    table = activity_table(history, times=True)
    return list(table[table.decided_by == "plugin"].result)


def test_a_duty_that_a_turn_missed_is_named():
    summary = Summary()
    summary.add(replayed("desk"), "whole")
    assert set(summary.missing().activity) == {"process_batch"}  # of every third turn
    lost = copy.deepcopy(replayed("desk"))
    [first, *_] = [
        event["eventId"]
        for event in lost[0]["events"]
        if event.get("activityTaskScheduledEventAttributes", {}).get("activityType", {}).get("name")
        == "send_notification"
    ]
    lost[0]["events"] = [
        event
        for event in lost[0]["events"]
        if event["eventId"] != first
        and first not in [a.get("scheduledEventId") for a in event.values() if isinstance(a, dict)]
    ]
    summary.add(lost, "lost")
    missing = summary.missing().query("activity == 'send_notification'")
    assert missing[["workflow", "id", "turn"]].values.tolist() == [["ConversationWorkflow", "lost", 1]]
    assert missing["of"].tolist() == [7 / 8]


def test_a_turn_that_is_not_over_misses_nothing():
    summary = Summary()
    history = copy.deepcopy(replayed("desk"))
    events = history[0]["events"]
    second = [n for n, e in enumerate(events) if "workflowExecutionUpdateAcceptedEventAttributes" in e][1]
    history[0]["events"] = events[: second + 1]
    summary.add(history)
    summary.add(replayed("desk"))
    assert 2 not in summary.missing().query("activity == 'save_to_database'").turn.tolist()
    assert summary.missing().query("activity == 'process_batch'").turn.tolist() == [
        1,
        2,
        4,
    ]  # of the whole one


def test_a_frozen_workflow_is_one_whose_record_ends_with_failed_tasks():
    history = copy.deepcopy(replayed("desk_open"))
    assert counted_frozen(history) == []
    last = int(history[-1]["events"][-1]["eventId"])

    def event(number: int, kind: str, attributes: dict[str, Any]) -> dict[str, Any]:
        name = "".join(word.capitalize() for word in kind.split("_"))
        return {
            "eventId": str(last + number),
            "eventTime": "2030-01-01T00:00:00Z",
            "eventType": f"EVENT_TYPE_{kind}",
            name[0].lower() + name[1:] + "EventAttributes": attributes,
        }

    failed = event(1, "WORKFLOW_TASK_FAILED", {"failure": {"message": "a bug"}})
    history[-1]["events"] += [failed]
    assert counted_frozen(history) == [("ConversationWorkflow", "ada", 1, "a bug")]
    history[-1]["events"] += [event(2, "WORKFLOW_TASK_SCHEDULED", {"attempt": 6})]
    assert counted_frozen(history) == [("ConversationWorkflow", "ada", 5, "a bug")]
    history[-1]["events"] += [event(3, "WORKFLOW_TASK_COMPLETED", {})]
    assert counted_frozen(history) == []


def counted_frozen(history: Any) -> list[tuple]:
    summary = Summary()
    summary.add(history, "ada")
    return list(summary.frozen().itertuples(index=False, name=None))


def test_what_it_has_counted_it_lets_go():
    summary = Summary()
    history = WorkflowHistory.from_json("", runs("both_hands")[0])
    gone = weakref.ref(history)
    summary.add([history])
    del history
    gc.collect()
    assert gone() is None
    assert summary.workflows == 1


def test_the_program_prints_it(tmp_path: Path, capsys: Any):
    files = []
    for name in ("both_hands", "sealed"):
        files.append(str(tmp_path / f"{name}.json"))
        Path(files[-1]).write_text(json.dumps(runs(name)))
    assert main([*files, "--summary"]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    assert "BothHands          2     0      8         1.75" in output.out
    assert "Of 1 workflows something cannot be told" in output.out
    assert "no record says for whom a workflow waits" in output.out
    assert main([*files, "--summary", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sum(row["times"] for row in rows) == 30
    assert main([*files, "--summary", "--csv"]) == 0
    assert capsys.readouterr().out.startswith("workflow,activity,decided_by,times,")


def test_interrupted_it_says_how_far_it_came(tmp_path: Path, capsys: Any, monkeypatch: Any):
    file = tmp_path / "history.json"
    file.write_text(json.dumps(runs("both_hands")))
    add = Summary.add

    def interrupted(self: Summary, *about: Any) -> None:
        add(self, *about)
        if self.workflows == 2:
            [task] = asyncio.all_tasks()
            task.cancel()  # as asyncio does at Ctrl+C

    monkeypatch.setattr(Summary, "add", interrupted)
    assert main([str(file)] * 5 + ["--summary"]) == 130
    output = capsys.readouterr()
    assert "Interrupted after 2 workflows: what follows is of these." in output.err
    assert "BothHands          2" in output.out


def test_on_a_terminal_it_shows_how_far_it_is(tmp_path: Path, capsys: Any, monkeypatch: Any):
    file = tmp_path / "history.json"
    file.write_text(json.dumps(runs("both_hands")))
    assert main([str(file)] * 4 + ["--summary"]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main([str(file)] * 4 + ["--summary"]) == 0
    shown = capsys.readouterr().err.split("\r")
    assert shown[1] == "[#####               ] 1 of 4"
    assert shown[-1] == "[####################] 4 of 4\n"
