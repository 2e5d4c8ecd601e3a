"""The class of what goes wrong, and how a cell shows it: a sentence, and no traceback.

The sentences are where it goes wrong. Of a wait in vain: `chat.py` and `record.py`, and `course/models/live.py` for
a model that is slow.
"""

from typing import Any

from temporalio.client import WorkflowQueryFailedError
from temporalio.service import RPCError


class LabError(RuntimeError):
    """Something that the lab could not do. The message says what happened, what was kept and what to do."""

    def _render_traceback_(self) -> list[str]:
        """IPython shows this in place of a traceback: the sentence is what helps, not the lab's own lines."""
        return [f"{type(self).__name__}: {self}"]


class MessageRefused(LabError, ValueError):
    """A message that no conversation takes. Nothing was sent."""


def said_of(error: Any) -> list[str]:
    """What a cell shows of an error that comes out of `chat.handle`: not the ninety lines of the client's inside."""
    said = str(error)
    if "workflow execution already completed" in said:
        said = "the workflow has ended, and takes no more messages. Its record is kept: `await chat.activities()`."
    return [f"{type(error).__name__}: {said}"]


for kind in (RPCError, WorkflowQueryFailedError):
    kind._render_traceback_ = said_of  # type: ignore[attr-defined]
