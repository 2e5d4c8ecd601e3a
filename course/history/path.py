"""The path of a ticket through its states, from the moves on record: as a table and as a figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from course.history.executions import RUN_ENDS, activities_of
from course.history.reading import History, Run, nanoseconds, runs_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOVE = {"from_state", "to_state", "by", "outcome"}
"""What the argument holds by which an activity records a move."""

INK, FAINT = "#333333", "#999999"
# Colour and dashes of an arrow, by who makes the move. Each pair is told apart in grey, too.
MOVERS = {
    "model": ("#5b8db8", "solid"),
    "customer": ("#3a7d44", (0, (1, 1.5))),
    "staff": ("#8e5aa8", (0, (6, 1.5, 1, 1.5))),
    "clock": ("#d9822b", (0, (5, 2))),
}
_UNKNOWN = (INK, "solid")
_ROW, _VISIT = 0.5, 1.15  # inches


@dataclass
class _Visit:
    state: str
    by: str
    began: int  # nanoseconds
    ended: int | None = None  # None: the record does not show an end
    refused: int = 0

    @property
    def spent(self) -> pd.Timedelta:
        return pd.NaT if self.ended is None else pd.Timedelta(self.ended - self.began).round("min")


def path_table(history: History, activity: str | None = None) -> pd.DataFrame:
    """One row for each state that a ticket came to, in order.

    | column | holds |
    | --- | --- |
    | `state` | the state |
    | `by` | who moved the ticket there: `model`, `customer`, `staff`, `clock`; `start` for the first |
    | `spent` | Timedelta: how long it was there, in virtual time to the minute; missing where it still is |
    | `refused` | how many moves were proposed there and refused |

    A ticket has moved when an activity has completed that was given the move to record: an argument with
    `from_state`, `to_state`, `by` and `outcome`. `activity` is the type of that activity; without it, all
    that were given one count. A history without a move has no rows. Takes and raises what `activity_table` does.
    """
    visits = _visits(runs_of(history), activity)
    return pd.DataFrame(
        {
            "state": pd.Series([visit.state for visit in visits], dtype="str"),
            "by": pd.Series([visit.by for visit in visits], dtype="str"),
            "spent": pd.Series([visit.spent for visit in visits], dtype="timedelta64[ns]"),
            "refused": pd.array([visit.refused for visit in visits], dtype="Int64"),
        }
    )


def _visits(runs: list[Run], activity: str | None) -> list[_Visit]:
    recorded = [
        (one, part)
        for one in activities_of(runs)
        if activity in (None, one.name) and one.status == "completed"
        for part in one.arguments or []
        if isinstance(part, dict) and part.keys() >= _MOVE
    ]
    recorded.sort(key=lambda found: found[0].closed_position or 0)
    visits: list[_Visit] = []
    for one, move in recorded:
        now = nanoseconds(one.closed.event_time)
        if not visits:
            visits.append(_Visit(str(move.get("from_state")), "start", nanoseconds(runs[0][0].event_time)))
        if move.get("outcome") == "moved":
            visits[-1].ended = now
            visits.append(_Visit(str(move.get("to_state")), str(move.get("by")), now))
        else:
            visits[-1].refused += 1
    if visits and runs[-1][-1].event_type in RUN_ENDS:
        visits[-1].ended = nanoseconds(runs[-1][-1].event_time)
    return visits


def path(history: History, activity: str | None = None, *, title: str | None = None) -> Figure:
    """A figure of a ticket's path: from left to right the states in the order in which it came to them.

    Each has a row. A bar says how long the ticket was there (it is not drawn to scale: a state of milliseconds
    would vanish beside one of days), and how many proposed moves were refused. An arrow is a move, in the
    colour of who made it.

    Takes and raises what `path_table` does.
    """
    from course.history.picture import Picture  # half a second: only who draws pays for it

    visits = _visits(runs_of(history), activity)
    rows = {state: -number for number, state in enumerate(dict.fromkeys(v.state for v in visits))}
    size = (min(max(4.5, 1.3 + _VISIT * len(visits)), 11.0), 1.2 + _ROW * max(len(rows), 1))
    figure = Picture(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    for number, visit in enumerate(visits):
        _draw_visit(axes, number, visit, rows[visit.state])
        if number:
            _draw_move(axes, number, rows[visits[number - 1].state], rows[visit.state], visit.by)
    axes.set_xlim(-0.1, len(visits) + 0.3)
    axes.set_ylim(min(rows.values(), default=0) - 0.6, 0.6)
    axes.set_yticks(list(rows.values()), list(rows), fontsize=9, color=INK)
    axes.tick_params(length=0)
    axes.set_xticks([])
    axes.spines[:].set_visible(False)
    draw_legend(axes, [visit.by for visit in visits])
    axes.set_title(
        title or "The path of a ticket, and the time in each state", fontsize=10, loc="left", color=INK
    )
    figure.description = _description(visits)
    return figure


def _description(visits: list[_Visit]) -> str:
    steps = [f"{visit.state} ({_spent(visit)}{_refused(visit, ', ')})" for visit in visits]
    moves = ["", *(f" → by the {visit.by} → " for visit in visits[1:])]
    return "Path of a ticket: " + ("".join(map(str.__add__, moves, steps)) or "no move on record") + "."


def _draw_visit(axes: Axes, number: int, visit: _Visit, y: int) -> None:
    axes.barh(y, 0.96, left=number + 0.02, height=0.56, color="#ececec", edgecolor=FAINT, linewidth=0.6)
    high = 0.12 if visit.refused else 0
    axes.text(number + 0.5, y + high, _spent(visit), ha="center", va="center", fontsize=8, color=INK)
    if visit.refused:
        text = _refused(visit, "✕ ")
        axes.text(number + 0.5, y - 0.13, text, ha="center", va="center", fontsize=7, color="#b03030")


def _draw_move(axes: Axes, x: int, start: int, end: int, by: str) -> None:
    colour, dashes = MOVERS.get(by, _UNKNOWN)
    way = 0.28 if end < start else -0.28
    arrow = {"arrowstyle": "-|>", "color": colour, "linestyle": dashes, "linewidth": 1.6}
    axes.annotate("", (x, end + way), (x, start - way), arrowprops=arrow)


def draw_legend(axes: Axes, used: list[str]) -> None:
    """Who made the moves, below a figure: only those who made one."""
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], color=colour, linestyle=dashes, linewidth=1.6, label=by)
        for by, (colour, dashes) in MOVERS.items()
        if by in used
    ]
    if lines:
        below = {"loc": "upper left", "bbox_to_anchor": (0, -0.02), "ncols": 4, "handlelength": 3}
        axes.legend(handles=lines, fontsize=8, frameon=False, **below)


def _spent(visit: _Visit) -> str:
    if visit.ended is None:
        return "is there"
    minutes = int(visit.spent / pd.Timedelta(minutes=1))
    for unit, length in (("day", 1440), ("hour", 60), ("minute", 1)):
        if minutes >= length:
            count = round(minutes / length)
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return "a moment"


def _refused(visit: _Visit, before: str) -> str:
    return f"{before}{visit.refused} refused" if visit.refused else ""
