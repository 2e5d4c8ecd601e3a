"""One conversation as a figure: which activity came when, in which hand, and where the clock jumped."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pandas as pd
from temporalio.api.enums.v1 import EventType

from course.history.activities import Activity
from course.history.reading import History, Run, runs_of
from course.history.tables import clock_jump, decided
from course.history.turns import Turns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The lanes, from top to bottom: what stands above each, its colour and its hatch. Each pair of colour and
# hatch is told apart in grey, too.
_LANES = {
    "plugin": ("plugin: calls of the integration's own", "#d8d8d8", ""),
    "agent": ("agent: the model asked for it", "#5b8db8", "////"),
    "tool": ("tool: the code of a called tool chose it", "#a9cce3", "...."),
    "workflow": ("workflow: the workflow's code asked for it", "#f0b36a", ""),
    "unknown": ("unknown: the record cannot prove any", "#ffffff", "xxxx"),
}
_INK, _FAINT = "#333333", "#999999"
# How far each kind of moment is from the one before. Time itself is no measure: an activity of milliseconds
# would vanish beside an outage of hours. Order is what the figure shows.
_STEP = {
    "run": 0.5,
    "message": 0.7,
    "reply": 0.3,
    "scheduled": 0.3,
    "started": 1.2,
    "closed": 1.0,
    "jump": 1.3,
}
_JUMP = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIME_SKIPPING_TRANSITIONED
_ROW = 0.3  # inches


@dataclass
class _Jump:
    """Jumps of the clock with nothing between them that the figure shows."""

    position: int
    by: pd.Timedelta
    count: int = 1


def timeline(history: History, *, title: str | None = None) -> Figure:
    """A figure of one conversation, for a notebook to show or `savefig` to keep.

    From left to right everything stands in the order in which the history has it, not to scale. There is a
    lane for each decider that the history has, a row in it for each type of activity, and a bar for each
    activity, from its scheduling to its end. A cross in a bar is an attempt that failed; a bar without an
    end is an activity that the record does not show to end. Where the virtual clock jumped, the axis is
    broken. Below, a bracket reaches from the message that opens a turn to its reply.

    `title` replaces the one that says this. Takes and raises what `activity_table` does.
    """
    from matplotlib.figure import Figure  # half a second: only who draws pays for it

    runs = runs_of(history)
    activities, turns = decided(runs)
    jumps = _jumps(runs, activities, turns)
    x = _places(runs, activities, turns, jumps)
    rows = _rows(activities)
    brackets = _brackets(activities, turns, x)
    height = 1.5 + _ROW * (sum(1 for _ in rows) + len({decider for decider, _ in rows}) + _depth(brackets))
    width = min(max(6.5, 1.6 + 0.34 * x["end"]), 20.0)
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    y = _draw_lanes(axes, rows, x)
    for activity in activities:
        _draw_bar(axes, activity, y[activity.decided_by, activity.name], x)
    bottom = min(y.values(), default=0) - 0.9
    for jump in jumps:
        _draw_break(axes, jump, x, bottom)
    for start in x["runs"]:
        axes.axvline(start, color=_FAINT, linewidth=0.8, linestyle=(0, (1, 3)), gid="run")
        axes.annotate("new run", (start, 0.6), ha="center", va="bottom", fontsize=7, color=_FAINT)
    _draw_brackets(axes, brackets, bottom)
    axes.set_xlim(-0.3, x["end"] + 0.5)
    axes.set_ylim(bottom - 0.9 * _depth(brackets) - 0.3, 0.7)
    axes.set_title(title or _title(activities, turns, jumps), fontsize=10, loc="left", pad=16, color=_INK)
    return figure


def _jumps(runs: list[Run], activities: list[Activity], turns: Turns) -> list[_Jump]:
    """The jumps of the clock, joined where they follow one another."""
    shown = {a.position for a in activities} | {a.closed_position for a in activities}
    shown |= {m.position for m in turns.messages} | {m.answered for m in turns.messages}
    jumps: list[_Jump] = []
    last_shown = position = 0
    for run in runs:
        for event in run:
            position += 1
            if position in shown:
                last_shown = position
            elif event.event_type == _JUMP:
                if jumps and jumps[-1].position > last_shown:
                    jumps[-1].by, jumps[-1].count = jumps[-1].by + clock_jump(event), jumps[-1].count + 1
                else:
                    jumps.append(_Jump(position, clock_jump(event)))
    return jumps


def _places(runs: list[Run], activities: list[Activity], turns: Turns, jumps: list[_Jump]) -> dict[Any, Any]:
    """Where each position in the history stands on the x axis; "runs", where new runs begin; and "end"."""
    moments = [(activity.position, "scheduled") for activity in activities]
    moments += [(a.closed_position, "closed") for a in activities if a.closed_position and not a.is_local]
    moments += [(a.started_position, "started") for a in activities if a.started and (a.attempts or 0) > 1]
    moments += [(jump.position, "jump") for jump in jumps]
    moments += [(m.position, "message") for m in turns.messages if m.turn]
    moments += [(m.answered, "reply") for m in turns.messages if m.turn and m.answered]
    before = 0
    for run in runs[:-1]:
        before += len(run)
        moments.append((before + 0.5, "run"))
    places: dict[Any, Any] = {"runs": []}
    place = 0.0
    for position, kind in sorted(moments):
        place += _STEP[kind]
        places[position] = place
        if kind == "scheduled" and _is_local_at(position, activities, places):
            place += _STEP["closed"]
        if kind == "run":
            places["runs"].append(place)
    places["end"] = place + 0.6
    return places


def _is_local_at(position: int, activities: list[Activity], places: dict[Any, Any]) -> bool:
    """A local activity has one event: its bar needs room to its right."""
    if "local" not in places:
        places["local"] = {activity.position for activity in activities if activity.is_local}
    return position in places["local"]


def _rows(activities: list[Activity]) -> list[tuple[str, str]]:
    """(decider, activity type), lane by lane, in each by first appearance."""
    seen = dict.fromkeys((activity.decided_by, activity.name) for activity in activities)
    return sorted(seen, key=lambda row: list(_LANES).index(row[0]))


def _draw_lanes(axes: Axes, rows: list[tuple[str, str]], x: dict[Any, Any]) -> dict[tuple[str, str], float]:
    """Name the lanes and rows; return the height of each row."""
    heights: dict[tuple[str, str], float] = {}
    y = 0.0
    for decider, lane in groupby(rows, key=lambda row: row[0]):
        axes.annotate(
            _LANES[decider][0], (-0.1, y), va="center", fontsize=8, color=_INK, style="italic", gid="lane"
        )
        top = y + 0.5
        for row in lane:
            y -= 1.0
            heights[row] = y
            axes.axhline(y, color="#eeeeee", linewidth=0.8, zorder=0)
        y -= 1.1
        axes.axhline(top, color="#cccccc", linewidth=0.8, zorder=0)
    axes.set_yticks(list(heights.values()), [name for _, name in heights], fontsize=8, color=_INK)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return heights


def _draw_bar(axes: Axes, activity: Activity, y: float, x: dict[Any, Any]) -> None:
    from matplotlib.patches import Rectangle

    _, colour, hatch = _LANES[activity.decided_by]
    left = x[activity.position]
    ends = activity.closed is not None
    right = x["end"] if not ends else left + 1.0 if activity.is_local else x[activity.closed_position]
    retried = (activity.attempts or 1) > 1
    failed = activity.status in ("failed", "timed out", "canceled")
    bar = Rectangle(
        (left, y - 0.32),
        right - left,
        0.64,
        facecolor=colour,
        edgecolor=_INK,
        hatch=hatch,
        linewidth=0.8,
        linestyle="-" if ends else (0, (4, 2)),
        alpha=1.0 if ends else 0.55,
        gid=f"bar {activity.decided_by} {activity.name}",
    )
    axes.add_patch(bar)
    words = [f"attempt {activity.attempts}"] if retried else []
    words += [activity.status] if failed or not ends else []
    if retried:
        waited = x.get(activity.started_position, right) - left
        count = min(activity.attempts - 1, 12)
        at = [left + waited * (n + 0.5) / count for n in range(count)]
        axes.plot(at, [y] * count, "x", color=_INK, markersize=5, markeredgewidth=1.3, gid="attempts")
    if failed:
        axes.plot([right], [y], "X", color=_INK, markersize=7, gid="failed", zorder=4)
    if words:
        axes.annotate(
            ", ".join(words), (right, y + 0.36), ha="right", va="bottom", fontsize=7, color=_INK, gid="words"
        )


def _draw_break(axes: Axes, jump: _Jump, x: dict[Any, Any], bottom: float) -> None:
    """A gap through all lanes between two torn edges, and how far the clock went."""
    middle, half = x[jump.position] - 0.45, 0.16
    heights = [bottom + 0.35 + n * 0.25 for n in range(int((0.2 - bottom) / 0.25) + 1)]
    torn = [0.05 if n % 2 else -0.05 for n in range(len(heights))]
    left, right = ([middle + side * half + t for t in torn] for side in (-1, 1))
    axes.fill_betweenx(heights, left, right, color="white", zorder=3, linewidth=0, gid="break")
    for edge in (left, right):
        axes.plot(edge, heights, color=_FAINT, linewidth=0.8, zorder=3.1)
    label = f"+{_span(jump.by)}" + (f"\nin {jump.count} jumps" if jump.count > 1 else "")
    axes.annotate(
        label, (middle, heights[-1] + 0.05), ha="center", va="bottom", fontsize=7.5, color=_INK, gid="jump"
    )


def _brackets(activities: list[Activity], turns: Turns, x: dict[Any, Any]) -> list[tuple]:
    """(turn, from, to, whether `to` is its reply, depth): turns that overlap stand below one another."""
    ends: dict[int, float] = {}
    for activity in activities:
        if activity.turn is not None:
            place = x.get(activity.closed_position, x["end"]) if activity.closed else x["end"]
            ends[activity.turn] = max(ends.get(activity.turn, 0.0), place)
    brackets: list[tuple] = []
    free: list[float] = []
    for message in turns.messages:
        if message.turn is None:
            continue
        left = x[message.position]
        right = x[message.answered] if message.answered else max(ends.get(message.turn, 0.0), left + 0.5)
        depth = next((n for n, end in enumerate(free) if end < left), len(free))
        free[depth : depth + 1] = [right]
        brackets.append((message.turn, left, right, message.answered is not None, depth))
    return brackets


def _depth(brackets: list[tuple]) -> int:
    return max((depth + 1 for *_, depth in brackets), default=0)


def _draw_brackets(axes: Axes, brackets: list[tuple], bottom: float) -> None:
    for turn, left, right, replied, depth in brackets:
        y = bottom - 0.9 * depth
        axes.plot([left, left], [bottom - 0.15, 0.5], color="#dddddd", linewidth=0.8, zorder=0)
        axes.plot([left, left, right], [y + 0.15, y, y], color=_INK, linewidth=1.0, gid="turn")
        if replied:
            axes.plot([right], [y], marker=">", color=_INK, markersize=4)
        word = f"turn {turn}" if right - left < 3 or not replied else f"turn {turn}, to its reply"
        axes.annotate(word, ((left + right) / 2, y - 0.12), ha="center", va="top", fontsize=8, color=_INK)


def _title(activities: list[Activity], turns: Turns, jumps: list[_Jump]) -> str:
    count = len({message.turn for message in turns.messages if message.turn})
    title = f"Who decided what: {_many(len(activities), 'activity')} in {_many(count, 'turn')}, in order"
    if jumps:
        skipped = sum((jump.by for jump in jumps), pd.Timedelta(0))
        title += f"; the clock skipped {_span(skipped)}"
    return title


def _many(count: int, thing: str) -> str:
    plural = thing[:-1] + "ies" if thing.endswith("y") else thing + "s"
    return f"{count or 'no'} {thing if count == 1 else plural}"


def _span(time: pd.Timedelta) -> str:
    """The two largest units: "3 d 4 h", "1 h", "20 s"."""
    parts = time.round("s").components
    units = [(parts.days, "d"), (parts.hours, "h"), (parts.minutes, "min"), (parts.seconds, "s")]
    return " ".join(f"{value} {unit}" for value, unit in [u for u in units if u[0]][:2]) or "0 s"
