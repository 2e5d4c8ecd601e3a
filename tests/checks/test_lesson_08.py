"""Answers to exercise 08, and what its check says to each."""

from tests.checks.answers import *

STARTER = "Look for what was scheduled and not completed"

WRONG = {
    "all is repeated": ("what is completed is not done again", ("in_hand[0] if", "record[2][1] if")),
    "nothing is repeated": ("It got a second attempt", ("in_hand[0] if in_hand else ", "")),
    "the last that was asked for": (
        "completed",
        ("in_hand.remove(name)", "pass"),
        ("in_hand[0]", "in_hand[-1]"),
    ),
    "the last that was asked for, if one was in hand": (
        "All that is on record of process_batch is completed",
        ("in_hand.remove(name)", "pass"),
        ("in_hand[0] if in_hand", 'in_hand[-1] if mark != "workflow task"'),
    ),
    "the last line decides": (
        "was asked for, and nothing says that it was completed",
        ("in_hand[0] if in_hand", 'record[-1][1] if record[-1][0] == "ActivityTaskScheduled"'),
    ),
    "a call is never paid twice": (
        "no key by which its provider",
        ('int(twice and again == "invoke_model_activity")', "0"),
    ),
    "before is paid, too": (
        "the provider counts one answer",
        ('"paid_in_vain": int(twice and ', '"paid_in_vain": int('),
    ),
    "nothing is refused": ("came with the same key, and was refused", ("int(twice and again in KEYED)", "0")),
    "before is refused, too": (
        "the second one's was the first",
        ('"repeats_refused": int(twice and ', '"repeats_refused": int('),
    ),
    "a read is refused": (
        "nothing that a key could refuse",
        (
            '"process_batch")',
            '"process_batch", "look_up_order", "check_stock")',
        ),
    ),
    "a batch is no row": ("The effect of process_batch was there", (', "process_batch")', ")")),
    "no dict": ("it has to return a dict of again", ("    return {\n", "    return again, {\n")),
}

RAISES = {
    "a function that takes less": (
        "Your code raised: TypeError: predict() takes 1 positional argument but 2 were given",
        ("(record: list[tuple[str, str]], mark: str)", "(record)"),
        ('mark == "after"', "True"),
    ),
    "an error": ("Your code raised: KeyError: 'x'", before("in_hand: list", '{}["x"]')),
}

RIGHT = {"the solution": ("Passed: 10 deaths",)}
