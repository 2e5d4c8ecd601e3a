"""Ask the agent; if the run fails for good, apologise. The workflow goes on either way."""

import json
from dataclasses import dataclass
from typing import Any

from agents import Agent, RunConfig, Runner, RunState, TResponseInputItem
from agents.exceptions import AgentsException, ModelBehaviorError
from agents.run import CallModelData, ModelInputData
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.openai_agents import AgentsWorkflowError

APOLOGY = "I am sorry, I could not find an answer to this. Please try again, or ask for a colleague."

MAX_RUN = 100_000
"""Characters that one run may add to the conversation: messages, calls, results. Every later model call
carries them, and one that is over 2 MiB fails the workflow's task, not the activity: nothing could catch that."""


@dataclass
class Answer:
    """What one run of the agent came to."""

    text: str
    memory: list[TResponseInputItem]
    """The conversation so far: the input of the next run."""
    outcome: str = "answered"
    """`answered`, `apologised`, or `interrupted`: a tool needs a person's approval (lesson 10)."""
    reason: str | None = None
    """Why there is only an apology."""
    output: Any = None
    """The agent's final output: the text, or the typed object that it was asked for. Of a run that is
    interrupted, the SDK's result, whose `to_state()` it goes on from."""


async def ask(
    agent: Agent[Any],
    memory: list[TResponseInputItem],
    message: str | RunState[Any],
    **options: Any,
) -> Answer:
    """Runs the agent on the conversation so far and one more message, or resumes an interrupted run.

    Whatever an agent run raises ends in an apology: a model that refuses for good (`ActivityError`), a
    tool that failed for good or malformed arguments (`AgentsWorkflowError`), too many turns, an invented
    tool, wrongly typed arguments (`AgentsException`). A cancellation is not a failure and passes through.
    A run that ends without a word, or with far too many, is no answer either. The memory then stays as it
    was, so that what broke this run cannot break the next.
    """
    largest = _size(memory) + MAX_RUN

    def check_size(call: CallModelData[Any]) -> ModelInputData:
        _check_size(call.model_data.input, largest)
        return call.model_data

    resumed = isinstance(message, RunState)
    given = message if resumed else [*memory, {"role": "user", "content": message}]
    config = RunConfig(call_model_input_filter=check_size)
    try:
        result = await Runner.run(agent, given, run_config=config, **options)
        items = result.to_input_list()  # once: it copies all of the memory
        _check_size(items, largest)
    except (
        AgentsException,
        AgentsWorkflowError,
        ActivityError,
        RecursionError,  # the SDK's own, on arguments that are nested too deeply
        UnicodeError,  # the SDK's own, on arguments with half a character in them
    ) as error:
        if any(map(is_cancelled_exception, (error, error.__cause__ or error))):
            raise
        return Answer(APOLOGY, memory, outcome="apologised", reason=why(error))
    if result.interruptions:
        return Answer("", memory, outcome="interrupted", output=result)
    if not str(result.final_output or "").strip():
        wordless = "The model answered without a word."
        return Answer(APOLOGY, memory, outcome="apologised", reason=wordless)
    said = result.final_output
    return Answer(str(said), items, output=said)


def _check_size(items: list[TResponseInputItem], largest: int) -> None:
    if _size(items) > largest:
        raise ModelBehaviorError(f"The run grew by more than {MAX_RUN:,} characters.")


def _size(items: list[TResponseInputItem]) -> int:
    return len(json.dumps(items, ensure_ascii=False, default=str))


def why(error: BaseException) -> str:
    """The innermost reason of a failure, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
