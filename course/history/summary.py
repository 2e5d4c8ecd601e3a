"""Many workflows, counted: by type, and by type of activity."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

import pandas as pd
from temporalio.api.enums.v1 import EventType

from course.history.deciders import MODEL_CALLS, ModelCall
from course.history.doubts import told
from course.history.executions import RUN_ENDS, Activity
from course.history.foreign import foreign_agent_in
from course.history.reading import History, Run, nanoseconds, runs_of
from course.history.sources import started_of
from course.history.turns import Turns

_TASK_FAILED = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
_TASK_DONE = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
_TASK_WAITS = EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED


@dataclass
class _Row:
    """One type of activity, by one decider, in one type of workflow."""

    times: int = 0
    attempts: int = 0
    failed: int = 0
    waited: array = field(default_factory=lambda: array("d"))
    ran: array = field(default_factory=lambda: array("d"))


@dataclass
class _Type:
    """One type of workflow."""

    workflows: int = 0
    open: int = 0
    turns: int = 0
    model_calls: int = 0
    has_foreign: bool = False  # an agent whose model calls are not known as such
    without_tokens: int = 0
    tokens: int = 0
    over: list[tuple[str, int, frozenset[str]]] = field(
        default_factory=list
    )  # turns that are over, and their types
    duties: set[str] = field(default_factory=set)  # what the workflow has decided on in a turn


class Summary:
    """Counts of many workflows, handed in one at a time: what it keeps of each is numbers and names.

    For whom a workflow waits, a person, say, no record tells, and so this does not.
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, str], _Row] = {}
        self._types: dict[str, _Type] = {}
        self._names: dict[frozenset[str], frozenset[str]] = {}
        self._frozen: list[tuple[str, str, int, str]] = []
        self.doubtful = 0
        """Workflows of which something cannot be told."""

    @property
    def workflows(self) -> int:
        return sum(kind.workflows for kind in self._types.values())

    def add(self, history: History, id: str = "") -> None:
        """Counts one workflow, all runs of it. `id` is what it is called. Raises what `activity_table` does."""
        runs = runs_of(history)
        activities, turns, lines = told(history)
        self.doubtful += bool(lines)
        name = (started_of(runs[0]).workflow_type.name if runs else "") or "unknown"
        kind = self._types.setdefault(name, _Type())
        is_open = not (runs and any(True for _ in runs[-1].of_kinds(RUN_ENDS)))
        kind.workflows += 1
        kind.open += is_open
        doubtful = [activity for activity in activities if activity.decided_by == "unknown"]
        kind.has_foreign |= foreign_agent_in(doubtful).answered < float("inf")
        for activity in activities:
            self._count(self._rows.setdefault((name, activity.name, activity.decided_by), _Row()), activity)
            if activity.name in MODEL_CALLS:
                kind.model_calls += 1
                tokens = _tokens(activity)
                kind.without_tokens += tokens is None
                kind.tokens += tokens or 0
            if activity.decided_by == "workflow" and activity.turn is not None:
                kind.duties.add(activity.name)
        self._count_turns(kind, id, activities, turns, is_open)
        if is_open and (failures := _failures_at_the_end(runs[-1:])):
            self._frozen.append((name, id, *failures))

    def _count(self, row: _Row, activity: Activity) -> None:
        row.times += 1
        row.attempts += activity.attempts or 0
        row.failed += activity.status in ("failed", "timed out")
        if activity.started is not None:
            started = nanoseconds(activity.started.event_time)
            row.waited.append((started - nanoseconds(activity.event.event_time)) / 1e9)
            if activity.closed is not None:
                row.ran.append((nanoseconds(activity.closed.event_time) - started) / 1e9)

    def _count_turns(
        self, kind: _Type, id: str, activities: list[Activity], turns: Turns, is_open: bool
    ) -> None:
        """A turn in which something still runs, and the last one of an open workflow, may not be over yet."""
        numbers = dict.fromkeys(message.turn for message in turns.messages if message.turn is not None)
        kind.turns += len(numbers)
        types: dict[int, set[str]] = {number: set() for number in numbers}
        not_over = {max(numbers)} if is_open and numbers else set()
        for activity in activities:
            if activity.turn in types:
                types[activity.turn].add(activity.name)
                if activity.status in ("running", "pending"):
                    not_over.add(activity.turn)
        for number, names in types.items():
            if number not in not_over:
                kept = frozenset(names)
                kind.over.append((id, number, self._names.setdefault(kept, kept)))

    # What was counted

    def activities(self) -> pd.DataFrame:
        """One row for each type of workflow, of activity, and each who decided on it.

        `workflow`, `activity`, `decided_by`, `times`, `attempts` (of all of them), `failed` (for good: failed, timed out), and in seconds
        the medians and 95th percentiles `waited_p50`, `waited_p95` (scheduled to the start of the last attempt: with all before it),
        `ran_p50`, `ran_p95` (its last attempt).
        """
        columns = ["workflow", "activity", "decided_by", "times", "attempts", "failed"]
        columns += ["waited_p50", "waited_p95", "ran_p50", "ran_p95"]
        rows = [
            (*key, row.times, row.attempts, row.failed, *_percentiles(row.waited), *_percentiles(row.ran))
            for key, row in self._rows.items()
        ]
        rows.sort(key=lambda row: list(self._types).index(row[0]))
        return pd.DataFrame(rows, columns=columns)

    def types(self) -> pd.DataFrame:
        """One row for each type of workflow: `workflow`, `workflows`, `open`, `turns`, and a turn's `model_calls` and `tokens`.

        The two are missing where there are no turns, or where an agent's model calls are not known as such; `tokens` also where one
        model call's are not on record.
        """
        rows = [
            {
                "workflow": name,
                "workflows": kind.workflows,
                "open": kind.open,
                "turns": kind.turns,
                "model_calls": kind.model_calls / kind.turns if kind.turns and not kind.has_foreign else None,
                "tokens": (
                    kind.tokens / kind.turns
                    if kind.turns and not (kind.has_foreign or kind.without_tokens)
                    else None
                ),
            }
            for name, kind in self._types.items()
        ]
        table = pd.DataFrame(
            rows, columns=["workflow", "workflows", "open", "turns", "model_calls", "tokens"]
        )
        return table.astype({"model_calls": "Float64", "tokens": "Float64"})

    def missing(self) -> pd.DataFrame:
        """Turns without a duty that other turns of the same type of workflow had: `workflow`, `activity`, `id`, `turn`, `of`.

        A duty is what the workflow's own code has decided on in some turn; a turn had it, whoever decided there. `of` is
        the share of turns that had it: a duty of every third turn is missing in two of three, and rightly so. Only turns that are over.
        """
        rows: list[tuple[str, str, str, int, float]] = []
        for name, kind in self._types.items():
            for duty in sorted(kind.duties):
                without = [(id, turn) for id, turn, names in kind.over if duty not in names]
                share = 1 - len(without) / max(len(kind.over), 1)
                rows += [(name, duty, id, turn, share) for id, turn in without]
        return pd.DataFrame(rows, columns=["workflow", "activity", "id", "turn", "of"])

    def frozen(self) -> pd.DataFrame:
        """Open workflows whose record ends with failed workflow tasks: `workflow`, `id`, `failures`, `said`.

        `failures` are those that the record shows: Temporal records the first of a row, and of the later ones the number.
        """
        return pd.DataFrame(self._frozen, columns=["workflow", "id", "failures", "said"])


def _tokens(model_call: Activity) -> int | None:
    """All that a model call's answer says to have used; None where it does not say."""
    if model_call.status != "completed":
        return 0
    answer = ModelCall(model_call).answer() or {}
    usage = answer.get("usage")
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return total if isinstance(total, int) else None


def _failures_at_the_end(runs: list[Run]) -> tuple[int, str] | None:
    """How many workflow tasks have failed since the last that was done, and what the last failure said."""
    count, said = 0, ""
    for run in runs:
        for _, kind, event in run.of_kinds({_TASK_FAILED, _TASK_DONE, _TASK_WAITS}):
            if kind == _TASK_DONE:
                count, said = 0, ""
            elif kind == _TASK_FAILED:
                count += 1
                said = event.workflow_task_failed_event_attributes.failure.message
            elif count:  # its number tells of failures that left no event
                count = max(count, event.workflow_task_scheduled_event_attributes.attempt - 1)
    return (count, said) if count else None


def _percentiles(seconds: array) -> Iterator[float | None]:
    found = pd.Series(seconds, dtype="float64").quantile([0.5, 0.95])
    return (None if pd.isna(value) else round(float(value), 3) for value in found)
