"""Answers to exercise 09, and what its check says to each."""

from tests.checks.answers import *

PATCH = 'if workflow.patched("statistics"):'
STEP = f"        {PATCH}\n            self.learn_from(text)\n"
RENEW = 'await handle.signal("renew")'
PLAIN = "        self.learn_from(text)\n"
TOLD = '        if workflow.patched("tell-the-team"):\n            self.tell_the_team(text)\n'
SAVE = "        await self.save(text, answer)\n"

STARTER = "the step is not there yet"

WRONG = {
    "no patch": ("began before “tell-the-team”, would freeze", (STEP, PLAIN)),
    "one id, and nothing is rolled out": (
        "has no process_batch in its next turns: invoke_model_activity, save_to_database.",
        (RENEW, "pass"),
    ),
    "an id for each turn": (
        "Every turn has its step, at the price of a patch id of its own: ",
        (PATCH, 'if workflow.patched(f"statistics/turn-{self.turns}"):'),
        (RENEW, "pass"),
    ),
    "an id for each turn, in a new run": (
        "one more with every message, for as long as it lives",
        (PATCH, 'if workflow.patched(f"statistics/turn-{self.turns}"):'),
    ),
    "all are closed": (
        "roll_out ended a conversation that was under way",
        ('signal("renew")', 'signal("close")'),
    ),
    "all are ended": ("and with it what the customer had said", (RENEW, "await handle.terminate()")),
    "a signal that nobody handles": (
        "what does your roll_out do?",
        ('signal("renew")', 'signal("upgrade")'),
    ),
    "the roll-out is not awaited": (
        "roll_out is a plain function",
        ("async def roll_out", "def roll_out"),
        (RENEW, 'handle.signal("renew")'),
    ),
    "the roll-out waits for the end": ("What does it wait for?", (RENEW, "await handle.result()")),
    "an update that is not there": (
        "refused by the server: ",
        (RENEW, 'await handle.execute_update("renew")'),
    ),
    "a new run that has forgotten": (
        "the conversation has lost its memory",
        before(
            "@workflow.run",
            "@workflow.signal",
            "def forget(self) -> None:",
            "    self._memory, self._renewing = [], True",
            "",
        ),
        ('signal("renew")', 'signal("forget")'),
    ),
    "in turns that are over, by a reset run": (
        "would freeze",
        before('if workflow.patched("tell', 'self._renewing = not workflow.patched("statistics")'),
    ),
    "renews by itself, whenever it is replayed": (
        "the code asks for one more step (",
        before('if workflow.patched("tell', "self._renewing = True"),
        (RENEW, "pass"),
    ),
    "under the old id": (
        "began with “tell-the-team”, would freeze",
        (STEP, ""),
        (TOLD, TOLD + "    " + PLAIN),
    ),
    "the old patch replaced": ("does not ask for that patch any more", (TOLD, "")),
    "only when it is live": (
        "does not replay with your own code",
        (PATCH, "if not workflow.unsafe.is_replaying():"),
    ),
    "another name": ("so it is another workflow", ('(name="GrowingWorkflow")', "")),
    "before the save": ("began before the save was done", (STEP, ""), (SAVE, STEP + SAVE)),
    "one key for all": (
        "turns share a key",
        before(
            "from course.lessons.lesson_09",
            "with workflow.unsafe.imports_passed_through():",
            "    from course.desk import activities",
        ),
        (
            "learn_from(text)",
            "later(self.duty(activities.process_batch, [self.customer, [text], self.turns], self.record))",
        ),
    ),
    "an id made of the text": (
        "an id that was asked for before keeps its answer",
        (PATCH, 'if workflow.patched(f"statistics/{text}"):'),
        (RENEW, "pass"),
    ),
    "every second turn": (
        "in some of its turns and not in others",
        (PATCH, 'if workflow.patched(f"statistics/{self.turns // 2}"):'),
        (RENEW, "pass"),
    ),
    "only in new conversations": (
        "not even in",
        (PATCH, 'if self.turns > 90 and workflow.patched("statistics"):'),
    ),
}

FLAG = before(
    "@workflow.run",
    "@workflow.signal",
    "def count_from_now_on(self) -> None:",
    "    self.counting = True",
    "",
)

RIGHT = {
    "a new run by the signal itself": [(RENEW, "await handle.signal(NextDesk.renew)")],
    "a signal that switches the step on": [
        after("super().__init__(customer, carried)", 'self.counting = workflow.patched("statistics")'),
        FLAG,
        (PATCH, "if self.counting:"),
        ('signal("renew")', 'signal("count_from_now_on")'),
    ],
    "an update that switches the step on": [
        after("super().__init__(customer, carried)", 'self.counting = workflow.patched("statistics")'),
        before(
            "@workflow.run",
            "@workflow.update",
            "async def count(self) -> None:",
            "    self.counting = True",
            "",
        ),
        (PATCH, "if self.counting:"),
        (RENEW, 'await handle.execute_update("count")'),
    ],
    "an update that renews": [
        before("@workflow.run", "@workflow.update", "async def go_on(self) -> None:", "    self.renew()", ""),
        (RENEW, 'await handle.execute_update("go_on")'),
    ],
    "asked for at the start of a run": [
        after("super().__init__(customer, carried)", 'self.counting = workflow.patched("statistics")'),
        (PATCH, "if self.counting:"),
    ],
    "a new run each turn, from the new run on": [
        (
            "            self.learn_from(text)\n",
            "            self.learn_from(text)\n            self._renewing = True\n",
        ),
    ],
    "waits for the new run": [
        before("await handle.signal", "run = (await handle.describe()).run_id"),
        after(
            "await handle.signal",
            "while (await handle.describe()).run_id == run:",
            "    await asyncio.sleep(0.1)",
        ),
        after("from temporalio import workflow", "import asyncio"),
    ],
    "the step in a method of its own": [
        (STEP, "        self.count(text)\n"),
        before(
            "async def turn",
            "def count(self, text: str) -> None:",
            f"    {PATCH}",
            "        self.learn_from(text)",
            "",
        ),
    ],
    "the step before the notice": [(STEP, ""), (TOLD, STEP + TOLD)],
    "only what still runs": [
        (
            RENEW,
            'if (await handle.describe()).status.name == "RUNNING":\n        await handle.signal("renew")',
        ),
    ],
}

SAMPLE = {"one id, and nothing is rolled out", "an id for each turn", "a signal that switches the step on"}
