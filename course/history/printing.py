"""Tables as text, for a terminal, a pipe, and other programs."""

import json
import math
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

import pandas as pd

GAP = "  "
NARROWEST = 8
"""A column is not cut below this, however narrow the terminal."""
_COLOURS = {"plugin": "2", "agent": "34", "tool": "36", "workflow": "33", "unknown": "35"}
_NOT_SHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def table_text(table: pd.DataFrame, width: int | None = None, colour: bool = False) -> Iterator[str]:
    """The lines of a table. Texts are cut to have `width` characters a line, numbers are not; without a width nothing is cut."""
    columns = [str(name) for name in table.columns]
    numeric = [pd.api.types.is_numeric_dtype(kind) for kind in table.dtypes]
    rows = [[cell_text(value) for value in row] for row in table.itertuples(index=False)]
    widths = [max(map(_width, column)) for column in zip(columns, *rows, strict=True)]
    can_be_cut = [place for place, right in enumerate(numeric) if not right]
    while width and sum(widths) + len(GAP) * (len(widths) - 1) > width:
        widest = max(can_be_cut, key=lambda place: widths[place], default=None)
        if widest is None or widths[widest] <= NARROWEST:
            break
        widths[widest] -= 1
    for number, row in enumerate([columns, *rows]):
        cells = []
        for name, cell, room, right in zip(columns, row, widths, numeric, strict=True):
            shown = _fitted(cell, room, right)
            if colour and number == 0:
                shown = f"\x1b[1m{shown}\x1b[0m"
            elif colour and name == "decided_by" and cell in _COLOURS:
                shown = f"\x1b[{_COLOURS[cell]}m{shown}\x1b[0m"
            cells.append(shown)
        yield GAP.join(cells).rstrip()


def cell_text(value: Any) -> str:
    """A cell in one line that no terminal takes for a command; empty where it is missing."""
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, pd.Timedelta):
        return span_text(value)
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.1f}"
    return one_line(str(value))


def one_line(text: str) -> str:
    """Without line breaks, and without what moves a terminal's cursor or turns a text's direction."""
    return _NOT_SHOWN.sub(" ", text).strip()


def span_text(time: pd.Timedelta) -> str:
    """The two largest units: "3 d 4 h", "1 h", "20 s"."""
    parts = time.round("s").components
    units = [(parts.days, "d"), (parts.hours, "h"), (parts.minutes, "min"), (parts.seconds, "s")]
    return " ".join(f"{value} {unit}" for value, unit in [u for u in units if u[0]][:2]) or "0 s"


def counted(count: int, thing: str) -> str:
    """ "1 turn", "no turns", "3 activities"."""
    plural = thing[:-1] + "ies" if thing.endswith("y") else thing + "s"
    return f"{count or 'no'} {thing if count == 1 else plural}"


def _fitted(text: str, room: int, right: bool) -> str:
    if _width(text) > room:
        kept = ""
        for character in text:
            if _width(kept + character) > room - 1:
                break
            kept += character
        text = kept + "…"
    blank = " " * (room - _width(text))
    return blank + text if right else text + blank


def _width(text: str) -> int:
    """In a terminal: East Asian characters take two columns, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


# For other programs


def plain(table: pd.DataFrame, nested: bool = False) -> pd.DataFrame:
    """The same table in values that every program reads: times in ISO 8601, spans in seconds, payloads as JSON text.

    With `nested`, payloads stay what they are.
    """
    table = table.copy()
    for name, kind in table.dtypes.items():
        if pd.api.types.is_timedelta64_dtype(kind):
            table[name] = table[name].dt.total_seconds()
        elif isinstance(kind, pd.DatetimeTZDtype):
            times = [None if pd.isna(time) else time.isoformat() for time in table[name]]
            table[name] = pd.Series(times, dtype=object, index=table.index)
        elif name in ("input", "result") and not nested:
            texts = [None if value is None else _json(value) for value in table[name]]
            table[name] = pd.Series(texts, dtype=object, index=table.index)
    return table


def json_lines(table: pd.DataFrame) -> Iterator[str]:
    """One JSON object a row."""
    for row in plain(table, nested=True).astype(object).to_dict("records"):
        yield _json({name: None if _is_missing(value) else value for name, value in row.items()})


def _json(value: Any) -> str:
    """ASCII alone: what a payload holds need not be text that can be encoded. NaN, which JSON has not, is null."""
    try:
        return json.dumps(value, default=str, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), default=str)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _is_missing(value: Any) -> bool:
    return value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))
