"""Answers to exercise 15, and what its check says to each. `make test` tries suites against two of the mutants."""

import os
import re

import pytest

from course.checks.under_test.mutants import MUTANTS
from tests.checks.answers import *


@pytest.fixture(autouse=True)
def those_that_matter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a suite that misses one mutant, that one; otherwise two, and with `make soak` all."""
    wrong = getattr(request.node, "callspec", None) and request.node.callspec.params.get("wrong")
    if wrong in MUTANTS:
        monkeypatch.setenv("COURSE_MUTANTS", wrong)
    elif not os.environ.get("SOAK"):
        monkeypatch.setenv("COURSE_MUTANTS", "random key,changed command")


def whole(code: str) -> Change:
    """A suite of its own."""
    return lambda solution: code


def without(*tests: str) -> Change:
    """The solution, and not these of its tests."""

    def change(code: str) -> str:
        for test in tests:
            found = re.search(rf"^(@pytest[^\n]+\n)?async def {test}\w*\(.*?(?=^\S|\Z)", code, re.M | re.S)
            assert found, test
            code = code.replace(found[0], "")
        return code

    return change


def in_a_class(code: str) -> str:
    """All tests as methods."""
    head, tests = re.split(r"(?=^async def test_a_message)", code, flags=re.M)
    body = "".join(f"    {line}" if line.strip() else line for line in tests.splitlines(keepends=True))
    return f"{head}class TestDesk:\n" + re.sub(r"(async def test_\w+\()", r"\1self, ", body)


REPLAY_ALONE = """
from desk import Desk
from temporalio.openai_agents import OpenAIAgentsPlugin
from course.history import replay

async def test_replay():
    await replay("recorded.json", Desk, plugins=[OpenAIAgentsPlugin()])
"""
SOURCE = """
import inspect
import desk, effects

def test_source():
    assert "INSERT OR IGNORE" in inspect.getsource(effects)
    assert "self.asked.pop(order, None)" in inspect.getsource(desk)
"""
UNITTEST = """
class Yesterday(unittest.IsolatedAsyncioTestCase):
    async def test_it_goes_on(self):
        await replay("recorded.json", Desk, plugins=[OpenAIAgentsPlugin()])
"""
SURVIVES = {
    "any order": without("test_an_approved_refund"),
    # In the outage, too, this mutant's reply does not come.
    "told before the reply": lambda code: without("test_an_outage")(
        code.replace('    assert reply["send_mail"].startswith("no")\n', "")
    ),
    "three attempts": without("test_an_outage"),
    "random key": without("test_a_mail_whose_report_is_lost"),
    "changed command": without("test_yesterdays"),
    "saved after the reply": ('    assert reply["save_turn"] == "perhaps: closed before the reply"\n', ""),
    "decided twice": without("test_the_first_decision"),
    "never cancelled": without("test_an_answer_cancels"),
}

STARTER = "Your suite is green on two right desks, and notices"

WRONG = {
    **{name: (f"with a desk with which {MUTANTS[name].harm}", change) for name, change in SURVIVES.items()},
    "nothing but a replay": (
        "Your suite is green on two right desks, and notices 1 of ",
        whole(REPLAY_ALONE),
    ),
    "red on the right desk": (
        "On the right desk, test_a is red, and no promise is broken. It says: “assert 1 == 2”",
        whole("def test_a():\n    assert 1 == 2\n"),
    ),
    "no test": ("pytest found no test that passes on the right desk.", whole("def a_test():\n    pass\n")),
    "all skipped": (
        "a test that is skipped, or expected to fail, holds no promise.",
        whole("import pytest\n\n@pytest.mark.skip\ndef test_a():\n    pass\n"),
    ),
    "the source": (
        "and test_source is red on another one, whose code, keys and wording differ, and which keeps every promise.",
        whole(SOURCE),
    ),
    "the wording": (
        "is red on another one … “AssertionError: assert ('1042' ==",
        (
            "        await ada.execute_update(Desk.decide, args=[order, True])\n",
            "        said = await ada.execute_update(Desk.decide, args=[order, True])\n    assert order == '1055' or said == 'Paid.'\n",
        ),
    ),
    "a script that is too short": (
        "On the right desk, test_a is red … Has the model's script an answer for every model call?",
        whole(
            "from desk import Desk\n\nasync def test_a(talking):\n    async with talking() as ada:\n"
            '        await ada.execute_update(Desk.send, "Hello?")\n'
        ),
    ),
    "hangs": (
        "did not come to its end on the right desk: test_a waits for what never comes.",
        whole("def test_a():\n    while True:\n        pass\n"),
    ),
    "ends its process": (
        "did not come to its end on the right desk: test_a ended its process: os._exit()",
        whole("import os\n\ndef test_a():\n    os._exit(0)\n"),
    ),
    "an import that is missing": (
        "It says: “ModuleNotFoundError: No module named 'nothing'”",
        whole("import nothing\n\ndef test_a():\n    pass\n"),
    ),
}

RAISES = {"a syntax error": ("Your code has a syntax error in line", ("DAY = timedelta(days=1)", "DAY = ("))}

RIGHT = {
    "in a class": (in_a_class,),
    "one of unittest's": (
        without("test_yesterdays"),
        ("from datetime import timedelta\n", "import unittest\nfrom datetime import timedelta\n"),
        lambda code: code + UNITTEST,
    ),
}

SAMPLE = {
    "nothing but a replay",
    "red on the right desk",
    "no test",
    "the source",
    "ends its process",
    "a syntax error",
}
