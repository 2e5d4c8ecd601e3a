"""What an agent remembers of a long conversation. It is bounded on purpose.

A model knows what a call hands it, and nothing else. Hand it everything, and every call is longer than the
one before: it costs more, it fills the history (which keeps every call's input), and over 2 MiB it fails the
workflow task. So the last turns are kept word for word, and the turns before them as a few notes. Lesson 12
measures both.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from agents import Agent, TResponseInputItem
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from course.desk.answering import ask

KEPT = 10
"""Turns that stay word for word. When there are twice as many, the older half becomes notes."""

MUCH = 128 * 1024
"""Bytes. Turns that come to more than this become notes early."""

MOST = 512 * 1024
"""Bytes. A model is never handed more than this: what does not fit is forgotten without a note."""

MAX_SUMMARY = 1_000
"""Characters. The notes are cut there, whatever the model wrote."""

EXCERPT = 1_500
"""Characters of one message that the note-taker reads."""

NOTES = "Notes of what was said before, taken by the desk (not a message of the customer):"

note_taker = Agent(
    name="Notes",
    instructions=f"""You keep the notes of a shop's conversation with a customer. You are given the notes so far
and the messages that will be forgotten. Write the new notes, at most {MAX_SUMMARY} characters: what the
customer said of themselves, what they want, order numbers, what was promised. Keep what the old notes say.""",
)


@dataclass
class Memory:
    """What the next agent run is given. It can be carried into the next workflow run."""

    summary: str = ""
    old: list[list[dict[str, Any]]] = field(default_factory=list)
    """Turns that are about to become notes."""
    recent: list[list[dict[str, Any]]] = field(default_factory=list)
    """The turns after these: for each its items, from the customer's message to the answer."""
    kept: int = KEPT
    """How many turns stay word for word."""

    def __post_init__(self) -> None:
        self.old, self.recent = [], [*self.old, *self.recent]
        self._folding = False  # nobody takes notes yet

    def items(self) -> list[TResponseInputItem]:
        """The model's input, up to the new message.

        The notes are made of what the customer said, so they speak with the customer's voice: as a
        developer's message they would have an authority that no customer has.
        """
        noted = [{"role": "user", "content": f"{NOTES}\n{self.summary}"}]
        turns = [*([noted] if self.summary else []), *self.old, *self.recent]
        return [item for turn in turns for item in turn]  # type: ignore[misc]

    def remember(self, turn: list[Any]) -> None:
        """Adds one turn: its items, from the customer's message to the answer."""
        if turn:
            self.recent.append(turn)
        while _size(self.old + self.recent) > MOST or len(self.recent) > 3 * self.kept:
            (self.old or self.recent).pop(0)

    def is_full(self) -> bool:
        """Whether it is time to take notes."""
        much = len(self.recent) > 1 and _size(self.recent) > MUCH
        return (much or len(self.recent) >= 2 * self.kept) and not self._folding

    async def fold(self) -> None:
        """Turns the older half into notes.

        Who decides that it runs? The workflow, when `is_full()`. Who decides with which arguments? Code picks
        the turns. May the reply wait for it? No: the turns stay in mind until the notes are there. What if it
        never succeeds? The notes stay as they were, and the turns are forgotten.
        """
        if not self.is_full():
            return
        self._folding = True
        half = len(self.recent) // 2
        self.old, self.recent = self.recent[:half], self.recent[half:]
        answer = await ask(note_taker, [], self._to_be_noted())
        if answer.outcome == "answered":
            self.summary = answer.text[:MAX_SUMMARY]
        else:
            workflow.logger.warning("No notes were taken: %s", answer.reason)
        self.old, self._folding = [], False

    def _to_be_noted(self) -> str:
        lines = ["Notes so far:", self.summary or "(none)", "", "Will be forgotten:"]
        for item in (item for turn in self.old for item in turn):
            who = {"user": "Customer", "assistant": "Juniper"}.get(item.get("role", ""))
            if who:  # what was said; not the tools' calls
                lines.append(f"{who}: {_text(item.get('content'))[:EXCERPT]}")
        return "\n".join(lines)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return " ".join(str(part.get("text", "")) for part in content or [])


def _size(turns: list[list[dict[str, Any]]]) -> int:
    return len(json.dumps(turns, ensure_ascii=False, default=str).encode(errors="replace"))
