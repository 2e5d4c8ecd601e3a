"""What a record does not hold, so that it cannot be told: as `unknown` in the rows, and as a line that says why."""

from collections import Counter

from course.history.executions import Activity
from course.history.foreign import foreign_agent_in
from course.history.reading import History, Run, Unreadable, runs_of, value_of
from course.history.sources import started_of
from course.history.tables import decided
from course.history.turns import Turns


def told(history: History) -> tuple[list[Activity], Turns, list[str]]:
    """The activities and turns of a workflow, and the lines that say what cannot be told and why.

    Behind missing events, `workflow` and `tool` become `unknown`: the model's call that would say `agent` may be
    among them.
    """
    runs = runs_of(history)
    activities, turns = decided(runs)
    lines: list[str] = []
    if earlier := started_of(runs[0]).continued_execution_run_id if runs else "":
        lines.append(
            f"The run before these, {earlier}, is not here: turns are counted from these on, and a call that it "
            "left open is not seen."
        )
    gaps = _gaps(runs)
    if gaps:
        for activity in activities:
            if (
                activity.decided_by in ("workflow", "tool")
                and (activity.run, activity.event.event_id) > gaps[0][:2]
            ):
                activity.decided_by = "unknown"
        where = "; ".join(f"{first} to {last} of run {run}" for run, first, last in gaps[:3])
        lines.append(
            f"Events are missing ({where}). What is behind them is unknown, unless a call that is on record asks for it."
        )
    sealed = _sealed(activities)
    if sealed:
        kinds = ", ".join(f"{count} × {kind or 'no encoding'}" for kind, count in sealed.most_common(3))
        lines.append(
            f"{sealed.total()} payloads cannot be read here ({kinds}). What they would prove is unknown. A codec "
            "(--codec-endpoint, codec=) decodes them."
        )
    doubtful = [activity for activity in activities if activity.decided_by == "unknown"]
    if doubtful and not gaps and not sealed:
        why = "the record proves no decider (course/history/deciders.py says when)"
        if foreign_agent_in(doubtful).answered < float("inf"):
            why = "an agent of a framework whose calls this does not know may have chosen them"
        lines.append(f"{_many(len(doubtful))} unknown: {why}.")
    return activities, turns, lines


def _many(rows: int) -> str:
    return "1 row is" if rows == 1 else f"{rows} rows are"


def _gaps(runs: list[Run]) -> list[tuple[int, int, int]]:
    """(run, first, last) of the ids of missing events, as far as what is there shows them."""
    gaps = []
    for number, run in enumerate(runs, start=1):
        expected = 1
        for event in run:
            if event.event_id > expected:
                gaps.append((number, expected, event.event_id - 1))
            expected = event.event_id + 1
    return gaps


def _sealed(activities: list[Activity]) -> Counter[str]:
    """How many arguments and results cannot be read, by their encoding."""
    found: Counter[str] = Counter()
    for activity in activities:
        for payload in [*activity.inputs, *filter(None, [activity.payload])]:
            encoding = payload.metadata.get("encoding", b"")
            if encoding not in (b"json/plain", b"json/protobuf", b"binary/null"):
                value = value_of(payload)
                found[value.encoding if isinstance(value, Unreadable) else ""] += 1
    return found
