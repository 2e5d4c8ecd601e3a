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


HANDLERS = "self.closing and workflow.all_handlers_finished()"
RUNS = 'result = await Runner.run(self.agent, [*self.memory, {"role": "user", "content": text}])'
LOCKED = "async with self.one_at_a_time:  # the next message is answered with this one in mind"


def by_hand(*after_the_run: str) -> tuple[Change, ...]:
    """A memory that is put together in place of `to_input_list()`."""
    return (
        instead(
            RUNS,
            'self.memory.append({"role": "user", "content": text})',
            "result = await Runner.run(self.agent, list(self.memory))",
        ),
        instead("self.memory = result.to_input_list()", *after_the_run),
    )


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
    "memory in the module, by customer": (
        "outlives the conversation",
        ("\n\n@workflow.defn", "\n\nMEMORY: dict[str, list[TResponseInputItem]] = {}\n\n\n@workflow.defn"),
        instead("self.memory: list", "self.customer = customer"),
        ("[*self.memory,", "[*MEMORY.get(self.customer, []),"),
        ("self.memory = result.to_input_list()", "MEMORY[self.customer] = result.to_input_list()"),
    ),
    "the customer's words only": ("and not what it had said itself", *by_hand()),
    "a text of all that was said": (
        "inside another text. Hand the conversation over as a list of messages",
        instead(
            RUNS,
            'self.memory.append(f"Customer: {text}")',
            'result = await Runner.run(self.agent, "\\n".join(self.memory))',
        ),
        instead("self.memory = result", 'self.memory.append(f"Agent: {result.final_output}")'),
    ),
    "no lock": ("Two messages came at once", (LOCKED, "if True:")),
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
    "ends with a message in flight": (
        "waited for the model, and the message got no reply",
        (HANDLERS, "self.closing"),
    ),
    "polls": (
        "wait_condition waits without one",
        instead("await workflow.wait_condition", f"while not ({HANDLERS}):", "    await asyncio.sleep(1)"),
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

RIGHT = {
    "new items by hand": by_hand("self.memory += [item.to_input_item() for item in result.new_items]"),
    "a queue that `run` works off": (
        (f"            {RUNS}\n            self.memory = result.to_input_list()\n", ""),
        instead("self.one_at_a_time =", "self.waiting, self.replies = [], {}"),
        instead(
            "await workflow.wait_condition",
            "while True:",
            "    await workflow.wait_condition(lambda: self.waiting or self.closing)",
            "    if not self.waiting:",
            "        break",
            "    number, text = self.waiting.pop(0)",
            f"    {RUNS}",
            "    self.memory = result.to_input_list()",
            "    self.replies[number] = str(result.final_output)",
            "await workflow.wait_condition(workflow.all_handlers_finished)",
        ),
        (LOCKED, "if True:"),
        (
            "            return str(result.final_output)",
            """            number = str(workflow.uuid4())
            self.waiting.append((number, text))
            await workflow.wait_condition(lambda: number in self.replies)
            return self.replies[number]""",
        ),
    ),
    "closed by an update": (("@workflow.signal\n    def", "@workflow.update\n    async def"),),
}

SAMPLE = {"no class", "ends with a message in flight", "no lock"}
