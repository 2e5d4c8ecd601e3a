"""Code in an output cell, so that a lesson shows exactly what runs."""

import inspect
import re
import textwrap
from typing import Any

from course.lab.errors import LabError


def show_source(*things: Any, first: str | None = None, last: str | None = None) -> Any:
    """Shows the source of classes, functions, methods or modules, one after the other, highlighted.

    `first` and `last` cut it to the lines that a lesson discusses: from the first one that contains `first` to
    the next that contains `last` (alone, to the end or from the beginning), and the brackets that close after it.
    `…` stands for what is left out.
    Raises `LabError` for anything else, and where no line contains those words.
    """
    from IPython.display import Code

    for thing in things:
        if not (inspect.isclass(thing) or inspect.isroutine(thing) or inspect.ismodule(thing)):
            raise LabError(f"show_source shows a class, a function or a module, and not {thing!r}.")
    sources = [textwrap.dedent(inspect.getsource(thing)).strip() for thing in things]
    return Code("\n\n".join(_cut(source, first, last) for source in sources), language="python")


def _cut(source: str, first: str | None, last: str | None) -> str:
    lines = source.splitlines()
    start = _line_with(first, lines) if first else 0
    end = start + _line_with(last, lines[start:]) if last else len(lines) - 1
    while last and end + 1 < len(lines) and re.fullmatch(r"\s*[)\]}]+,?", lines[end + 1]):
        end += 1
    kept = textwrap.dedent("\n".join(lines[start : end + 1]))
    return "\n".join([*["…"][: bool(start)], kept, *["…"][: end < len(lines) - 1]])


def _line_with(words: str, lines: list[str]) -> int:
    for number, line in enumerate(lines):
        if words in line:
            return number
    raise LabError(f"show_source finds no line with {words!r} there.")
