"""One conversation as a figure: which activity came when, in which hand, and where the clock jumped."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd
from temporalio.api.enums.v1 import EventType

from course.history.executions import Activity
from course.history.printing import counted, span_text
from course.history.reading import History, Run, numbered, runs_of
from course.history.tables import clock_jump, decided
from course.history.turns import Turns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The lanes, from top to bottom: what stands above each, its colour and its hatch. Each pair of colour and
# hatch is told apart in grey, too.
LANES = {
    "plugin": ("plugin: calls of the integration's own", "#d8d8d8", ""),
    "agent": ("agent: the model asked for it", "#5b8db8", "////"),
    "tool": ("tool: the code of a called tool chose it", "#a9cce3", "...."),
    "workflow": ("workflow: the workflow's code asked for it", "#f0b36a", ""),
    "unknown": ("unknown: the record cannot prove any", "#ffffff", "xxxx"),
}
_INK, _FAINT = "#333333", "#999999"
# How far each kind of moment is from the one before. Time itself is no measure: an activity of milliseconds
# would vanish beside an outage of hours. Order is what the figure shows.
_STEP = dict(run=0.5, message=0.7, reply=0.3, scheduled=0.3, started=1.2, closed=1.0, jump=1.3)
_JUMP = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIME_SKIPPING_TRANSITIONED
_ROW = 0.3  # inches
_BAR = 0.64  # of a row
_TRACK = 0.72  # what each further track adds to it
_LEGIBLE = 1000.0  # on the x axis: what is longer has no room for words beside its bars, gaps and brackets


Row: TypeAlias = tuple[str, str]  # decider, activity type
Span: TypeAlias = tuple[float, float, int]  # where a bar begins and ends, and its track


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
    runs = runs_of(history)
    return drawn(runs, *decided(runs), title)


def drawn(runs: list[Run], activities: list[Activity], turns: Turns, title: str | None = None) -> Figure:
    """The figure of activities whose decider is known already."""
    from course.history.picture import Picture  # half a second: only who draws pays for it

    jumps = _jumps(runs, activities, turns)
    x = _places(runs, activities, turns, jumps)
    spans = _spans(activities, x)
    tracks = _rows(activities, spans)
    brackets = _brackets(activities, turns, x)
    lanes = len({decider for decider, _ in tracks})
    height = 1.3 + _ROW * (sum(map(_height, tracks.values())) + lanes + _depth(brackets))
    width = min(max(6.5, 1.6 + 0.34 * x["end"]), 20.0)
    figure = Picture(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    y = _draw_lanes(axes, tracks)
    gaps = [x[jump.position] - 0.45 for jump in jumps]
    legible = x["end"] < _LEGIBLE
    _draw_bars(axes, activities, spans, y)
    for activity in activities:
        row = y[activity.decided_by, activity.name]
        _draw_troubles(axes, activity, spans[activity], row, x, gaps, legible)
    bottom = min(y.values(), default=0) - 0.9
    for jump, gap in zip(jumps, gaps, strict=True):
        _draw_break(axes, jump, gap, bottom, legible)
    for start in x["runs"]:
        axes.axvline(start, color=_FAINT, linewidth=0.8, linestyle=(0, (1, 3)), gid="run")
        axes.annotate("new run", (start, 0.6), ha="center", va="bottom", fontsize=7, color=_FAINT)
    _draw_brackets(axes, brackets, bottom, legible)
    axes.set_xlim(-0.3, x["end"] + 0.5)
    axes.set_ylim(bottom - 0.9 * max(_depth(brackets) - 1, 0) - 0.7, 0.7)
    title = title or _title(activities, turns, jumps)
    axes.set_title(title, fontsize=10, loc="left", pad=28 if jumps else 10, color=_INK)
    figure.description = _description(activities, turns, jumps)
    return figure


def _description(activities: list[Activity], turns: Turns, jumps: list[_Jump]) -> str:
    """The figure in words: which activities each lane holds, in order, and where the clock jumped."""
    lanes = []
    for decider in LANES:
        names = Counter(activity.name for activity in activities if activity.decided_by == decider)
        if names:
            lanes.append(f"{decider}: " + ", ".join(f"{n} × {name}" for name, n in names.items()))
    count = len({activity.turn for activity in activities if activity.turn is not None})
    what = counted(count, "turn") if count or turns.messages else "a workflow without turns"
    words = f"Timeline of {what}. {'; '.join(lanes)}."
    if jumps:
        words += f" The clock jumped in {counted(len(jumps), 'place')}."
    return words


def _jumps(runs: list[Run], activities: list[Activity], turns: Turns) -> list[_Jump]:
    """The jumps of the clock, joined where they follow one another."""
    shown = {a.position for a in activities} | {a.closed_position for a in activities}
    shown |= {m.position for m in turns.messages} | {m.answered for m in turns.messages}
    jumps: list[_Jump] = []
    last_shown = 0
    for position, event in enumerate(chain.from_iterable(runs), start=1):
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
    moments += [(first - 0.5, "run") for number, first, _ in numbered(runs) if number > 1]
    local = {activity.position for activity in activities if activity.is_local}
    places: dict[Any, Any] = {"runs": []}
    place = 0.0
    for position, kind in sorted(moments):
        place += _STEP[kind]
        places[position] = place
        if position in local:
            place += _STEP["closed"]  # one event, and a bar to its right
        if kind == "run":
            places["runs"].append(place)
    places["end"] = place + 0.6
    return places


def _rows(activities: list[Activity], spans: dict[Activity, Span]) -> dict[Row, int]:
    """(decider, activity type) and how many tracks: lane by lane, in each by first appearance."""
    tracks: dict[Row, int] = {}
    for activity in activities:
        row = activity.decided_by, activity.name
        tracks[row] = max(tracks.get(row, 1), spans[activity][2] + 1)
    return dict(sorted(tracks.items(), key=lambda item: list(LANES).index(item[0][0])))


def _height(tracks: int) -> float:
    """Of a row, in the units of the y axis."""
    return 1.0 + _TRACK * (tracks - 1)


def _draw_lanes(axes: Axes, rows: dict[Row, int]) -> dict[Row, float]:
    """Name the lanes and rows; return where the lowest track of each row is."""
    heights: dict[Row, float] = {}
    labels: list[float] = []
    y = 0.0
    for decider, lane in groupby(rows, key=lambda row: row[0]):
        paper = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        look = {"va": "center", "fontsize": 8, "color": _INK, "style": "italic", "bbox": paper, "zorder": 3.5}
        axes.annotate(LANES[decider][0], (-0.1, y), gid="lane", **look)
        axes.axhline(y + 0.5, color="#cccccc", linewidth=0.8, zorder=0)
        for row in lane:
            y -= _height(rows[row])
            heights[row] = y
            labels.append(y + _TRACK * (rows[row] - 1) / 2)
            axes.axhline(labels[-1], color="#eeeeee", linewidth=0.8, zorder=0)
        y -= 1.1
    axes.set_yticks(labels, [name for _, name in heights], fontsize=8, color=_INK)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return heights


def _spans(activities: list[Activity], x: dict[Any, Any]) -> dict[Activity, Span]:
    """Where each bar begins and ends, and its track: bars of one row that overlap stand above one another."""
    spans: dict[Activity, Span] = {}
    ends: dict[Row, list[float]] = {}
    for activity in activities:
        left = x[activity.position]
        right = x["end"] if activity.closed is None else x[activity.closed_position]
        if activity.is_local:
            right = left + _STEP["closed"]
        tracks = ends.setdefault((activity.decided_by, activity.name), [])
        track = next((n for n, end in enumerate(tracks) if end <= left), len(tracks))
        tracks[track : track + 1] = [right]
        spans[activity] = (left, right, track)
    return spans


def _draw_bars(
    axes: Axes, activities: list[Activity], spans: dict[Activity, Span], y: dict[Row, float]
) -> None:
    """The bars, row by row: a row's are one artist, for thousands of artists take minutes to draw."""
    from matplotlib.collections import PolyCollection

    rows: dict[Row, list[Activity]] = {}
    for activity in activities:
        rows.setdefault((activity.decided_by, activity.name), []).append(activity)
    for (decider, name), row in rows.items():
        _, colour, hatch = LANES[decider]
        corners = []
        for activity in row:
            left, right, track = spans[activity]
            bottom = y[decider, name] - _BAR / 2 + track * _TRACK
            top = bottom + _BAR
            corners.append([(left, bottom), (right, bottom), (right, top), (left, top)])
        ended = [activity.closed is not None for activity in row]
        bars = PolyCollection(
            corners,
            facecolors=[colour if one else "white" for one in ended],
            linestyles=["-" if one else (0, (4, 2)) for one in ended],
            edgecolors=_INK,
            linewidths=0.8,
            joinstyle="miter",
            capstyle="butt",
            hatch=hatch,
            gid=f"bar {decider} {name}",
        )
        axes.add_collection(bars, autolim=False)


