"""Every check in three directions: the starter is not yet, the solution passes, each wrong answer gets its words."""

import os
import random
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from course.checks import cell, check, exercises, lesson_04, runner, talking
from course.checks.verdict import NotYet
from course.lab import LabError
from tests.test_checks import SOLUTIONS, beside_a_notebook, nothing_is_left_behind

__all__ = ["beside_a_notebook", "nothing_is_left_behind"]

runner.warm_up()


@dataclass(frozen=True)
class Changed:
    """The solution with something changed, and for a wrong answer a part of what the check must say to it."""

    lesson: str
    name: str
    words: str
    changes: tuple[tuple[str, str], ...]

    def code(self) -> str:
        code = (SOLUTIONS / f"lesson_{self.lesson}.py").read_text()
        for old, new in self.changes:
            assert old in code, f"{self.name}: the solution has no {old!r}"
            code = code.replace(old, new)
        return code


def flat(text: object) -> str:
    return " ".join(str(text).split())


@pytest.mark.parametrize("lesson", exercises.LESSONS)
async def test_the_solution_passes(lesson: str) -> None:
    cell.exercise(lesson, (SOLUTIONS / f"lesson_{lesson}.py").read_text())
    verdict = await check(lesson)
    assert verdict.passed, str(verdict)
    assert flat(verdict).startswith("Passed: ")


@pytest.mark.parametrize(
    ("lesson", "words"),
    [
        ("01", "@workflow.defn is missing"),
        ("02", "does not hold it"),
        ("03", "nothing runs save_to_database"),
        ("04", "has no place yet"),
    ],
)
async def test_a_starter_that_was_hardly_touched_is_not_yet(lesson: str, words: str) -> None:
    cell.exercise(lesson, exercises.load(lesson).STARTER + "\n# I have begun\n")
    verdict = await check(lesson)
    assert verdict.outcome == "not yet"
    assert words in flat(verdict)
    assert f'`hint("{lesson}")` shows a hint.' in flat(verdict)


FORGETS = (
    '[*self.memory, {"role": "user", "content": text}])\n            self.memory = result.to_input_list()',
    "text)",
)
LAST_RUN_ONLY = ("self.memory = result.to_input_list()", "self.memory = result.to_input_list()[-2:]")
AGENT_LINE = "        async with self.one_at_a_time:  # the next message is answered with this one in mind\n"
DOCSTRING = '''"""Cancel an order of the shop. Only an order that is still being packed can be cancelled.

    Args:
        order_id: The order's number, such as 1042.
    """'''
ROW = "        await workflow.execute_activity(activities.save_to_database, args=[self.key, record], **RECORD)\n"
RECORD_OF_ALL = """        record = activities.TurnRecord(
            conversation=workflow.info().workflow_id,
            turn=self.turns,
            customer=self.customer,
            message=text,
            answer=answer.text,
            outcome=answer.outcome,
        )
"""
NAIVE_RUN = (
    "answer = await self.answer(text)  # an apology, when the agent's run fails for good",
    'from agents import Runner\n        result = await Runner.run(self.agent, text)\n        answer = Answer(result.final_output, [], "answered")',
)
ANSWER_IMPORT = (
    "from course.lessons.plain_conversation",
    "from course.desk.answering import Answer\nfrom course.lessons.plain_conversation",
)

