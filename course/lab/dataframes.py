"""How a notebook shows a DataFrame: pandas's own table, its text on the left, and the timeline's colour at each decider.

What is shown, and how much of it, is pandas's choice; so is the plain text. Every style is in the element that has it:
GitHub takes the styles away and leaves a table, and nothing in it differs from run to run.
"""

import re
from collections.abc import Iterable

import pandas as pd
from IPython.core.interactiveshell import InteractiveShell

from course.history.questions import ASKED
from course.history.timeline import LANES

_TEXT = "text-align:left"
_DECIDERS = {"decided_by", ASKED["decided_by"]}
_WORD = 40
"""Characters. A longer one, such as JSON without spaces, would make the table wider than the page."""
_ELLIPSIS = "..."  # where pandas left out columns
_CELL = re.compile(r"<(t[hd])\b[^>]*>(.*?)</\1>", re.S)
_NUMBERS = {
    "integer",
    "floating",
    "mixed-integer-float",
    "decimal",
    "complex",
    "timedelta",
    "datetime",
    "date",
}


def show_tables(shell: InteractiveShell) -> None:
    shell.display_formatter.formatters["text/html"].for_type(pd.DataFrame, as_html)


def as_html(frame: pd.DataFrame) -> str | None:
    """The HTML of a table, or None where pandas shows no HTML (`display.notebook_repr_html`)."""
    html = frame._repr_html_()
    if html is None or "<tbody>" not in html or frame.columns.nlevels > 1:
        return html
    head, body = (html.partition(f"<{part}>")[2].partition(f"</{part}>")[0] for part in ("thead", "tbody"))
    after = (
        html.partition("</table>")[2].removesuffix("</div>").strip()
    )  # rows × columns, of a table that was cut
    rows = [*_rows(frame, head), "</thead><tbody>", *_rows(frame, body)]
    return "\n".join(
        ['<table border="1" class="dataframe"><thead>', *rows, "</tbody></table>", after]
    ).rstrip()


def _rows(frame: pd.DataFrame, part: str) -> Iterable[str]:
    """Rows of a table's head or body. What is left of the columns, pandas's index, is as it was."""
    for row in part.split("</tr>")[:-1]:
        cells = _CELL.findall(row)
        left = row.count("<th") if "<td" in row else frame.index.nlevels
        shown = _shown(frame, len(cells) - left)
        styled = [_cell(tag, text, *column) for (tag, text), column in zip(cells[left:], shown, strict=True)]
        index = re.findall(r"<th.*?</th>", row, re.S)[:left]
        yield f"<tr>{''.join(index + styled)}</tr>"


def _shown(frame: pd.DataFrame, count: int) -> list[tuple[str, bool]]:
    """Of the columns that are shown, the name, and whether it holds text. Pandas leaves out those in the middle."""
    columns = [(str(name), _is_text(frame.iloc[:, place])) for place, name in enumerate(frame.columns)]
    if count == len(columns):
        return columns
    half = count // 2
    return [*columns[:half], (_ELLIPSIS, False), *columns[len(columns) - (count - half - 1) :]]


def _is_text(column: pd.Series) -> bool:
    if column.dtype == object:
        return pd.api.types.infer_dtype(column, skipna=True) not in _NUMBERS
    kinds = pd.api.types
    is_number = kinds.is_numeric_dtype(column) and not kinds.is_bool_dtype(column)
    return not (is_number or kinds.is_datetime64_any_dtype(column) or kinds.is_timedelta64_dtype(column))


def _cell(tag: str, text: str, name: str, is_text: bool) -> str:
    if not is_text:
        return f"<{tag}>{text}</{tag}>"
    style = _TEXT + ";overflow-wrap:anywhere" * (max(map(len, text.split()), default=0) > _WORD)
    if tag == "td" and name in _DECIDERS and text in LANES:
        _, colour, _ = LANES[text]
        text = f'<span style="background:{colour};border:1px solid;margin-right:.5em;padding:0 .4em"></span>{text}'
    return f'<{tag} style="{style}">{text}</{tag}>'