def _draw_troubles(
    axes: Axes,
    activity: Activity,
    span: Span,
    row: float,
    x: dict[Any, Any],
    gaps: list[float],
    legible: bool,
) -> None:
    """What is not as it should be with an activity: its failed attempts, its end, and both in words."""
    from matplotlib.patches import Rectangle

    left, right, track = span
    bottom = row - _BAR / 2 + track * _TRACK
    words = [] if activity.status == "completed" else [activity.status]
    if (activity.attempts or 1) > 1:
        words.insert(0, f"attempt {activity.attempts}")
        if activity.started_position in x:  # the part of the bar in which attempts failed and were waited for
            waited = x[activity.started_position] - left
            pale = {"facecolor": "white", "alpha": 0.6, "linewidth": 0}
            axes.add_patch(Rectangle((left, bottom), waited, _BAR, gid="waited", **pale))
            axes.plot([left + waited] * 2, [bottom, bottom + _BAR], color=_INK, linewidth=0.8)
            crosses = _apart(left, waited, min(activity.attempts - 1, 12), gaps)
            middle = [bottom + _BAR / 2] * len(crosses)
            axes.plot(crosses, middle, "x", color=_INK, markersize=5, gid="attempts")
    if activity.status in ("failed", "timed out", "canceled"):
        axes.plot([right], [bottom + _BAR / 2], "X", color=_INK, markersize=6, gid="failed", zorder=4)
    if words and legible:
        place = {"xytext": (0, 2), "textcoords": "offset points", "ha": "right", "va": "bottom"}
        at = (right, bottom + _BAR)
        axes.annotate(", ".join(words), at, fontsize=7, color=_INK, gid="words", **place)