WRONG = [
    Changed("01", "no class", "There is no class DurableAgent", (("DurableAgent", "Agents"),)),
    Changed("01", "send is a signal", "`send` is a signal", (("@workflow.update", "@workflow.signal"),)),
    Changed(
        "01",
        "send is not async",
        "`send` is a plain function",
        (
            ("async def send", "def send"),
            ("async with self", "if self"),
            ("await Runner.run(", "Runner.run_sync("),
        ),
    ),
    Changed("01", "no init", "@workflow.init is missing", (("    @workflow.init\n", ""),)),
    Changed("01", "forgets", "it forgets what came before", (FORGETS,)),
    Changed("01", "remembers the last run only", "forgotten the first one", (LAST_RUN_ONLY,)),
    Changed(
        "01",
        "memory in the module",
        "a variable of the module or the class",
        (
            ("\n\n@workflow.defn", "\n\nMEMORY: list[TResponseInputItem] = []\n\n\n@workflow.defn"),
            ("        self.memory: list[TResponseInputItem] = []\n", ""),
            ("[*self.memory,", "[*MEMORY,"),
            ("self.memory = result.to_input_list()", "MEMORY[:] = result.to_input_list()"),
        ),
    ),
    Changed(
        "01",
        "the clock",
        "calls time.time, and the sandbox refuses it",
        (
            ("import asyncio", "import asyncio\nimport time"),
            (AGENT_LINE, f"        began = time.time()\n{AGENT_LINE}"),
        ),
    ),
    Changed(
        "01",
        "randomness",
        "random.random, and the sandbox refuses it",
        (
            ("import asyncio", "import asyncio\nimport random"),
            (AGENT_LINE, f"        luck = random.random()\n{AGENT_LINE}"),
        ),
    ),
    Changed(
        "01",
        "randomness outside the sandbox",
        "it is not deterministic",
        (
            ("import asyncio", "import asyncio\nimport itertools"),
            ("@workflow.defn\n", "COUNT = itertools.count()\n\n\n@workflow.defn(sandboxed=False)\n"),
            (AGENT_LINE, f"        if next(COUNT) > 3:\n            await asyncio.sleep(0.01)\n{AGENT_LINE}"),
        ),
    ),
    Changed(
        "01",
        "sleeps",
        "calls time.sleep, which blocks the worker",
        (
            ("import asyncio", "import asyncio\nimport time"),
            (AGENT_LINE, f"        time.sleep(1)\n{AGENT_LINE}"),
        ),
    ),
    Changed(
        "01",
        "loops in the workflow",
        "does not give the worker back",
        ((AGENT_LINE, f"        while True:\n            pass\n{AGENT_LINE}"),),
    ),
    Changed(
        "01",
        "raises in the workflow",
        "Your code raised: NameError: name 'txt' is not defined (line 29)",
        (('"content": text', '"content": txt'),),
    ),
    Changed("01", "never ends", "was closed and does not end", (("self.closing and", "False and"),)),
    Changed(
        "01", "returns nothing", "got None as a reply", (("return str(result.final_output)", "str(result)"),)
    ),
    Changed(
        "01",
        "exits in the workflow",
        "sys.exit()",
        ((AGENT_LINE, f"        raise SystemExit\n{AGENT_LINE}"),),
    ),
    Changed(
        "01",
        "run returns at once",
        "got no reply: `run` had returned, so the conversation had ended",
        (
            (
                "await workflow.wait_condition(lambda: self.closing and workflow.all_handlers_finished())",
                "return",
            ),
        ),
    ),
    Changed(
        "02",
        "the docstring of the starter",
        "its docstring, and that says “TODO: what",
        ((DOCSTRING, '"""TODO: what the model has to know of this tool, and of its argument."""'),),
    ),
    Changed("02", "no docstring to speak of", "and that says “...”", ((DOCSTRING, '"""..."""'),)),
    Changed(
        "02",
        "no timeout",
        "the activity has no timeout, and Temporal starts none without",
        (("(cancel_order, **TOOL)", "(cancel_order)"),),
    ),
    Changed(
        "02",
        "a plain function as a tool",
        "`activity_as_tool(cancel_order, **TOOL)`, which comes from temporalio.openai_agents.workflow",
        (("activity_as_tool(cancel_order, **TOOL)", "cancel_order"),),
    ),
    Changed("02", "not the agent's", "list of tools does not hold it", (("tools=tools", "tools=[]"),)),
    Changed(
        "02",
        "the workflow's step",
        "Nobody asked to cancel anything, and cancel_order ran (workflow)",
        (
            (
                "        return await self.until_closed()\n",
                "        return await self.until_closed()\n\n"
                "    async def turn(self, text: str) -> str:\n"
                '        await workflow.execute_activity(cancel_order, "2317", **TOOL)\n'
                "        return await super().turn(text)\n",
            ),
        ),
    ),
    Changed(
        "02",
        "cancels anything",
        "had been shipped, and your tool made it 'cancelled'",
        (("where(still_packed)", "where(this_order)"),),
    ),
    Changed(
        "02",
        "cancels nothing",
        "is 'being packed', and no order is cancelled",
        (('values(status="cancelled")', "values(status=orders.c.status)"),),
    ),
    Changed(
        "02",
        "raises through activity_as_tool",
        "the model never sees it",
        (
            (
                '    return f"Order {order_id} is {status}, so it cannot be cancelled any more."\n',
                "    from temporalio.exceptions import ApplicationError\n"
                '    raise ApplicationError(f"Order {order_id} is {status}.", non_retryable=True)\n',
            ),
        ),
    ),
    Changed(
        "02",
        "raises what is retried",
        "cancel_order fails and is tried again",
        (
            (
                '    return f"Order {order_id} is {status}, so it cannot be cancelled any more."\n',
                '    raise ValueError(f"Order {order_id} is {status}.")\n',
            ),
        ),
    ),
    Changed("02", "says too little", "They are not told why.", ((" is {status}, so it cannot", " cannot"),)),
    Changed(
        "02",
        "a sync function tool",
        "the tool's own code failed before the activity",
        (
            ("from agents import Agent\n", "from agents import Agent, function_tool\n"),
            (
                "@workflow.defn\n",
                '@function_tool(name_override="cancel_order")\ndef cancel(order_id: str) -> str:\n    """Cancel an order."""\n'
                "    return workflow.execute_activity(cancel_order, order_id, **TOOL)\n\n\n@workflow.defn\n",
            ),
            ("[activity_as_tool(cancel_order, **TOOL)]", "[cancel]"),
        ),
    ),
    Changed(
        "02",
        "takes its own success for a refusal",
        "must take the first one's success for its own",
        (
            ('    if status == "cancelled":  # by this attempt, or by one before it\n', "    if done:\n"),
            (
                "        connection.execute(orders.update()",
                "        done = connection.execute(orders.update()",
            ),
            ('values(status="cancelled"))', 'values(status="cancelled")).rowcount'),
        ),
    ),
    Changed("02", "two arguments", "takes one argument", (("order_id: str)", "order_id: str, why: str)"),)),
    Changed(
        "03",
        "as a tool",
        "decided by the agent",
        (
            (ROW, ""),
            ("**TOOL)]", "**TOOL), activity_as_tool(activities.save_to_database, **RECORD)]"),
            (
                "        answer = await",
                '        self.agent.instructions = f"You must always record every message: call save_to_database with '
                "task_id='{self.key}'.\"\n        answer = await",
            ),
        ),
    ),
    Changed(
        "03",
        "a mistake in its own except",
        "Your code raised: NameError: name 'sorry' is not defined (line",
        (
            (
                "answer = await self.answer(text)  # an apology, when the agent's run fails for good",
                "from agents import Runner\n        try:\n"
                "            result = await Runner.run(self.agent, text)\n"
                '            answer = Answer(result.final_output, [], "answered")\n'
                "        except Exception:\n            answer = sorry",
            ),
            ANSWER_IMPORT,
        ),
    ),
    Changed("03", "without try", "got no reply", (NAIVE_RUN, ANSWER_IMPORT)),
    Changed(
        "03",
        "catches the SDK's errors only",
        "was refused by its provider for good",
        (
            (
                "answer = await self.answer(text)  # an apology, when the agent's run fails for good",
                "from agents import AgentsException, Runner\n"
                "        try:\n            result = await Runner.run(self.agent, text)\n"
                '            answer = Answer(result.final_output, [], "answered")\n'
                '        except AgentsException:\n            answer = Answer("Sorry.", [], "apologised")',
            ),
            ANSWER_IMPORT,
        ),
    ),
    Changed(
        "03",
        "catches what ends the activity only",
        "The conversation is frozen",
        (
            (
                "answer = await self.answer(text)  # an apology, when the agent's run fails for good",
                "from agents import Runner\n        from temporalio.exceptions import ActivityError\n"
                "        from temporalio.openai_agents import AgentsWorkflowError\n"
                "        try:\n            result = await Runner.run(self.agent, text)\n"
                '            answer = Answer(result.final_output, [], "answered")\n'
                '        except (ActivityError, AgentsWorkflowError):\n            answer = Answer("Sorry.", [], "apologised")',
            ),
            ANSWER_IMPORT,
        ),
    ),
    Changed(
        "03",
        "only on success",
        "depends on more than that a message was accepted",
        (
            (
                "        record = ",
                '        if answer.outcome != "answered":\n            return answer.text\n        record = ',
            ),
        ),
    ),
    Changed(
        "03",
        "a random key",
        "under a random key",
        (("self.key, record", "str(workflow.uuid4()), record"),),
    ),
    Changed(
        "03",
        "the turn alone",
        "does not name the conversation",
        (("self.key, record", 'f"turn-{self.turns}", record'),),
    ),
    Changed(
        "03",
        "the text as a key",
        "share one key",
        (("self.key, record", 'f"{workflow.info().workflow_id}/{text[:40]}", record'),),
    ),
    Changed(
        "03",
        "twice",
        "It is exactly one for each",
        ((ROW, ROW + ROW.replace("self.key,", 'self.key + "/again",')),),
    ),
    Changed(
        "03",
        "before the run, with any answer",
        "so it is written after the agent's run",
        (("answer=answer.text", 'answer="nonsense"'),),
    ),
    Changed("03", "always turn 1", "says turn=1, and it was message 2", (("turn=self.turns", "turn=1"),)),
    Changed(
        "03",
        "no outcome",
        "says outcome=None, and not 'answered'",
        (("            outcome=answer.outcome,\n", ""),),
    ),
    Changed(
        "03",
        "an outcome that is always good",
        "says outcome='answered', and not 'apologised'",
        (("outcome=answer.outcome", 'outcome="answered"'),),
    ),
    Changed(
        "03",
        "no outcome when the run fails",
        "says outcome=None, and not 'apologised'",
        (("outcome=answer.outcome", "outcome=answer.outcome if answer.reason is None else None"),),
    ),
    Changed(
        "03",
        "a random key in its conversation",
        "does not name the turn",
        (("self.key, record", 'f"{workflow.info().workflow_id}/{workflow.uuid4()}", record'),),
    ),
    Changed(
        "03",
        "the activity as a plain function",
        "Call it through `await workflow.execute_activity(…)`",
        ((ROW, "        await activities.save_to_database(self.key, record)\n"),),
    ),
    Changed(
        "03",
        "no timeout",
        "An activity is called without a timeout",
        ((", **RECORD)", ")"),),
    ),
    Changed(
        "03",
        "no await",
        "in line 37, `await` is missing before workflow.execute_activity",
        (("await workflow.execute_activity", "workflow.execute_activity"),),
    ),
    Changed(
        "04",
        "record as a tool",
        "3 messages, 2 rows",
        (('every message": "step"', 'every message": "tool"'),),
    ),
    Changed("04", "stock as a step", "2 reads were made", (('in stock": "tool"', 'in stock": "step"'),)),
    Changed(
        "04", "refund as a tool", "2 refunds were paid", (('cost": "proposal"', 'cost": "function tool"'),)
    ),
    Changed(
        "04", "calls as a step", "reconstruct the calls", (('tool call": "hook"', 'tool call": "step"'),)
    ),
    Changed(
        "04", "tokens as a tool", "when the model calls it", (('dashboard": "logger"', 'dashboard": "tool"'),)
    ),
    Changed(
        "04", "an unknown place", "has no place yet", (('dashboard": "logger"', 'dashboard": "activity"'),)
    ),
    Changed(
        "04",
        "predicts rows for all",
        "The model decides: it is obedient",
        (('"done": plain + lookups,', '"done": messages,'),),
    ),
    Changed(
        "04",
        "predicts no extra calls",
        "what else makes the model be asked again?",
        (('"model_calls": messages + lookups,', '"model_calls": messages,'),),
    ),
    Changed(
        "04",
        "forgets the call that is refused",
        "model calls, and the record has",
        (("+ silent + refused,\n", "+ silent,\n"),),
    ),
    Changed(
        "04",
        "saves what is refused",
        "it decides nothing in a run that its provider refused",
        (('"done": plain + lookups,', '"done": plain + lookups + refused,'),),
    ),
    Changed(
        "04",
        "predicts that all wait",
        "the operation was done after the reply went out",
        (('"waits": place == "step"', '"waits": True'),),
    ),
    Changed(
        "04",
        "predicts by raising",
        "Your code raised: KeyError: 'x' (line 27)",
        (('    if place == "tool":', '    {}["x"]\n    if place == "tool":'),),
    ),
    Changed(
        "04",
        "predicts nothing",
        "returns None",
        (('    return {"done": messages, ', '    _ = {"done": messages, '),),
    ),
]


