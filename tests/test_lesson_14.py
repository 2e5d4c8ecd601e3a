"""Lesson 14 and its page: what a lab tells of itself, and only to whom it was told to. One lab plays it all: `telling.py`."""

import re
import shutil
import subprocess
import warnings
from pathlib import Path

import pytest
from temporalio.contrib import opentelemetry as spans

from course.desk import telemetry
from tests.alerting import RULES, fires, read, rules
from tests.telling import KEY, told

LOOPBACK = {"127.0.0.1", "::1", "localhost", "a file"}


def test_with_metrics_traces_and_a_key_nothing_leaves_but_to_the_receiver() -> None:
    assert told()["connected"] <= LOOPBACK
    assert KEY not in str(told()["scrapes"])
    assert told()["exit code"] == 0


def test_what_cannot_be_served_or_sent_is_refused_with_a_sentence() -> None:
    said = told()["refusals"]
    assert "is taken, so no metrics can be served there. Name another one in metrics=" in said["a taken port"]
    assert said["no port"] == (
        "metrics= is True, for a free port, or the number of a port, such as 9464, and not 99999."
    )
    assert (
        "tracing= is where traces are sent to. '127.0.0.1:4318' is no address such as http://"
        in (said["no address"])
    )


def test_a_second_lab_of_the_process_has_the_same_or_is_refused() -> None:
    assert told()["same address"]
    another = told()["refusals"]["another"]
    assert another.startswith(
        "A lab in this kernel was started with metrics=True and tracing='http://127.0.0.1:"
    )
    assert "Start this one so, or restart the kernel and choose first." in another


def test_a_trace_has_a_span_for_each_attempt_and_agrees_with_the_record_about_who_decided() -> None:
    table = told()["joined"]
    assert table["spans"] == table["attempts"]
    under = dict(zip(table["activity"], table["under"], strict=True))
    assert under["invoke_model_activity"] == "turn"
    assert under["look_up_order"] == "look_up_order"
    assert under["save_to_database"] == under["send_notification"] == "HandleUpdate:send"
    decided = dict(zip(table["activity"], table["decided_by"], strict=True))
    assert decided["look_up_order"] == "agent"
    assert decided["save_to_database"] == "workflow"


def test_a_span_of_a_tool_holds_its_arguments_and_its_result() -> None:
    assert '{\\"order_id\\": \\"1042\\"}' in told()["a tool's span"]
    assert "Order 1042: 1" in told()["a tool's span"]


def test_a_counter_behind_the_row_counts_turns_and_one_in_the_workflow_counts_failed_tasks() -> None:
    counted = told()["counted"]
    assert counted["desk_turns_total"] == told()["rows of the desk"]
    assert counted["messages_by_workflow_total"] > 1  # one message of that code


def test_a_conversation_shows_itself_only_if_its_start_says_so_and_a_person_is_waited_for_until_one_decides() -> (
    None
):
    assert told()["made known"] == [["DeskCustomer", "DeskState", "DeskWaitsFor"], []]
    assert told()["shows itself"] == ["al-1", "bo-1"]  # ada, of the same code, does not
    assert told()["waits for a person"] == []


def test_an_attribute_that_the_server_does_not_know_freezes_a_conversation_until_it_is_made_known() -> None:
    assert "has no mapping defined for search attribute Desk" in told()["not known"]
    assert (
        told()["failed tasks by the metric"] == 0
    )  # the server refuses what the worker has done: to the worker, its code did not fail
    assert told()["refused tasks by the metric"] > 1
    assert "al-1" in told()["shows itself"]


def test_a_worker_that_has_just_died_is_still_counted_among_the_pollers() -> None:
    assert told()["pollers after a death"] == 2


# Alert rules, on what the lab said of itself when it was well, and sick in just one way

SICK = {
    "activities": {"DeskActivityRetried"},
    "replies": {"DeskRepliesSlow"},
    "tasks": {"DeskTasksFail"},
    "refused": {"DeskTasksRefused"},
    # The second one, too, two hours later: windows are the business of promtool, below.
    "no reply": {"DeskCustomersWait", "DeskActivityRetried"},
    "polls": {"DeskNobodyPolls"},
    "well": set(),
}


@pytest.mark.parametrize("way", SICK)
def test_a_desk_that_is_sick_in_one_way_fires_the_rule_for_it_and_no_other(way: str) -> None:
    before, after = map(read, told()["scrapes"][way])
    assert {alert for alert, condition in rules().items() if fires(condition, before, after)} == SICK[way]


@pytest.mark.parametrize("way", ["replies", "well"])
def test_the_rule_on_slow_replies_reads_prometheus_3_too(way: str) -> None:
    """It writes a bucket's limit of 30 as 30.0."""
    scrapes = [re.sub(r'le="(\d+)"', r'le="\1.0"', text) for text in told()["scrapes"][way]]
    assert fires(rules()["DeskRepliesSlow"], *map(read, scrapes)) == (way == "replies")


def test_a_reply_that_has_not_come_is_in_no_number_of_replies() -> None:
    scrapes = told()["scrapes"]
    during = read(scrapes["replies"][0]), read(scrapes["no reply"][-1])
    assert not fires(rules()["DeskRepliesSlow"], *during)


def test_a_success_in_its_window_keeps_the_rule_on_retries_silent() -> None:
    scrapes = told()["scrapes"]
    rule = rules()["DeskActivityRetried"]
    assert fires(rule, *map(read, scrapes["activities"]))
    assert not fires(rule, read(scrapes["well"][0]), read(scrapes["activities"][1]))


def test_the_metrics_that_rules_name_are_there() -> None:
    """A rule on a name that does not exist never fires, and nobody is told."""
    text = "\n".join(text for texts in told()["scrapes"].values() for text in texts)
    for condition in rules().values():
        for name in {
            word for word in condition.replace("{", " ").replace("(", " ").replace("[", " ").split()
        }:
            if name.startswith(("temporal_", "desk_")):
                assert f"\n{name}{{" in text, name


def test_promtool_reads_the_rules_and_agrees_where_it_is_installed(tmp_path: Path) -> None:
    """Debian's package prometheus has it. `alerts_promtool.yml` has a series for each sickness."""
    cases = Path(__file__).with_name("alerts_promtool.yml")
    (tmp_path / "alerts.yml").write_text(RULES.read_text())
    (tmp_path / "cases.yml").write_text(cases.read_text())
    assert {alert for alert in rules() if alert in cases.read_text()} == {*rules()}
    if promtool := shutil.which("promtool"):
        for command in (["check", "rules", "alerts.yml"], ["test", "rules", "cases.yml"]):
            done = subprocess.run([promtool, *command], cwd=tmp_path, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr


def test_who_asks_for_a_tracer_again_gets_the_one_it_has() -> None:
    provider = spans.create_tracer_provider(shutdown_on_exit=False)
    telemetry._keep_tracers(provider)
    mine = provider.get_tracer("desk", "1")
    with warnings.catch_warnings():
        warnings.resetwarnings()
        assert provider.get_tracer("desk", "1") is mine
        assert not warnings.filters  # OpenTelemetry would have set one
    assert provider.get_tracer("desk", "2") is not mine
    assert provider.get_tracer("desk", "1", attributes={"of": "the team"}) is not mine
