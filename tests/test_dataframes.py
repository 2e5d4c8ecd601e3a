"""How a notebook shows a table: what pandas shows, aligned, escaped, and the timeline's colour at each decider."""

import re
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter

from course.history.timeline import LANES
from course.lab.dataframes import as_html, show_tables

TABLE = pd.DataFrame(
    {
        "turn": pd.array([1, None], dtype="Int64"),
        "decided_by": ["agent", "workflow"],
        "failure": ["<b>& </td><script>", None],
        "waited": pd.to_timedelta([3, None], unit="s"),
        "result": pd.Series([1.5, 2], dtype=object),
        "done": [True, False],
    }
)


def cells(html: str, tag: str = "t[hd]") -> list[tuple[str, str]]:
    """The style and the text of each cell."""
    found = re.findall(rf'<({tag})\b(?: style="(.*?)")?[^>]*>(.*?)</\1>', html, re.S)
    return [(style, re.sub(r"<span.*?</span>", "", text)) for _, style, text in found]


def test_text_is_on_the_left_and_what_can_be_counted_on_the_right() -> None:
    left = {name for style, name in cells(as_html(TABLE), "th") if "text-align:left" in style}
    assert left == {"decided_by", "failure", "done"}
    row = cells(as_html(TABLE), "td")[:6]
    assert ["text-align:left" in style for style, _ in row] == [False, True, True, False, False, True]


@pytest.mark.parametrize("decider", LANES)
def test_a_decider_has_its_lane_s_colour_and_is_named_beside_it(decider: str) -> None:
    [cell] = re.findall(r"<td.*?</td>", as_html(pd.DataFrame({"decided_by": [decider]})))
    assert f"background:{LANES[decider][1]}" in cell
    assert cell.endswith(f"</span>{decider}</td>")
    assert "<span" not in as_html(pd.DataFrame({"somebody": [decider], "decided_by": ["no lane"]}))


def test_values_are_escaped() -> None:
    assert "&lt;b&gt;&amp; &lt;/td&gt;&lt;script&gt;" in as_html(TABLE)
    assert "<script" not in as_html(pd.DataFrame({"<script>": ["<script>"]}, index=["<script>"]))


def test_it_is_the_same_on_every_run_and_keeps_to_itself() -> None:
    assert as_html(TABLE) == as_html(TABLE.copy())
    assert not re.search(r" id=|<style|<script|color:(?!#)|class=(?!\"dataframe)", as_html(TABLE))


def test_a_long_word_breaks_rather_than_the_page() -> None:
    one, two = as_html(pd.DataFrame({"a": ["x" * 41]})), as_html(pd.DataFrame({"a": ["x " * 41]}))
    assert ("anywhere" in one, "anywhere" in two) == (True, False)


MANY = pd.DataFrame({f"{n}": [n] * 100 if n % 2 else [f"t{n}"] * 100 for n in range(50)})


@pytest.mark.parametrize("columns", [1, 2, 5, 20, None])
@pytest.mark.parametrize(
    "table",
    [
        TABLE,
        MANY,
        pd.DataFrame(),
        pd.DataFrame(index=[1, 2]),
        TABLE[:0],
        TABLE.set_index(["turn", "decided_by"]),
        TABLE.rename_axis("row").rename_axis("column", axis=1),
        pd.concat([TABLE, TABLE], axis=1),
    ],
)
def test_it_shows_what_pandas_shows(table: pd.DataFrame, columns: int | None) -> None:
    with pd.option_context("display.max_columns", columns, "display.max_rows", 12, "display.min_rows", 4):
        html, pandas = as_html(table), table._repr_html_()
    assert [text for _, text in cells(html)] == [text for _, text in cells(pandas)]
    assert re.findall("<p>.*</p>", html) == re.findall("<p>.*</p>", pandas)
    aligned = {
        (text[0] == "t", "left" in style) for style, text in cells(html, "td") if re.match(r"t?\d+$", text)
    }
    assert table is not MANY or aligned <= {(True, True), (False, False)}


def test_a_head_of_two_rows_stays_as_pandas_has_it() -> None:
    table = pd.concat({"a": TABLE}, axis=1)
    assert as_html(table) == table._repr_html_()


def test_a_notebook_shows_it_and_the_plain_text_is_pandas_s() -> None:
    shell: Any = SimpleNamespace(display_formatter=DisplayFormatter())
    show_tables(shell)
    shown, _ = shell.display_formatter.format(TABLE)
    assert shown == {"text/html": as_html(TABLE), "text/plain": repr(TABLE)}
    with pd.option_context("display.notebook_repr_html", False):
        shown, _ = shell.display_formatter.format(TABLE)
        assert set(shown) == {"text/plain"}
