"""Answers to exercise 06, and what its check says to each."""

from tests.checks.answers import *

CAUGHT = "except (AgentsException, AgentsWorkflowError, ActivityError) as error:"

STARTER = "was refused by its provider for good … so it ended the conversation"

WRONG = {
    "no class": ("There is no class SturdyDesk", ("class SturdyDesk", "class Sturdy")),
    "the SDK's errors only": ("so it ended the conversation", (CAUGHT, "except AgentsException as error:")),
    "Temporal's errors only": (
        "ModelBehaviorError came out of `run`",
        (CAUGHT, "except (AgentsWorkflowError, ActivityError) as error:"),
    ),
    "everything, cancellation too": (
        "it apologised and went on",
        instead("if is_cancelled_exception"),
        instead("raise  # somebody's decision"),
    ),
    "what stands on top": (
        "the reason on record is “Activity task failed”",
        ('f"{type(cause).__name__}: {cause}"', "str(error)"),
    ),
    "no word, no apology": ("got a reply with nothing in it", ("if not answer.strip():", "if False:")),
    "the memory is lost": (
        "The memory of the answered messages is lost",
        after("self._reasons.append(reason)", "self._memory = []"),
    ),
    "the failed run is remembered": (
        "its tool calls are in the memory, without results",
        before(
            "cause: BaseException",
            "if isinstance(error, AgentsException) and error.run_data:",
            "    for answer in error.run_data.raw_responses:",
            "        self._memory += answer.to_input_items()",
        ),
    ),
    "no reason of an answer": ("one for each message, in their order", instead('self._reasons.append("")')),
    "ask": (
        "imports `ask`, which has all of it ready",
        before("from course.lessons.lesson_06", "from course.desk.answering import ask"),
    ),
    "a mistake in its own except": (
        "Your code raised: NameError: name 'caus' is not defined (line",
        ("type(cause).__name__", "type(caus).__name__"),
    ),
}

RIGHT = {
    "a catch-all": [(CAUGHT, "except Exception as error:")],
    "the innermost words alone": [('f"{type(cause).__name__}: {cause}"', "str(cause)")],
}

SAMPLE = {"the SDK's errors only", "everything, cancellation too", "no word, no apology", *RIGHT}
