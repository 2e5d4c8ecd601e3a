"""The desk to take home: a conversation with an agent, and all that it stands on.

It needs no Jupyter, no pandas and no lab. Read it in this order:

    conversation.py     the workflow: a turn from top to bottom
    answering.py        the agent's run, or an apology
    duties.py           what nobody waits for
    policies.py         who waits, how long, and what ends it
    memory.py           what the agent remembers
    renewal.py          when the conversation goes on in a new run
    messages.py         which messages it accepts
    activities.py       the operations with an effect
    tools.py            the agent's: for one customer, whom code names
    services/           what they talk to: database, mail, webhook, shop, report
    jobs.py             the weekly report and the cleanup, on a schedule
    heartbeats.py       how a dead worker is noticed
    plugin.py           the Agents SDK on Temporal, and how a model call is run
    settings.py         what the environment says
    looking.py          whether server, database, mail and webhook answer
    worker.py           all of it as a program: `python -m course.desk`

`ConversationWorkflow` is loaded when it is first used (PEP 562): Temporal's sandbox imports this package for
every workflow of it, and the jobs need no conversation.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from course.desk.conversation import ConversationWorkflow

__all__ = ["ConversationWorkflow"]


def __getattr__(name: str) -> Any:
    if name != "ConversationWorkflow":
        raise AttributeError(f"module 'course.desk' has no attribute {name!r}")
    from course.desk.conversation import ConversationWorkflow

    return ConversationWorkflow


def __dir__() -> list[str]:
    return __all__
