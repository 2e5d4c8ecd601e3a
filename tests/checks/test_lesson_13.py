"""Answers to exercise 13, and what its check says to each."""

from tests.checks.answers import *

SLEEPS = "        await workflow.sleep(PATIENCE)\n"
IN_TURN = "        self.stop_reminding()\n        answer"
STOPS = "            self.reminding.cancel()"
KEY = 'f"{key}/reminder"'
STARTS = "            self.reminding = self.later(self.remind(self.key))\n"
LOOKS = """        turns = self.turns
        try:
            await workflow.wait_condition(lambda: self._closing or self.turns != turns, timeout=PATIENCE)
            return
        except TimeoutError:
            pass
"""
FLAG = (
    "        turns = self.turns\n"
    + SLEEPS
    + "        if self._closing or self.turns != turns:\n            return\n"
)
SENDS = "        await self.duty("
IMPORTS = "from course.desk.policies import BACKGROUND\n"

STARTER = "there is no timer on record and no mail"

WRONG = {
    "never cancelled": ("was reminded all the same", (IN_TURN, "        answer")),
    "a flag after the timer": (
        "its timer is not canceled on record: 2 started",
        (SLEEPS, FLAG),
        (STOPS, "            pass"),
    ),
    "the timer alone": (
        "the reminder was delivered after “It is a small one",
        (SLEEPS, LOOKS),
        (STOPS, "            pass"),
    ),
    "the reply waits": (
        "Does the reply wait for the reminder?",
        (STARTS, "            await self.remind(self.key)\n"),
    ),
    "close does not cancel": (
        "it does not end: until_closed waits for every duty",
        ("self._closing)\n        self.stop_reminding()", "self._closing)"),
    ),
    "key of the conversation": ("does not name the turn", (KEY, "workflow.info().workflow_id")),
    "every two days": (
        "Nobody answered for eleven days, and 5 reminders were sent",
        (SLEEPS, "        for number in range(9):\n            await workflow.sleep(PATIENCE)\n"),
        ("        args", "            args"),
        (SENDS, "            await self.duty("),
        (KEY, 'f"{key}/reminder-{number}"'),
    ),
    "too early": ("before two days were over", ("timedelta(days=2)", "timedelta(days=1)")),
    "nobody is named": ("without the customer's name", ("{self.customer} has", "Ihr habt")),
    "once a conversation": (
        "no second reminder was delivered",
        ("if not self._closing:", "if not self._closing and not self.reminding:"),
    ),
    "after questions only": (
        "asks nothing, the customer was silent for two days after it, and was not reminded",
        (IMPORTS, IMPORTS + "from course.lessons.lesson_13 import asks\n"),
        ("if not self._closing:", "if asks(answer.text) and not self._closing:"),
    ),
    "stopped after the answer": (
        "the model was down for three minutes, and the reminder was sent while the customer waited",
        (IN_TURN, "        answer"),
        ("self.answer(text)\n", "self.answer(text)\n        self.stop_reminding()\n"),
    ),
    "begun after the close": (
        "The conversation was closed while a turn waited for the model",
        ("        if not self._closing:\n    ", ""),
    ),
    "gives up": (
        "was silent, and was not reminded when the mail server was back",
        (
            IMPORTS,
            IMPORTS + "\nSHORT = BACKGROUND | {'schedule_to_close_timeout': timedelta(minutes=1)}\n",
        ),
        ("BACKGROUND)", "SHORT)"),
    ),
    "close cancels the timer alone": (
        "closed while its reminder was being tried again",
        (
            "self._closing)\n        self.stop_reminding()",
            "self._closing)\n        if self.asleep:\n            self.stop_reminding()",
        ),
        (
            "self.reminding: asyncio.Task[None] | None = None\n",
            "self.reminding: asyncio.Task[None] | None = None\n        self.asleep = False\n",
        ),
        (SLEEPS, f"        self.asleep = True\n{SLEEPS}        self.asleep = False\n"),
    ),
    "a duty that is not awaited": ("`await self.duty(…)`: without its await", (SENDS, "        self.duty(")),
}

RAISES = {
    "stars": ("TypeError: Duties.duty() got an unexpected", (" BACKGROUND)", " **BACKGROUND)")),
    "a typo": ("no attribute 'custommer'", ("{self.customer} has", "{self.custommer} has")),
}

SAMPLE = {"key of the conversation", "nobody is named", "stopped after the answer", "stars"}
