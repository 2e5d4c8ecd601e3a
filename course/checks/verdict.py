"""What a check answers."""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass


class NotYet(Exception):
    """The first thing that differs from what the exercise asks for. Line breaks in the sentence do not count.

    `below` are lines that follow it as they are: a record that it speaks of, say.
    """

    outcome = "not yet"

    def __init__(self, sentence: str, below: Iterable[str] = ()) -> None:
        super().__init__("\n".join([one_line(sentence), *below]))


def require(ok: object, sentence: str) -> None:
    """Raises `NotYet` unless it is so. What has to be computed for the sentence, or read, belongs behind an `if`."""
    if not ok:
        raise NotYet(sentence)


@dataclass(frozen=True)
class Verdict:
    """A check's answer. Shown as text: the same on every run, with no ids, paths or times in it.

    Attributes:
        outcome: `passed`, `not yet`, `error` (the reader's own code failed), `not started` or `unknown`.
        text: What was seen.
        printed: What the reader's code printed, shortened.
        hint: Where help is.
    """

    outcome: str
    text: str
    printed: str = ""
    hint: str = ""

    @property
    def passed(self) -> bool:
        return self.outcome == "passed"

    def __str__(self) -> str:
        label = {"passed": "Passed: ", "not yet": "Not yet: "}.get(self.outcome, "")
        return "\n".join(filled(part) for part in (label + self.text, self.printed, self.hint) if part)

    __repr__ = __str__


def filled(text: str) -> str:
    """Lines of at most 100 characters; line breaks are kept."""
    return "\n".join(textwrap.fill(line, 100, break_long_words=False) for line in text.splitlines())


def one_line(text: str) -> str:
    return " ".join(text.split())


def shortened(text: str, limit: int = 160) -> str:
    """One line of at most `limit` characters."""
    line = one_line(text)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def quoted(text: str, limit: int = 70) -> str:
    return f"“{shortened(text, limit)}”"