OWN_TRY = """from agents import AgentsException, Runner
        from temporalio.exceptions import ActivityError
        from temporalio.openai_agents import AgentsWorkflowError
        try:
            result = await Runner.run(self.agent, text)
            answer = Answer(result.final_output, [], "answered")
        except (AgentsException, AgentsWorkflowError, ActivityError):
            answer = Answer("Sorry.", [], "apologised")"""

OTHER_WAYS = [
    Changed(
        "02",
        "a reason without the status",
        "",
        (
            (
                "is {status}, so it cannot be cancelled any more.",
                "is not being packed any more.",
            ),
        ),
    ),
    Changed(
        "02",
        "a function tool with words of its own",
        "",
        (
            (
                "from agents import Agent\n",
                "from agents import Agent, function_tool\nfrom temporalio.exceptions import ApplicationError\n",
            ),
            (
                '    return f"Order {order_id} is {status}, so it cannot be cancelled any more."\n',
                '    raise ApplicationError(f"Order {order_id} is {status}: too late.", non_retryable=True)\n\n\n'
                "def told(context: object, error: Exception) -> str:\n"
                '    return f"Tell the customer: {error.__cause__}"\n\n\n'
                '@function_tool(name_override="cancel_order", failure_error_function=told)\n'
                "async def cancel(order_id: str) -> str:\n"
                '    """Cancel an order."""\n'
                "    return await workflow.execute_activity(cancel_order, order_id, **TOOL)\n",
            ),
            ("[activity_as_tool(cancel_order, **TOOL)]", "[cancel]"),
        ),
    ),
    Changed(
        "03",
        "from the starter, with a plain dict and words of its own",
        "",
        (
            (
                "answer = await self.answer(text)  # an apology, when the agent's run fails for good",
                "from agents import Runner\n        try:\n"
                "            result = await Runner.run(self.agent, text)\n"
                '            answer, outcome = str(result.final_output), "answered"\n'
                "        except Exception:\n"
                '            answer, outcome = "Sorry, that went wrong.", "apologised"',
            ),
            (
                RECORD_OF_ALL,
                '        record = {"message": text, "answer": answer, "turn": self.turns, "outcome": outcome}\n',
            ),
            ("return answer.text", "return answer"),
        ),
    ),
    Changed(
        "03",
        "a try of its own",
        "",
        (
            ("answer = await self.answer(text)  # an apology, when the agent's run fails for good", OWN_TRY),
            ANSWER_IMPORT,
        ),
    ),
]


