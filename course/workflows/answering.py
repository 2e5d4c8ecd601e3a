"""Ask the agent; if the run fails for good, apologise. The workflow goes on either way."""

from dataclasses import dataclass
from typing import Any

from agents import Agent, Runner, TResponseInputItem
from agents.exceptions import AgentsException
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.openai_agents import AgentsWorkflowError

APOLOGY = "I am sorry, I could not find an answer to this. Please try again, or ask for a colleague."


@dataclass
class Answer:
    """What one run of the agent came to."""

    text: str
    memory: list[TResponseInputItem]
    """The conversation so far: the input of the next run."""
    outcome: str = "answered"
    """`answered` or `apologised`."""
    reason: str | None = None
    """Why there is only an apology."""
    output: Any = None
    """The agent's final output: the text, or the typed object that it was asked for."""


async def ask(
    agent: Agent[Any], memory: list[TResponseInputItem], message: str, **options: Any
) -> Answer:
    """Runs the agent on the conversation so far and one more message.

    Whatever an agent run raises ends in an apology: a model that refuses for good (`ActivityError`), a
    tool that failed for good or malformed arguments (`AgentsWorkflowError`), too many turns, an invented
    tool, wrongly typed arguments (`AgentsException`). A cancellation is not a failure and passes through.
    A run that ends without a word is no answer either. The memory then stays as it was, so that what broke
    this run cannot break the next.
    """
    try:
        result = await Runner.run(
            agent, [*memory, {"role": "user", "content": message}], **options
        )
    except (AgentsException, AgentsWorkflowError, ActivityError) as error:
        if is_cancelled_exception(error) or is_cancelled_exception(
            error.__cause__ or error
        ):
            raise
        return Answer(APOLOGY, memory, outcome="apologised", reason=why(error))
    if not str(result.final_output or "").strip():
        return Answer(
            APOLOGY,
            memory,
            outcome="apologised",
            reason="The model answered without a word.",
        )
    return Answer(
        str(result.final_output), result.to_input_list(), output=result.final_output
    )


def why(error: BaseException) -> str:
    """The innermost reason of a failure, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
