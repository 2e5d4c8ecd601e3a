"""What a notebook holds in its hand: server, worker, conversation."""

from course.lab.conversation import Conversation
from course.lab.errors import LabError
from course.lab.lab import Lab

__all__ = ["Conversation", "Lab", "LabError"]
