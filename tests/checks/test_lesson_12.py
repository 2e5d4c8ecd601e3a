"""Answers to exercise 12, and what its check says to each."""

from tests.checks.answers import *

DUE = "self._closing or self.turns >= self.full"
IDLE = "lambda: workflow.all_handlers_finished() and not self.duties"
CARRY = "Carried(self.turns, self.memory)"
UNPACK = (
    "carried = carried or Carried(0, Memory(kept=2))",
    "self.turns, self.memory = carried.turns, carried.memory",
    "self.full = self.turns + TURNS_A_RUN",
)
NO_NOTES = instead("self.memory.is_full()"), instead("self.memory.fold()")

STARTER = "No new run has begun"

WRONG = {
    "no new run": ("No new run has begun", (DUE, "self._closing")),
    "new runs alone": (
        "its memory has no window",
        ("Memory(kept=2)", "[]"),
        ("memory: Memory", "memory: list"),
        ("self.memory.items()", "self.memory"),
        instead("self.memory.remember", "self.memory = answer.memory"),
        *NO_NOTES,
    ),
    "a window of ten": ("its window is wider than two turns: Memory(kept=2)", ("kept=2", "")),
    "a window of three": ("wider than two turns. Memory(kept=2) has three at most", ("kept=2", "kept=3")),
    "a window of one": ("and two turns stay", ("kept=2", "kept=1")),
    "runs of six": ("One of the runs has 6 turns", ("TURNS_A_RUN = 5", "TURNS_A_RUN = 6")),
    "runs of four": ("some ended before they had five", ("TURNS_A_RUN = 5", "TURNS_A_RUN = 4")),
    "another customer": ("run 2 was begun for 'x'", ("[customer, Carried", '["x", Carried')),
    "the first turns are pinned": (
        "it is kept word for word",
        instead("self.memory.is_full()", "del self.memory.recent[2:-2]"),
        instead("self.memory.fold()"),
    ),
    "no notes": ("and nobody took notes: memory.fold", *NO_NOTES),
    "memory left behind": ("the memory was not taken along", (CARRY, "Carried(self.turns, Memory(kept=2))")),
    "notes not read": (
        "the last model call was not given them",
        ("self.memory.items()", "[i for t in self.memory.recent for i in t]"),
    ),
    "counts anew": ("take `turns` along", (CARRY, "Carried(0, self.memory)")),
    "unpacked in run": (
        "Its handler ran before `run`",
        instead("@workflow.init"),
        instead("def __init__", "def __init__(self) -> None:"),
        instead(UNPACK[0]),
        instead(UNPACK[1], "self.memory = Memory(kept=2)"),
        instead(UNPACK[2]),
        after("async def run", *(f"    {line}" for line in UNPACK)),
    ),
    "handlers cut off": ("while its handler was at work", (IDLE, "lambda: not self.duties")),
    "notes cut off": ("cut them off", (IDLE, "workflow.all_handlers_finished")),
    "waits for the notes": (
        "the customer waited for the notes",
        ("self.later(self.memory.fold())", "await self.memory.fold()"),
    ),
    "full at five": ("is full at the number it began with", ("self.turns + TURNS_A_RUN", "TURNS_A_RUN")),
    "full at every fifth": (
        "the new run ended without a turn",
        ("self.turns >= self.full", "(self.turns and self.turns % TURNS_A_RUN == 0)"),
    ),
    "no init": ("@workflow.init is missing", instead("@workflow.init")),
}

SAMPLE = {"runs of six", "another customer", "new runs alone", "unpacked in run"}
