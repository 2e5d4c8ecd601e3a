"""Answers to exercise 01, and what its check says to each."""

from tests.checks.answers import *

FORGETS = (
    '[*self.memory, {"role": "user", "content": text}])\n            self.memory = result.to_input_list()',
    "text)",
)
LAST_RUN_ONLY = ("self.memory = result.to_input_list()", "self.memory = result.to_input_list()[-2:]")


def first(*lines: str, module: str) -> tuple[Change, ...]:
    """What a turn does before anything else, and the module that it needs for it."""
    return before("async with self", *lines), after("import asyncio", f"import {module}")


STARTER = "@workflow.defn is missing"

WRONG = {
    "no class": ("There is no class DurableAgent", ("DurableAgent", "Agents")),
    "send is a signal": ("`send` is a signal", ("@workflow.update", "@workflow.signal")),
    "send is not async": (
        "`send` is a plain function",
        ("async def send", "def send"),
        ("async with self", "if self"),
        ("await Runner.run(", "Runner.run_sync("),
    ),
    "no init": ("@workflow.init is missing", ("    @workflow.init\n", "")),
    "forgets": ("it forgets what came before", FORGETS),
    "remembers the last run only": ("forgotten the first one", LAST_RUN_ONLY),
    "memory in the module": (
        "a variable of the module or the class",
        ("\n\n@workflow.defn", "\n\nMEMORY: list[TResponseInputItem] = []\n\n\n@workflow.defn"),
        ("        self.memory: list[TResponseInputItem] = []\n", ""),
        ("[*self.memory,", "[*MEMORY,"),
        ("self.memory = result.to_input_list()", "MEMORY[:] = result.to_input_list()"),
    ),
    "the clock": (
        "calls time.time, and the sandbox refuses it",
        *first("began = time.time()", module="time"),
    ),
    "randomness": (
        "random.random, and the sandbox refuses it",
        *first("luck = random.random()", module="random"),
    ),
    "randomness outside the sandbox": (
        "it is not deterministic",
        *first("if next(COUNT) > 3:", "    await asyncio.sleep(0.01)", module="itertools"),
        ("@workflow.defn\n", "COUNT = itertools.count()\n\n\n@workflow.defn(sandboxed=False)\n"),
    ),
    "sleeps": ("calls time.sleep, which blocks the worker", *first("time.sleep(1)", module="time")),
    "loops in the workflow": (
        "does not give the worker back",
        before("async with self", "while True:", "    pass"),
    ),
    "never ends": ("was closed and does not end", ("self.closing and", "False and")),
    "returns nothing": ("got None as a reply", ("return str(result.final_output)", "str(result)")),
    "run returns at once": (
        "got no reply: `run` had returned, and that ended the conversation",
        instead("await workflow.wait_condition", "return"),
    ),
}

RAISES = {
    "raises in the workflow": (
        "Your code raised: NameError: name 'txt' is not defined (line 29)",
        ('"content": text', '"content": txt'),
    ),
    "exits in the workflow": ("sys.exit()", before("async with self", "raise SystemExit")),
}

SAMPLE = {"no class", "remembers the last run only"}
