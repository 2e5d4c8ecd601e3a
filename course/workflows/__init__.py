"""One workflow a file, in lesson order."""

from course.workflows.conversation import ConversationWorkflow

__all__ = ["ConversationWorkflow"]

ALL = [ConversationWorkflow]
