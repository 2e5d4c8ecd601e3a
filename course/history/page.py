"""One workflow's record as one HTML file: it needs no network and no script, and reads with a keyboard or aloud."""

import base64
import io
from collections.abc import Iterator
from html import escape
from typing import Any

import pandas as pd

from course.history.doubts import told
from course.history.printing import cell_text, counted
from course.history.questions import ASKED, questions
from course.history.reading import History, runs_of, text_of
from course.history.sources import started_of
from course.history.tables import activity_table, event_table, transcript_table
from course.history.timeline import drawn

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; }
h3 { display: inline; font-size: 1rem; }
table { border-collapse: collapse; font-size: .875rem; }
caption { text-align: left; padding: .25rem 0; color: #444; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #ccc; overflow-wrap: break-word; }
th { font-weight: 600; white-space: nowrap; }
td { min-width: 4rem; max-width: 24rem; }
td.number { text-align: right; }
.scroll { overflow-x: auto; }
.scroll:focus-visible, summary:focus-visible { outline: 3px solid #1f5f99; outline-offset: 2px; }
img { max-width: 100%; height: auto; }
figure { margin: 0; }
details { border-bottom: 1px solid #ccc; padding: .5rem 0; }
summary { cursor: pointer; }
dt { font-weight: 600; } dd { margin: 0 0 .5rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
"""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_SHOWN = ["run", "turn", "activity", "decided_by", "attempts", "status", "waited", "ran", "failure"]


def page(history: History, *, title: str = "A workflow") -> str:
    """An HTML page: the timeline, who decided what, the four questions, and each turn's messages and events.

    Everything that the record holds is escaped, and nothing is loaded from anywhere: the page forbids it to the
    browser. It tells what was said, the types of activities and what failures say, but neither arguments nor results. Takes and raises what
    `activity_table` does.
    """
    runs = runs_of(history)
    activities, turns, lines = told(history)
    figure = drawn(runs, activities, turns, title=f"{title}: who decided what")
    table = activity_table(history, times=True).assign(decided_by=[one.decided_by for one in activities])
    left_out = {"run"} if len(runs) < 2 else set()
    left_out |= {"failure"} if not table.failure.any() else set()
    shown = [name for name in _SHOWN if name not in left_out]
    kind = started_of(runs[0]).workflow_type.name if runs else ""
    facts = [
        kind or "Unknown type",
        counted(len(runs), "run"),
        counted(len({message.turn for message in turns.messages} - {None}), "turn"),
        counted(len(table), "activity"),
    ]
    body = [
        f"<h1>{escape(title)}: who decided what</h1>",
        f"<p>{escape(', '.join(facts))}.</p>",
        *_doubts(lines),
        "<section aria-labelledby='timeline'><h2 id='timeline'>Timeline</h2>",
        f"<figure><img src='data:image/png;base64,{_png(figure)}' alt='{escape(figure.description)}'>",
        "<figcaption>In the order of the record, not to scale: a lane for each decider, a bar for each activity. "
        "The same is in the table below.</figcaption></figure></section>",
        *_section(
            "activities", "Activities", table[shown], "Each activity, in the order of scheduling.", "activity"
        ),
        *_section(
            "questions",
            "The four questions",
            questions(history).rename(columns=ASKED),
            "By type of activity and decider.",
            "activity",
        ),
        "<section aria-labelledby='turns'><h2 id='turns'>Turn by turn</h2>",
        *_turns(event_table(history), transcript_table(history)),
        "</section>",
    ]
    return (
        f"<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n<title>{escape(title)}: who decided what</title>\n"
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )


def _png(figure: Any) -> str:
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=2 * figure.dpi, metadata={"Software": None})
    return base64.b64encode(png.getvalue()).decode()


def _doubts(lines: list[str]) -> Iterator[str]:
    if lines:
        yield "<section aria-labelledby='doubts'><h2 id='doubts'>What cannot be told</h2><ul>"
        yield from (f"<li>{escape(line)}</li>" for line in lines)
        yield "</ul></section>"


def _section(id: str, heading: str, table: pd.DataFrame, caption: str, head: str) -> Iterator[str]:
    yield f"<section aria-labelledby='{id}'><h2 id='{id}'>{escape(heading)}</h2>"
    yield from _table(table, caption, head, f"{heading}, a table")
    yield "</section>"


def _table(table: pd.DataFrame, caption: str, head: str, label: str) -> Iterator[str]:
    """`head` is the column whose cells name their rows. What scrolls can be reached by the keyboard."""
    yield f"<div class='scroll' role='region' tabindex='0' aria-label='{escape(label)}'>"
    yield f"<table><caption>{escape(caption)}</caption><thead><tr>"
    yield "".join(f"<th scope='col'>{escape(str(name))}</th>" for name in table.columns)
    yield "</tr></thead><tbody>"
    numeric = [pd.api.types.is_numeric_dtype(kind) for kind in table.dtypes]
    for row in table.itertuples(index=False):
        cells = []
        for name, value, number in zip(table.columns, row, numeric, strict=True):
            text = escape(cell_text(value))
            if name == head:
                cells.append(f"<th scope='row'>{text}</th>")
            else:
                cells.append(f"<td class='number'>{text}</td>" if number else f"<td>{text}</td>")
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody></table></div>"


def _turns(events: pd.DataFrame, transcript: pd.DataFrame) -> Iterator[str]:
    """A turn's messages and events, folded; and the events of no turn."""
    for turn in sorted(set(events.turn.dropna()) | set(transcript.turn.dropna())):
        mine = events[events.turn == turn].drop(columns="turn")
        yield f"<details><summary><h3>Turn {turn}</h3>: {len(mine)} events</summary>"
        said = transcript[transcript.turn == turn].itertuples()
        if lines := [f"<dt>{escape(one.role)}</dt><dd>{escape(text_of(one.text))}</dd>" for one in said]:
            yield f"<dl>{''.join(lines)}</dl>"
        yield from _table(mine, f"The events of turn {turn}.", "event", f"Events of turn {turn}")
        yield "</details>"
    rest = events[events.turn.isna()].drop(columns="turn")
    if len(rest):
        yield f"<details><summary><h3>No turn</h3>: {len(rest)} events</summary>"
        yield from _table(
            rest, "The events that belong to no turn, such as workflow tasks.", "event", "Events of no turn"
        )
        yield "</details>"
