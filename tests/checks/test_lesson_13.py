"""Answers to exercise 13, and what its check says to each."""

from tests.checks.answers import *

SLEEPS = "await workflow.sleep(PATIENCE)"
NOT_IN_TURN = ("self.stop_reminding()\n        answer", "answer")
STOPS = "self.reminding.cancel()"
KEY = 'f"{key}/reminder"'
CLOSED = "self._closing)\n        self.stop_reminding()"
SENDS = "await self.duty("
IMPORTS = "from course.desk.policies import BACKGROUND"

STARTER = "there is no timer on record and no mail"

WRONG = {
    "never cancelled": ("was reminded all the same", NOT_IN_TURN),
    "a flag after the timer": (
        "its timer is not canceled on record: 2 started",
        before(SLEEPS, "turns = self.turns"),
        after(SLEEPS, "if self._closing or self.turns != turns:", "    return"),
        (STOPS, "pass"),
    ),
    "the timer alone": (
        "the reminder was delivered after “It is a small one",
        instead(
            SLEEPS,
            "turns = self.turns",
            "try:",
            "    await workflow.wait_condition(lambda: self._closing or self.turns != turns, timeout=PATIENCE)",
            "    return",
            "except TimeoutError:",
            "    pass",
        ),
        (STOPS, "pass"),
    ),
    "the reply waits": (
        "got no reply. No activity is pending: the workflow itself waits, for a lock, a timer or a person. "
        "What it accepted is kept. Does the reply wait for the reminder?",
        instead("self.later(self.remind(self.key))", "await self.remind(self.key)"),
    ),
    "close does not cancel": (
        "it does not end: until_closed waits for every duty",
        (CLOSED, "self._closing)"),
    ),
    "key of the conversation": ("does not name the turn", (KEY, "workflow.info().workflow_id")),
    "every two days": (
        "Nobody answered for eleven days, and 5 reminders were sent",
        instead(SLEEPS, "for number in range(9):", f"    {SLEEPS}"),
        ("        args", "            args"),
        (SENDS, f"    {SENDS}"),
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
        after(IMPORTS, "from course.lessons.lesson_13 import asks"),
        ("if not self._closing:", "if asks(answer.text) and not self._closing:"),
    ),
    "stopped after the answer": (
        "the model was down for three minutes, and the reminder was sent while the customer waited",
        NOT_IN_TURN,
        after("self.answer(text)", "self.stop_reminding()"),
    ),
    "begun after the close": (
        "The conversation was closed while a turn waited for the model",
        ("        if not self._closing:\n    ", ""),
    ),
    "gives up": (
        "was silent, and was not reminded when the mail server was back",
        after(IMPORTS, "", "SHORT = BACKGROUND | {'schedule_to_close_timeout': timedelta(minutes=1)}"),
        ("BACKGROUND)", "SHORT)"),
    ),
    "close cancels the timer alone": (
        "closed while its reminder was being tried again",
        (CLOSED, "self._closing)\n        if self.asleep:\n            self.stop_reminding()"),
        after("self.reminding: asyncio", "self.asleep = False"),
        before(SLEEPS, "self.asleep = True"),
        after(SLEEPS, "self.asleep = False"),
    ),
    "a task that nobody keeps": (
        "Line 37 begins a task that nobody keeps an eye on",
        ("self.later(self.remind(self.key))", "asyncio.create_task(self.remind(self.key))"),
    ),
    "a duty that is not awaited": ("`await self.duty(…)`: without its await", (SENDS, "self.duty(")),
}

RIGHT = {
    "a task that is kept by hand": (
        ("self.reminding = self.later(self.remind(self.key))", "self.begin(self.remind(self.key))"),
        before(
            "async def remind",
            "def begin(self, duty):",
            "    self.reminding = asyncio.create_task(duty)",
            "    self.duties.add(self.reminding)",
            "    self.reminding.add_done_callback(self._ended)",
            "",
        ),
    )
}

RAISES = {
    "stars": ("TypeError: Duties.duty() got an unexpected", (" BACKGROUND)", " **BACKGROUND)")),
    "a typo": ("no attribute 'custommer'", ("{self.customer} has", "{self.custommer} has")),
}

SAMPLE = {"a task that nobody keeps", "key of the conversation", "stopped after the answer"}