def _apart(left: float, width: float, count: int, gaps: list[float]) -> list[float]:
    """Places that are evenly spaced in what the gaps of the axis leave of it, and none of them in a gap."""
    half = 0.3
    inside = [gap for gap in gaps if left < gap < left + width]
    step = max(width - 2 * half * len(inside), 0.0) / count
    places = []
    for n in range(count):
        place = left + step * (n + 0.5)
        for gap in inside:
            if place > gap - half:
                place += 2 * half
        places.append(place)
    return places


def _draw_break(axes: Axes, jump: _Jump, middle: float, bottom: float, legible: bool) -> None:
    """A gap through all lanes between two torn edges, and how far the clock went."""
    half = 0.16
    heights = [bottom + 0.35 + n * 0.25 for n in range(int((0.2 - bottom) / 0.25) + 1)]
    torn = [0.05 if n % 2 else -0.05 for n in range(len(heights))]
    left, right = ([middle + side * half + t for t in torn] for side in (-1, 1))
    axes.fill_betweenx(heights, left, right, color="white", zorder=3, linewidth=0, gid="break")
    for edge in (left, right):
        axes.plot(edge, heights, color=_FAINT, linewidth=0.8, zorder=3.1)
    if not legible:
        return
    label = f"+{span_text(jump.by)}" + (f"\nin {jump.count} jumps" if jump.count > 1 else "")
    at = (middle, heights[-1] + 0.05)
    axes.annotate(label, at, ha="center", va="bottom", fontsize=7.5, color=_INK, gid="jump")


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


def _draw_brackets(axes: Axes, brackets: list[tuple], bottom: float, legible: bool) -> None:
    from matplotlib.collections import LineCollection

    heights = [bottom - 0.9 * depth for *_, depth in brackets]
    ups = [[(left, bottom - 0.15), (left, 0.5)] for _, left, *_ in brackets]
    unders = [
        [(left, y + 0.15), (left, y), (right, y)]
        for (_, left, right, *_), y in zip(brackets, heights, strict=True)
    ]
    look = {"capstyle": "projecting", "joinstyle": "round"}
    begins = LineCollection(ups, colors="#dddddd", linewidths=0.8, zorder=0, **look)
    turns = LineCollection(unders, colors=_INK, linewidths=1.0, zorder=2, gid="turn", **look)
    for lines in (begins, turns):
        axes.add_collection(lines, autolim=False)
    ends = [(right, y) for (_, _, right, replied, _), y in zip(brackets, heights, strict=True) if replied]
    axes.plot([x for x, _ in ends], [y for _, y in ends], ">", color=_INK, markersize=4)
    if not legible:
        return
    # All that end at a reply say so, or none: else one too short for the words would look like a turn without a reply.
    roomy = all(right - left >= 3 for _, left, right, replied, _ in brackets if replied)
    for (turn, left, right, replied, _), y in zip(brackets, heights, strict=True):
        word = f"turn {turn}, to its reply" if roomy and replied else f"turn {turn}"
        axes.annotate(word, ((left + right) / 2, y - 0.12), ha="center", va="top", fontsize=8, color=_INK)


def _title(activities: list[Activity], turns: Turns, jumps: list[_Jump]) -> str:
    count = len({message.turn for message in turns.messages if message.turn})
    where = f" in {counted(count, 'turn')}" if count else ""
    title = f"Who decided what: {counted(len(activities), 'activity')}{where}, in order"
    if jumps:
        skipped = sum((jump.by for jump in jumps), pd.Timedelta(0))
        title += f"; the clock skipped {span_text(skipped)}"
    return title
