"""How a conversation's history grows, turn by turn: as a table and as a figure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
from temporalio.api.common.v1 import Header, Payload
from temporalio.api.sdk.v1 import UserMetadata

from course.history.executions import activities_of
from course.history.reading import History, messages_in, numbered, runs_of
from course.history.turns import Turns

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLES = (
    {"color": "#333333", "linestyle": "-", "marker": "o", "linewidth": 2.4},
    {"color": "#b35c1e", "linestyle": "--", "marker": "s", "linewidth": 2.0},
    {"color": "#2f6690", "linestyle": "-.", "marker": "^", "linewidth": 1.2},
    {"color": "#3a7d44", "linestyle": ":", "marker": "D", "linewidth": 1.2},
)


def growth_table(history: History) -> pd.DataFrame:
    """What each turn added to the history: one row a turn, columns `run`, `turn`, `events`, `bytes`.

    `events` are all of them, workflow tasks too. `bytes` are those that messages, activities and new runs carry:
    arguments, results, and what a run hands to the next. They are the same on every run; what Temporal adds to
    each event (ids, times, names: some 100 to 200 bytes) is not, and is left out.

    An event belongs to the turn that began last; what comes before the first turn of a run, to that turn. A run
    without a turn has one row, with `turn` missing. `turn`, the argument and the errors as in `activity_table`.
    """
    runs = runs_of(history)
    turns = Turns(runs, activities_of(runs))
    begins = {message.position: message.turn for message in turns.messages if message.turn is not None}
    rows: list[dict[str, Any]] = []
    for number, first, run in numbered(runs):
        positions = range(first, first + len(run))
        turn = next((begins[position] for position in positions if position in begins), None)
        row = {"run": number, "turn": turn, "events": 0, "bytes": 0}
        rows.append(row)
        for position, event in zip(positions, run, strict=True):
            if begins.get(position, row["turn"]) != row["turn"]:
                row = {"run": number, "turn": begins[position], "events": 0, "bytes": 0}
                rows.append(row)
            row["events"] += 1
            # What Temporal and its SDK add does not count.
            payloads = messages_in(event, Payload, Header, UserMetadata)
            row["bytes"] += sum(len(payload.data) for payload in payloads)
    return pd.DataFrame(rows, columns=["run", "turn", "events", "bytes"]).astype({"turn": "Int64"})


def growth(tables: Mapping[str, pd.DataFrame]) -> "Figure":
    """A figure of how the histories of some conversations grew.

    `tables` are `growth_table`s by name. Left the events, right the bytes that a run's history had come to after
    each turn: where a new run begins, its line falls.

    Raises ValueError when there is nothing to draw, or more than four conversations.
    """
    from course.history.picture import Picture  # half a second: only who draws pays for it

    if not 1 <= len(tables) <= len(_STYLES):
        raise ValueError(f"This figure compares 1 to {len(_STYLES)} conversations, and got {len(tables)}.")
    figure = Picture(figsize=(9.5, 3.6), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, column, unit, what in zip(
        panels, ("events", "bytes"), (1, 1000), ("events", "kB carried"), strict=True
    ):
        for (name, table), style in zip(tables.items(), _STYLES, strict=False):
            so_far = table.groupby("run")[column].cumsum() / unit
            axes.plot(table.turn.astype("float"), so_far, label=name, markersize=3, gid=name, **style)
        axes.set_title(f"The run's history so far: {what}", fontsize=10, loc="left")
        axes.set_xlabel("turn", fontsize=9)
        axes.set_ylim(bottom=0)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(fontsize=8, frameon=False)
    figure.description = "The largest run of each conversation. " + " ".join(
        _told(name, table) for name, table in tables.items()
    )
    return figure


def _told(name: str, table: pd.DataFrame) -> str:
    runs = table.groupby("run").bytes.sum()
    many = f"{len(runs)} run{'s' if len(runs) > 1 else ''}"
    return f"{name}: {many}, {runs.max() / 1000:,.0f} kB carried."