async def test_a_server_that_does_not_start_is_no_fault_of_the_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def start(**options: object) -> None:
        raise LabError("There is no Temporal server at 127.0.0.1:7233: Failed client connect")

    monkeypatch.setattr(talking.Lab, "start", start)
    with pytest.raises(LabError, match="^its Temporal server did not start") as raised:
        async with talking.lab_for(talking, [], talking.Scenes()):
            pass
    assert not isinstance(raised.value, NotYet)


def test_no_address_is_in_a_sentence() -> None:
    told = "The server at 127.0.0.1:56871 knows no workflow 'ada-1'."
    assert talking.own_part(told) == "The server knows no workflow 'ada-1'."


def test_every_kind_of_message_is_in_every_conversation_that_is_to_be_predicted() -> None:
    for seed in range(100):
        for variant in lesson_04._variants(random.Random(seed)):
            assert min(variant.plain, variant.lookups, variant.silent, variant.refused) >= 1
            assert variant.plain != variant.lookups
            assert variant.silent != variant.refused
            assert len(variant.messages()) <= 6


def by_lesson(answers: list[Changed], lesson: str) -> list[Changed]:
    return [answer for answer in answers if answer.lesson == lesson]


# A sample of each lesson's, so that the suite stays short; `make soak` tries every one.
SOAK = bool(os.environ.get("SOAK"))
TRIED = (
    WRONG if SOAK else [w for lesson in ("01", "02", "03", "04") for w in by_lesson(WRONG, lesson)[::5][:2]]
)
OTHERS = OTHER_WAYS if SOAK else OTHER_WAYS[::4]


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: f"{other.lesson} {other.name}")
async def test_another_right_answer_passes(other: Changed) -> None:
    cell.exercise(other.lesson, other.code())
    verdict = await check(other.lesson)
    assert verdict.passed, str(verdict)


@pytest.mark.parametrize("wrong", TRIED, ids=lambda wrong: f"{wrong.lesson} {wrong.name}")
async def test_a_wrong_answer_gets_its_own_words(wrong: Changed, tmp_path: Path) -> None:
    cell.exercise(wrong.lesson, wrong.code())
    verdict = await check(wrong.lesson)
    assert not verdict.passed
    text = flat(verdict)
    assert wrong.words in text
    assert str(tmp_path) not in text
    assert not re.search(r"127\.0\.0\.1|:\d{4,5}\b", text)


def test_every_wrong_answer_of_a_lesson_has_words_of_its_own() -> None:
    said = [(wrong.lesson, wrong.words) for wrong in WRONG]
    assert min(Counter(wrong.lesson for wrong in TRIED).values()) >= 2
    shared = {one for one in said if said.count(one) > 1}
    assert not shared
