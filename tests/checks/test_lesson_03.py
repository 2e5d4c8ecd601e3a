"""Answers to exercise 03, and what its check says to each."""

from tests.checks.answers import *

ROW = "await workflow.execute_activity(activities.save_to_database, args=[self.key, record], **RECORD)"
RECORD_OF_ALL = """        record = activities.TurnRecord(
            conversation=workflow.info().workflow_id,
            turn=self.turns,
            customer=self.customer,
            message=text,
            answer=answer.text,
            outcome=answer.outcome,
        )
"""
ANSWERS = "answer = await self.answer(text)"
ANSWER_IMPORT = before("from course.lessons.plain_conversation", "from course.desk.answering import Answer")
RUN = (
    "    result = await Runner.run(self.agent, text)",
    '    answer = Answer(result.final_output, [], "answered")',
)


def catches(caught: str, answer: str = 'Answer("Sorry.", [], "apologised")') -> tuple[Change, ...]:
    own = (
        "from agents import AgentsException, Runner",
        "from temporalio.exceptions import ActivityError",
        "from temporalio.openai_agents import AgentsWorkflowError",
        "try:",
        *RUN,
        f"except {caught}:",
        f"    answer = {answer}",
    )
    return instead(ANSWERS, *own), ANSWER_IMPORT


SAVES = "await workflow.execute_activity(activities.save_to_database, args=args, **RECORD)"

STARTER = "nothing runs save_to_database"

WRONG = {
    "as a tool": (
        "decided by the agent",
        instead(ROW),
        before("with workflow.unsafe", "from temporalio.openai_agents.workflow import activity_as_tool"),
        ("**TOOL)]", "**TOOL), activity_as_tool(activities.save_to_database, **RECORD)]"),
        before(
            ANSWERS,
            'self.agent.instructions = f"You must always record every message: call save_to_database with '
            "task_id='{self.key}'.\"",
        ),
    ),
    "a mistake in its own except": (
        "Your code raised: NameError: name 'sorry' is not defined (line",
        *catches("Exception", "sorry"),
    ),
    "without try": (
        "got no reply",
        instead(ANSWERS, "from agents import Runner", "if True:", *RUN),
        ANSWER_IMPORT,
    ),
    "catches the SDK's errors only": ("was refused by its provider for good", *catches("AgentsException")),
    "catches what ends the activity only": (
        "The conversation is frozen",
        *catches("(ActivityError, AgentsWorkflowError)"),
    ),
    "only on success": (
        "depends on more than an accepted message",
        before("record = ", 'if answer.outcome != "answered":', "    return answer.text"),
    ),
    "a random key": ("under a random key", ("self.key, record", "str(workflow.uuid4()), record")),
    "the turn alone": (
        "does not name the conversation",
        ("self.key, record", 'f"turn-{self.turns}", record'),
    ),
    "the text as a key": (
        "share one key",
        ("self.key, record", 'f"{workflow.info().workflow_id}/{text[:40]}", record'),
    ),
    "twice": ("Each message has exactly one", after(ROW, ROW.replace("self.key,", 'self.key + "/again",'))),
    "before the run, with any answer": (
        "so it is written after the agent's run",
        ("answer=answer.text", 'answer="nonsense"'),
    ),
    "always turn 1": ("says turn=1, and it was message 2", ("turn=self.turns", "turn=1")),
    "no outcome": ("says outcome=None, and not 'answered'", instead("outcome=answer.outcome")),
    "an outcome that is always good": (
        "says outcome='answered', and not 'apologised'",
        ("outcome=answer.outcome", 'outcome="answered"'),
    ),
    "no outcome when the run fails": (
        "says outcome=None, and not 'apologised'",
        ("outcome=answer.outcome", "outcome=answer.outcome if answer.reason is None else None"),
    ),
    "a random key in its conversation": (
        "does not name the turn",
        ("self.key, record", 'f"{workflow.info().workflow_id}/{workflow.uuid4()}", record'),
    ),
    "the activity as a plain function": (
        "Call it through `await workflow.execute_activity(…)`",
        instead(ROW, "await activities.save_to_database(self.key, record)"),
    ),
    "no timeout": ("An activity is called without a timeout", (", **RECORD)", ")")),
    "one attempt": (
        "a policy that gives up guarantees nothing",
        ("**RECORD)", "**(RECORD | {'retry_policy': RetryPolicy(maximum_attempts=3)}))"),
        before("from course.lessons.plain_conversation", "from temporalio.common import RetryPolicy"),
    ),
    "a swallowed failure": (
        "its save was given up",
        instead(ROW, "try:", f"    {ROW.replace('RECORD', 'TOOL')}", "except ActivityError:", "    pass"),
        before("from course.lessons.plain_conversation", "from temporalio.exceptions import ActivityError"),
    ),
    "a task that nobody awaits": (
        "nothing had waited for save_to_database",
        (ROW, f"self.saving = asyncio.create_task(self.save({ROW.split('args=')[1].split(']')[0]}]))"),
        before("from agents import Agent", "import asyncio", ""),
        before("async def turn", "async def save(self, args: list) -> None:", f"    {SAVES}", ""),
    ),
    "started and never awaited": (
        "It ended without that row, which is lost for good",
        ("await workflow.execute_activity(", "self.saving = workflow.start_activity("),
    ),
    "the word sorry is the outcome": (
        "The model had to say that it is sorry",
        ("outcome=answer.outcome", 'outcome="apologised" if "sorry" in answer.text else "answered"'),
    ),
    "a mistake that its own except hides": (
        "it was your own code that raised",
        *catches("Exception"),
        ("Runner.run(", "Runner.walk("),
    ),
    "no await": (
        "in line 38, `await` is missing before workflow.execute_activity",
        ("await workflow.execute_activity", "workflow.execute_activity"),
    ),
}

RIGHT = {
    "one more run after a failure": (
        instead(
            ANSWERS,
            ANSWERS,
            'if answer.outcome == "apologised":',
            f"    {ANSWERS}",
        ),
    ),
    "saved behind the reply, and before the end": (
        ("PlainConversation", "DutifulConversation"),
        (ROW, "self.later(self.duty(activities.save_to_database, [self.key, record], RECORD))"),
    ),
    "from the starter, with a plain dict and words of its own": (
        *catches("Exception", '"Sorry, that went wrong."\n            outcome = "apologised"'),
        (
            'Answer(result.final_output, [], "answered")',
            'str(result.final_output)\n            outcome = "answered"',
        ),
        (
            RECORD_OF_ALL,
            '        record = {"message": text, "answer": answer, "turn": self.turns, "outcome": outcome}\n',
        ),
        ("return answer.text", "return answer"),
    ),
    "a try of its own": catches("(AgentsException, AgentsWorkflowError, ActivityError)"),
}

SAMPLE = {"as a tool", "a task that nobody awaits", "one more run after a failure"}
