"""Every workflow and every activity of the course: what a lab serves unless it is told otherwise."""

import inspect
import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import course.desk
import course.lessons


def modules() -> Iterator[ModuleType]:
    """The desk's modules, then the lessons', in the order of their names."""
    for package in (course.desk, course.lessons):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                yield import_module(found.name)


def versions() -> list[type]:
    """Every workflow class, and with it those that only `lab.deploy` brings to a worker."""
    return [
        one
        for module in modules()
        for one in vars(module).values()
        if inspect.isclass(one)
        and one.__module__ == module.__name__
        and "__temporal_workflow_definition" in vars(one)
    ]


def workflows() -> list[type]:
    """One class for each workflow type: of several versions in a module, the first."""
    first: dict[str, type] = {}
    for one in versions():
        first.setdefault(vars(one)["__temporal_workflow_definition"].name, one)
    return list(first.values())


def activities() -> list[Callable[..., Any]]:
    """Every activity, each once."""
    return [
        one
        for module in modules()
        for one in vars(module).values()
        if getattr(one, "__module__", "") == module.__name__
        and hasattr(one, "__temporal_activity_definition")
    ]
