"""Answers to exercise 10, and what its check says to each."""

from tests.checks.answers import *

WAIT = "await workflow.wait_condition("
REJECTED = "if not self.decision.approved:"
REJECTS = f"{REJECTED}\n            return self.decision"
NOBODY = "return None"
PAID = "**RECORD)\n        return self.decision"
REFUSES = "if self.decision:"
SETS = "self.decision = decision"
SENTENCE = 'ApplicationError(f"{self.decision.by} has decided already: nothing was changed.")'
RAISE = f"raise {SENTENCE}"

STARTER = "Cy rejected a refund, and it was paid all the same"

WRONG = {
    "waits for a yes": (
        "Cy rejected a refund, and the approval still waits",
        ("self.decision is not None", "self.decision and self.decision.approved"),
    ),
    "pays in any case": ("Cy rejected a refund, and it was paid", (REJECTED, "if False:")),
    "keeps the reason": (
        "in that person's own words",
        (
            REJECTS,
            REJECTS.replace(
                "return self.decision", 'return Decision(False, self.decision.by, "Not this time.")'
            ),
        ),
    ),
    "says that a rejected refund was approved": (
        "Cy rejected a refund. `run` returned {'approved': True",
        (
            REJECTS,
            REJECTS.replace(
                "return self.decision", "return Decision(True, self.decision.by, self.decision.reason)"
            ),
        ),
    ),
    "says that Bea rejected": (
        "Nobody decided for three days. `run` returned {'approved': False, 'by': 'Bea'",
        (NOBODY, 'return Decision(False, "Bea", "No.")'),
    ),
    "returns a text": (
        "`run` returned 'Nobody decided in time.', and should return the decision, None",
        (NOBODY, 'return "Nobody decided in time."'),
    ),
    "no end": (
        "Nobody decided for three days, and an hour after that the approval still waits",
        ("timeout=THREE_DAYS", "timeout=None"),
    ),
    "uncaught": (
        "Nobody decided for three days, and the approval ended as failed: TimeoutError. The customer",
        ("except TimeoutError:", "finally:"),
        (NOBODY, "pass"),
    ),
    "impatient": ("A person has three days", ("days=3", "hours=3")),
    "pays whoever the order's owner is": (
        "fay asked for a refund of order 1043, which is ada's",
        ("Customer(request.customer)", 'Customer("ada")'),
    ),
    "silence is a yes": (
        "Nobody decided for three days, and it was paid all the same",
        (NOBODY, 'self.decision = Decision(True, "nobody", "")'),
    ),
    "the last one counts": ("Cy rejected it. `decide` returned 'Decided by Cy.'", (REFUSES, "if False:")),
    "refuses by returning": (
        "`decide` returned 'Refused: Bea has decided.', and to whoever sent it that means: it counts",
        instead("@decide.validator"),
        before(SETS, "if self.decision:", '    return f"Refused: {self.decision.by} has decided."'),
    ),
    "a ValueError in the handler": (
        "`decide` raised ValueError. In the body of an update handler such an error does not refuse",
        instead("@decide.validator"),
        before(SETS, "if self.decision:", '    raise ValueError("Bea has decided already.")'),
    ),
    "looks after three days": (
        "two seconds later the approval had not ended",
        instead(WAIT, "await workflow.sleep(THREE_DAYS)"),
    ),
    "never pays": ("nothing was paid under its number", (", request.number,", ', "refund",')),
    "says nothing": ("Bea approved a refund. `run` returned None", (PAID, "**RECORD)")),
    "no class": ("There is no class Approval", ("class Approval:", "class Refusal:")),
    "ApplicationError not imported": (
        "Cy's decision was refused by an error in your own code. NameError: name 'ApplicationError' is not defined. "
        "ApplicationError comes from temporalio.exceptions.",
        instead("import ApplicationError"),
    ),
    "a misspelt name in the validator": (
        "refused by an error in your own code. AttributeError",
        ("{self.decision.by} has", "{self.decison.by} has"),
    ),
    "the clock in the validator": (
        "an error in your own code. Your workflow calls time.time, and the sandbox refuses it",
        before(REFUSES, "import time", "", "time.time()"),
    ),
    "no words": ("Cy's decision was refused without a sentence", (SENTENCE, 'ApplicationError("")')),
    "an exception without words": ("refused without a sentence", (SENTENCE, "Exception")),
    "one may change one's mind": (
        "she rejected it after all",
        (REFUSES, "if self.decision and self.decision.by != decision.by:"),
    ),
    "refuses all": (
        "Bea was the first to decide, and `decide` refused it: “somebody has decided already.”",
        (REFUSES, "if True:"),
        (SENTENCE, 'ApplicationError("somebody has decided already.")'),
    ),
    "refuses all without a word": (
        "Bea was the first to decide, and `decide` refused it without a sentence.",
        (REFUSES, "if True:"),
        (SENTENCE, 'ApplicationError("")'),
    ),
    "refuses every rejection": (
        "Cy was the first to decide, and `decide` refused it: “Only a yes.”",
        before(REFUSES, "if not decision.approved:", '    raise ApplicationError("Only a yes.")'),
    ),
    "ends before its handler": (
        "`run` went on and ended while `decide` was still waiting",
        ("    def decide", "    async def decide"),
        after(SETS, "await workflow.sleep(1)"),
    ),
    "decides in the validator": (
        "A replay runs `decide` and no validator",
        instead(SETS),
        ("            " + RAISE, f"            {RAISE}\n        {SETS}"),
    ),
}

RAISES = {"a bug": ("AttributeError", ("self.decision.approved", "self.decision.agreed"))}

TOO_LATE = "A second decision was refused with “Too late.”"
RIGHT = {
    "waits in steps, and refuses in the handler": (
        ("timeout=THREE_DAYS", "timeout=THREE_DAYS / 2"),
        before(
            "except TimeoutError:",
            "except TimeoutError:",
            "    pass",
            "try:",
            "    await workflow.wait_condition(lambda: self.decision is not None, timeout=THREE_DAYS / 2)",
        ),
        instead("@decide.validator"),
        before(SETS, "self.check(decision)"),
    ),
    "refuses with a ValueError": (TOO_LATE, (SENTENCE, 'ValueError("Too late.")')),
    "refuses with a RuntimeError": (TOO_LATE, (SENTENCE, 'RuntimeError("Too late.")')),
    "refuses with a type": (TOO_LATE, (SENTENCE, 'ApplicationError("Too late.", type="Late")')),
    "one return, of what became of it": (
        (NOBODY, "pass"),
        (REJECTED, "if not (self.decision and self.decision.approved):"),
    ),
}

SAMPLE = {
    "pays whoever the order's owner is",
    "the last one counts",
    "waits in steps, and refuses in the handler",
}
