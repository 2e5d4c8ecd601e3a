"""A reply that may not come."""

import asyncio

from course.history import event_table
from course.lab.chat import Conversation, Reply


async def what_comes_first(chat: Conversation, reply: Reply | asyncio.Future[str]) -> str | None:
    """Waits until a message is answered or refused, or until a workflow task of its conversation fails.

    Args:
        chat: The conversation.
        reply: What `chat.begin(…)` returned, or a future of an update that was sent in another way.

    Returns:
        What the failed workflow task says; None if `reply` is done.
    """
    while not reply.done():
        events = event_table(await chat.history())
        failed = events[events.event == "WorkflowTaskFailed"]
        if len(failed):
            return str(failed.detail.iloc[0])
        await asyncio.sleep(0.1)
    return None
