"""The final report: one HTML file that a person can open, with everything a customer typed escaped."""

import base64
import io
import os
import re
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

from .database import Database, reports
from .refusals import KeyReused

STYLE = """
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
  table { border-collapse: collapse; width: 100% }
  th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid #ddd }
  td { white-space: pre-wrap; overflow-wrap: anywhere }
  img { max-width: 100% }
"""
HEAD = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>{style}</style>
<h1>{title}</h1>
"""
PAGE = (
    HEAD
    + """<p>{turns} messages, {answered} answered.{shown}</p>
<table><tr><th>Turn</th><th>Customer</th><th>Juniper</th><th>Outcome</th></tr>
{rows}
</table>
<h2>Length of messages and answers</h2>
{figure}
</html>
"""
)
FIGURE = """<img src="data:image/png;base64,{png}"
 alt="Bars: characters of each message and of its answer, turn by turn">"""
NO_FIGURE = "<p>There is no figure: the worker that wrote this report has no Matplotlib.</p>"


def write_report(folder: Path, task_id: str, summary: dict[str, Any]) -> Path:
    """Writes the report of one conversation and returns its path. The same `task_id` is the same file."""
    turns, counted = summary.get("turns", []), totals(summary)
    page = PAGE.format(
        style=STYLE,
        title=escape(f"Conversation with {summary.get('customer', 'a customer')}"),
        **counted,
        shown=f" The last {len(turns)} are shown." if len(turns) < counted["turns"] else "",
        rows=_rows(turns, COLUMNS),
        figure=_figure(turns),
    )
    return _write(folder, task_id, page)


def write_weekly_report(folder: Path, task_id: str, title: str, counts: list[dict[str, Any]]) -> Path:
    """Writes one week's report: `conversation`, `messages` and `answered` of each. No customer's words are in it."""
    page = WEEK.format(style=STYLE, title=escape(title), rows=_rows(counts, WEEKLY))
    return _write(folder, task_id, page)


def keep_weekly_row(database: Database, row: dict[str, Any]) -> None:
    """Keeps what a week's report counts. A row that is there, and counts other turns, is brought up to date.

    No key is reused here: a count is read off the turns, and one of them may have been saved since.
    """
    try:
        database.insert_once(reports, row)
    except KeyReused:
        with database.engine.begin() as connection:
            connection.execute(reports.update().where(reports.c.task_id == row["task_id"]).values(**row))


WEEKLY = ("conversation", "messages", "answered")
WEEK = (
    HEAD
    + """<table><tr><th>Conversation</th><th>Messages</th><th>Answered</th></tr>
{rows}
</table>
</html>
"""
)


def _rows(items: list[dict[str, Any]], names: tuple[str, ...]) -> str:
    cells = ("".join(f"<td>{escape(str(item.get(name, '')))}</td>" for name in names) for item in items)
    return "\n".join(f"<tr>{row}</tr>" for row in cells)


def report_name(task_id: str) -> str:
    """The file of a report: a person can read what it is of, and no two share one."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", task_id)[:60].strip("-")
    return f"{name}-{sha256(task_id.encode(errors='replace')).hexdigest()[:6]}.html"


def _write(folder: Path, task_id: str, page: str) -> Path:
    file = folder / report_name(task_id)
    draft = file.with_suffix(f".{os.getpid()}.draft")
    draft.write_text(page, encoding="utf-8", errors="replace")
    draft.replace(file)  # whole or not at all
    return file


def totals(summary: dict[str, Any]) -> dict[str, int]:
    """How many turns a conversation had, and how many were answered: also those that are not listed."""
    turns = summary.get("turns", [])
    listed = {"turns": len(turns), "answered": sum(turn.get("outcome") == "answered" for turn in turns)}
    return summary.get("totals", listed)


COLUMNS = ("turn", "message", "answer", "outcome")


def _figure(turns: list[dict[str, Any]]) -> str:
    """Drawn where Matplotlib is installed: the desk does not need it."""
    try:
        from matplotlib.figure import Figure  # without pyplot: safe on a worker's thread
    except ModuleNotFoundError:
        return NO_FIGURE

    figure = Figure(figsize=(7, 2.4))
    # Placed by hand: a layout that Matplotlib has to find takes as long as the drawing.
    axes = figure.add_axes((0.1, 0.2, 0.89, 0.77))
    places = range(1, len(turns) + 1)
    customer = {"label": "customer", "color": "#3b6e4f"}
    juniper = {"label": "Juniper", "color": "#c9d8c5", "hatch": "//", "edgecolor": "#3b6e4f"}
    for name, aside, look in (("message", -0.2, customer), ("answer", 0.2, juniper)):
        lengths = [len(turn.get(name, "")) for turn in turns]
        axes.bar([x + aside for x in places], lengths, 0.38, **look)
    axes.set_xticks(list(places))
    axes.set_xlabel("turn")
    axes.set_ylabel("characters")
    if turns:
        axes.legend(frameon=False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return FIGURE.format(png=base64.b64encode(picture.getvalue()).decode())
