"""Every workflow and every activity of the course: what a lab serves unless it is told otherwise.

They are found, not listed: whoever adds one to a lesson has nothing else to do.
"""

import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

from course.lab import compat

PLACES = ("course.desk", "course.lessons")


def modules() -> Iterator[ModuleType]:
    """The desk's modules, then the lessons', in the order of their names."""
    for place in PLACES:
        for found in pkgutil.walk_packages(import_module(place).__path__, f"{place}."):
            if not found.name.endswith(".__main__"):
                yield import_module(found.name)


def versions() -> list[type]:
    """Every workflow class, and with it those that only `lab.deploy` brings to a worker."""
    return [one for one in _defined() if compat.workflow_definition(one)]


def workflows() -> list[type]:
    """One class for each workflow type: of several versions in a module, the first."""
    first: dict[str, type] = {}
    for one in versions():
        first.setdefault(compat.workflow_definition(one).name, one)
    return list(first.values())


def activities() -> list[Callable[..., Any]]:
    """Every activity, each once."""
    return [one for one in _defined() if compat.activity_definition(one)]


def _defined() -> Iterator[Any]:
    """What each module defines itself, in the order of its lines."""
    for module in modules():
        yield from (one for one in vars(module).values() if getattr(one, "__module__", "") == module.__name__)
