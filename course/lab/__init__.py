"""What a notebook holds in its hand: server, worker, conversation."""

from course.lab.conversation import Conversation
from course.lab.errors import LabError, MessageRefused
from course.lab.lab import Lab
from course.lab.show import show_source

__all__ = ["Conversation", "Lab", "LabError", "MessageRefused", "show_source"]
