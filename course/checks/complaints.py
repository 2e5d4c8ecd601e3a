"""The reader's own errors, in a sentence: what was raised, and in which of their lines."""

import re
import traceback
from types import ModuleType

from course.checks.verdict import one_line, shortened

# What workflow code may not do, as Temporal reports it, and what it means for the reader.
MEANINGS = {
    r"Cannot access (time\.sleep)": """Your workflow calls time.sleep, which blocks the worker: nobody else is
        served meanwhile, and every replay would sleep again. Inside a workflow, `await asyncio.sleep(…)` is a
        durable timer.""",
    r"Cannot access (\S+?)(?:\.__call__)? from inside a workflow": """Your workflow calls {0}, and the sandbox
        refuses it: a replay would get a different value from the first run. Take time and randomness from
        `workflow` (workflow.now(), workflow.random(), workflow.uuid4()), and let an activity do what touches
        the outside world.""",
    r"needs the desk's services": """Your workflow calls an activity as a plain function, so it runs inside
        the workflow, where there is no database. Call it through `await workflow.execute_activity(…)`, with
        its arguments in args=[…] and a timeout (**RECORD or **TOOL): then a worker runs it, and it is retried
        and on record.""",
    r"Provided tool is not a tool type": """The agent's list of tools holds a plain function. Make it a tool:
        `customers_tool(Customer(customer), cancel_order, **TOOL)`, which comes from course.desk.tools, and TOOL
        from course.desk.policies.""",
    r"start_to_close_timeout or schedule_to_close_timeout": """An activity is called without a timeout, and
        Temporal starts none without one: it could not tell a lost attempt from a slow one. Give it
        start_to_close_timeout=…, or a policy of the desk's: **TOOL and **RECORD of course.desk.policies have one.""",
    r"TMPRL1101": """Your workflow does not give the worker back: it reached no `await` within two seconds. Is
        there an endless loop, or a call that blocks?""",
    r"TMPRL1100|[Nn]on-?determinis": """Replayed on its own history, your workflow asks for something other
        than it did at first: it is not deterministic. Time, randomness and anything else that varies between
        two runs can cause that.""",
    r"missing 1 required positional argument: 'customer'": """Your class takes the customer in __init__, and
        Temporal does not pass it: @workflow.init is missing there.""",
}


def meaning(message: str) -> str | None:
    """What a message of Temporal's says about the reader's workflow, or None."""
    for pattern, words in MEANINGS.items():
        if found := re.search(pattern, message):
            return one_line(words).format(*found.groups())
    return None


def raised(message: str, stack: str, file: str) -> str:
    """`Your code raised: …`, with the innermost line of the reader's own in a formatted stack."""
    found = re.findall(rf'File "[^"]*{re.escape(file)}", line (\d+)', stack)
    where = f" (line {found[-1]})" if found else ""
    message = re.sub(r" \((?:/[^()]*|unknown location)\)", "", message)  # where a module is
    return f"Your code raised: {shortened(message)}{where}"


def own_words(error: BaseException, file: str) -> str:
    """The sentence for an exception that came out of the reader's module."""
    root: BaseException = error
    while root.__cause__ is not None:
        root = root.__cause__
    if isinstance(root, SyntaxError) and (root.filename or "").endswith(file):
        text = shortened(root.text or "", 80)
        return f"Your code has a syntax error in line {root.lineno}: {root.msg}: `{text}`"
    message = f"{type(root).__name__}: {root}"
    stack = "".join(traceback.format_exception(root, chain=False))
    return meaning(message) or raised(message, stack, file)


def does_not_take(error: BaseException, module: ModuleType | None) -> bool:
    """Whether something of the reader's was called as the starter has it, and takes other arguments."""
    found = re.match(r"(\w+)[\w.]*\(\) (takes|missing|got an unexpected)", str(error))
    return isinstance(error, TypeError) and found is not None and hasattr(module, found[1])


def is_own(error: BaseException, file: str) -> bool:
    """Whether an exception passed through a line of the reader's file, or is about its syntax."""
    if isinstance(error, SyntaxError) and (error.filename or "").endswith(file):
        return True
    return any(frame.filename.endswith(file) for frame in traceback.extract_tb(error.__traceback__))
