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
    "what nobody expects": (
        "A bug in the code that runs the agent",
        (CAUGHT, "except Exception as error:"),
    ),
    "apologises before it asks": (
        "on record no model was asked",
        before("conversation = ", 'return self._sorry("no model today")'),
    ),
    "never passes an answer on": (
        "Pass a good answer on as it is",
        ("return answer", "return SORRY"),
    ),
    "the message stays": (
        "“Is it true that ivy is poisonous?” is still in the memory",
        before("conversation = ", 'self._memory = [*self._memory, {"role": "user", "content": text}]'),
        ('conversation = [*self._memory, {"role": "user", "content": text}]', "conversation = self._memory"),
    ),
    "the message and the apology stay": (
        "a provider that refused it once refuses them all … keep the memory",
        before(
            "return self._sorry(f",
            'said = [{"role": "user", "content": text}, {"role": "assistant", "content": SORRY}]',
            "self._memory = [*self._memory, *said]",
        ),
    ),
    "one reason for all": (
        "some of the reasons are the same",
        ('f"{type(cause).__name__}: {cause}"', '"403, ask_the_palm, JSON, valid string, turns, timed out"'),
        ('"The model answered without a word."', '"403, ask_the_palm, JSON, an empty answer"'),
    ),
    "a cancellation ends well": (
        "It ended, but not as cancelled",
        instead("raise  # somebody's decision", "self._closing = True", "return SORRY"),
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
    "a catch-all that lets out what it does not know": [
        (CAUGHT, "except Exception as error:"),
        before(
            "if is_cancelled_exception",
            "if not isinstance(error, AgentsException | AgentsWorkflowError | ActivityError):",
            "    raise",
        ),
    ],
    "one more try of the run": [
        instead(
            "result = await Runner.run(",
            "try:",
            "    result = await Runner.run(self._agent, conversation)",
            "except AgentsException:",
            "    result = await Runner.run(self._agent, conversation)",
        )
    ],
    "the innermost words alone": [('f"{type(cause).__name__}: {cause}"', "str(cause)")],
}

SAMPLE = {
    "everything, cancellation too",
    "no word, no apology",
    "the message stays",
    "one more try of the run",
}
