"""Answers to exercise 08, and what its check says to each."""

from tests.checks.answers import *

STARTER = "Look for what was scheduled and not completed"

PASSED = "Passed: 10 deaths"
SIGNATURE = "def predict(record: list[tuple[str, str]], mark: str) -> dict[str, Any]:\n"


def written(*lines: str, above: str = "") -> Change:
    """Another `predict`, in place of the solution's."""
    return lambda code: above + SIGNATURE + "".join(f"    {line}\n" for line in lines)


SCHEDULED = '[name for event, name in record if event.endswith("Scheduled")]'
COMPLETED = '[name for event, name in record if event.endswith("Completed")]'
COUNTED = f"left = Counter({SCHEDULED}) - Counter({COMPLETED})"
KEYED = '{"save_to_database", "send_notification", "process_batch"}'
HEAD = "from collections import Counter\nfrom typing import Any\n\n"
MATCHED = (
    "match mark, again:",
    '    case "after", "invoke_model_activity":',
    "        return dict(again=again, paid_in_vain=1, repeats_refused=0)",
    '    case "after", "save_to_database" | "send_notification" | "process_batch":',
    "        return dict(again=again, paid_in_vain=0, repeats_refused=1)",
    "return dict(again=again, paid_in_vain=0, repeats_refused=0)",
)
MATCHED_ALWAYS = tuple(line.replace('case "after", ', "case _, ") for line in MATCHED)

WRONG = {
    "all is repeated": ("what is completed is not done again", ("in_hand[0] if", "record[2][1] if")),
    "nothing is repeated": (
        "It got a second attempt. … WorkflowExecutionStarted ConversationWorkflow WorkflowExecutionUpdateAccepted send",
        ("in_hand[0] if in_hand else ", ""),
    ),
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
    "a set, and no count": (
        "was asked for, and nothing says that it was completed. It got a second attempt",
        written(f"again = next(iter(set({SCHEDULED}) - set({COMPLETED})), None)", *MATCHED, above=HEAD),
    ),
    "whatever the mark says": (
        "The worker died before",
        written(COUNTED, "again = [*left, None][0]", *MATCHED_ALWAYS, above=HEAD),
    ),
    "a call in hand is always paid": (
        "The worker died before it had asked the model, so the provider counts one",
        written(
            COUNTED,
            "again = [*left, None][0]",
            'paid = again == "invoke_model_activity"',
            f'refused = mark != "before" and again in {KEYED}',
            'return {"again": again, "paid_in_vain": int(paid), "repeats_refused": int(refused)}',
            above=HEAD,
        ),
    ),
    "the name in capitals": (
        "You predict again=",
        written(COUNTED, "again = [*left, None][0]", "again = again and again.upper()", *MATCHED, above=HEAD),
    ),
    "no activity is a word": (
        "No activity was in the worker's hands",
        written(COUNTED, 'again = [*left, "None"][0]', *MATCHED, above=HEAD),
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

RIGHT = {
    "the solution": (PASSED,),
    "counted by name": (
        PASSED,
        written(
            COUNTED,
            "again = next(iter(left), None)",
            'paid = mark == "after" and again == "invoke_model_activity"',
            f'refused = mark == "after" and again in {KEYED}',
            'return {"again": again, "paid_in_vain": paid, "repeats_refused": refused}',
            above=HEAD,
        ),
    ),
    "a table of marks": (
        PASSED,
        written(COUNTED, "again = min(left, key=list(left).index, default=None)", *MATCHED, above=HEAD),
    ),
    "from the end": (
        PASSED,
        written(
            "done, again = Counter(), None",
            "for event, name in reversed(record):",
            '    if event == "ActivityTaskCompleted":',
            "        done[name] += 1",
            '    elif event == "ActivityTaskScheduled":',
            "        if done[name]:",
            "            done[name] -= 1",
            "        else:",
            "            again = name",
            *MATCHED,
            above=HEAD,
        ),
    ),
    "by a class of its own": (
        PASSED,
        written(
            COUNTED,
            "return Death(*left, mark).said() if left else Death(None, mark).said()",
            above=HEAD
            + "class Death:\n    def __init__(self, again, mark):\n        self.again, self.mark = again, mark\n\n"
            '    def costs(self, *names):\n        return float(self.mark == "after" and self.again in names)\n\n'
            "    def said(self):\n"
            '        return {"again": self.again, "paid_in_vain": self.costs("invoke_model_activity"),\n'
            f'                "repeats_refused": self.costs(*{KEYED}), "why": "in hand"}}\n\n\n',
        ),
    ),
    "a repeat is what is neither a call nor a read": (
        PASSED,
        written(
            COUNTED,
            "again = [*left, None][0]",
            'happened = again if mark == "after" else None',
            'call = happened == "invoke_model_activity"',
            'effect = happened is not None and not call and not happened.startswith(("look_up", "check"))',
            'return {"again": again, "paid_in_vain": +call, "repeats_refused": +effect}',
            above=HEAD,
        ),
    ),
    "a generator of open ones": (
        PASSED,
        written(
            f"done = {COMPLETED}",
            "def still_open():",
            f"    for name in {SCHEDULED}:",
            "        try:",
            "            done.remove(name)",
            "        except ValueError:",
            "            yield name",
            "again = next(still_open(), None)",
            *MATCHED,
            above=HEAD,
        ),
    ),
}
