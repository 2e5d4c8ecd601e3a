"""Answers to exercise 09, and what its check says to each."""

from tests.checks.answers import *

PATCH = 'if workflow.patched(f"statistics/turn-{self.turns}"):  # a new question in every turn'
STEP = f"        {PATCH}\n            self.learn_from(text)\n"
PLAIN = "        self.learn_from(text)\n"
TOLD = '        if workflow.patched("tell-the-team"):\n            self.tell_the_team(text)\n'
SAVE = "        await self.save(text, answer)\n"

STARTER = "the step is not there yet"

WRONG = {
    "no patch": ("began before “tell-the-team”, would freeze", (STEP, PLAIN)),
    "one id for the run": (
        "has no process_batch in its next turns: invoke_model_activity, save_to_database.",
        (PATCH, 'if workflow.patched("statistics"):'),
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
        ("statistics/turn-{self.turns}", "statistics/{text}"),
    ),
    "every second turn": (
        "in some of its turns and not in others",
        ("turn-{self.turns}", "turn-{self.turns // 2}"),
    ),
}

RIGHT = {
    "two questions in place of one": [
        (PATCH, 'if workflow.patched("statistics") or workflow.patched(f"statistics-{self.key}"):')
    ]
}

SAMPLE = {"one id for the run", "only when it is live", *RIGHT}
