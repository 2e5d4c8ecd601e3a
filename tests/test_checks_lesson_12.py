"""Exercise 12 in three directions: the starter is not yet, the solution passes, each wrong answer gets its words."""

import os

import pytest

from course.checks import cell, check, exercises
from tests.test_checks import beside_a_notebook, nothing_is_left_behind
from tests.test_checks_lessons import Changed, flat

__all__ = ["beside_a_notebook", "nothing_is_left_behind"]

DUE = "self._closing or self.turns >= self.full"
IDLE = "lambda: workflow.all_handlers_finished() and not self.duties"
NOTES = "        if self.memory.is_full():\n            self.later(self.memory.fold())  # nobody waits for the notes\n"
CARRY = "Carried(self.turns, self.memory)"
INIT = "    @workflow.init\n    def __init__(self, customer: str, carried: Carried | None = None) -> None:\n"
UNPACK = """        carried = carried or Carried(0, Memory(kept=2))
        self.turns, self.memory = carried.turns, carried.memory
        self.full = self.turns + TURNS_A_RUN
"""
RUN = "    async def run(self, customer: str, carried: Carried | None = None) -> int:\n"

TURN = "        before = self.memory.items()\n"
KEEP = f"        self.memory.remember(answer.memory[len(before) :])\n{NOTES}"
LIST = "        self.memory = answer.memory\n"

WRONG = [
    Changed("12", "no new run", "No new run has begun", ((DUE, "self._closing"),)),
    Changed(
        "12",
        "new runs alone",
        "its memory has no window",
        (
            ("Memory(kept=2)", "[]"),
            ("memory: Memory", "memory: list"),
            (TURN, "        before = self.memory\n"),
            (KEEP, LIST),
        ),
    ),
    Changed("12", "a window of ten", "its window is wider than two turns: Memory(kept=2)", (("kept=2", ""),)),
    Changed("12", "no notes", "nobody took notes", ((NOTES, ""),)),
    Changed(
        "12",
        "memory left behind",
        "the memory was not taken along",
        ((CARRY, "Carried(self.turns, Memory(kept=2))"),),
    ),
    Changed(
        "12",
        "notes not read",
        "the last model call was not given them",
        (("self.memory.items()", "[i for t in self.memory.recent for i in t]"),),
    ),
    Changed("12", "counts anew", "take `turns` along", ((CARRY, "Carried(0, self.memory)"),)),
    Changed(
        "12",
        "unpacked in run",
        "Its handler ran before `run`",
        (
            (INIT, "    def __init__(self) -> None:\n"),
            (UNPACK, "        self.memory = Memory(kept=2)\n"),
            (RUN, RUN + UNPACK),
        ),
    ),
    Changed("12", "handlers cut off", "while its handler was at work", ((IDLE, "lambda: not self.duties"),)),
    Changed("12", "notes cut off", "cut them off", ((IDLE, "workflow.all_handlers_finished"),)),
    Changed(
        "12",
        "waits for the notes",
        "the customer waited for the notes",
        (("self.later(self.memory.fold())", "await self.memory.fold()"),),
    ),
    Changed(
        "12",
        "full at five",
        "is full at the number it began with",
        (("self.turns + TURNS_A_RUN", "TURNS_A_RUN"),),
    ),
    Changed(
        "12",
        "full at every fifth",
        "the new run ended without a turn",
        (("self.turns >= self.full", "(self.turns and self.turns % TURNS_A_RUN == 0)"),),
    ),
    Changed("12", "no init", "@workflow.init is missing", (("    @workflow.init\n", ""),)),
]


async def test_the_starter_is_not_yet() -> None:
    cell.exercise("12", exercises.load("12").STARTER + "\n# I have begun\n")
    verdict = await check("12")
    assert verdict.outcome == "not yet"
    assert "No new run has begun" in flat(verdict)


@pytest.mark.parametrize(
    "wrong", WRONG if os.environ.get("SOAK") else [WRONG[1], WRONG[7]], ids=lambda wrong: wrong.name
)
async def test_a_wrong_answer_gets_its_own_words(wrong: Changed) -> None:
    cell.exercise("12", wrong.code())
    verdict = await check("12")
    assert verdict.outcome in ("not yet", "error"), str(verdict)
    assert wrong.words in flat(verdict), str(verdict)
