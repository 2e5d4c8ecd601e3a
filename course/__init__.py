"""A course on durable AI agents: the OpenAI Agents SDK on Temporal.

`from course import Lab` is where every lesson begins. The names below are loaded when they are first
used (PEP 562): workflows import this package in Temporal's sandbox, where the lab has no business.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from course.checks import check, hint, progress
    from course.lab import Lab, LabError, show_source

_HOME = {
    "Lab": "course.lab",
    "LabError": "course.lab",
    "show_source": "course.lab",
    "check": "course.checks",
    "hint": "course.checks",
    "progress": "course.checks",
}

__all__ = ["Lab", "LabError", "check", "hint", "progress", "show_source"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'course' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
