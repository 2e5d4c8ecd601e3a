"""Every workflow and every activity of the course: what a lab serves unless it is told otherwise.

They are found, not listed: whoever adds one to a lesson has nothing else to do.
"""

import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

from course.lab import compat

PLACES = ("course.workflows.naive_uncaught", "course.workflows", "course.activities")
"""Packages and modules. The first of two workflows with the same type is served."""


def all_workflows() -> list[type]:
    """One class for each workflow type.

    Other versions of it, which stand below it in its module, are for `lab.deploy`.
    """
    found: dict[str | None, type] = {}
    for code in _defined_in_the_course():
        if definition := compat.workflow_definition(code):
            found.setdefault(definition.name, code)
    return list(found.values())


def all_activities() -> list[Callable[..., Any]]:
    return [code for code in _defined_in_the_course() if compat.activity_definition(code)]


def _defined_in_the_course() -> Iterator[Any]:
    """What each module defines itself, in the order of its lines."""
    for module in _modules():
        yield from (
            code for code in vars(module).values() if getattr(code, "__module__", None) == module.__name__
        )


def _modules() -> Iterator[ModuleType]:
    for place in PLACES:
        module = import_module(place)
        yield module
        for info in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{place}."):
            if not info.name.endswith(".__main__"):
                yield import_module(info.name)
