"""The private names of other libraries that the course uses: which of them the installed versions still have."""

import ast
import logging
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from course.lab import compat
from course.lessons.lesson_01 import HelloWorkflow

COURSE = Path(compat.__file__).parents[1]


def has(thing: Any, name: str) -> bool:
    """Whether a module, a class or an object has a name, or a function sets it on an object."""
    return name in thing.__code__.co_names if isinstance(thing, FunctionType) else hasattr(thing, name)


@pytest.mark.parametrize("name", compat.NAMES)
def test_a_private_name_is_still_there(name: str) -> None:
    module, _, path = name.partition(":")
    library = module.split(".")[0]
    release = version(library) if library == "temporalio" else f"of Python {sys.version.split()[0]}"
    thing: Any = import_module(module)
    for part in path.split("."):
        assert has(thing, part), f"{library} {release} has taken away {name}: {compat.NAMES[name]}"
        thing = getattr(thing, part, None)


def test_the_silenced_logger_is_the_one_that_would_fill_a_cell() -> None:
    module = import_module(compat.WORKFLOW_LOGGER)
    assert module.logger is logging.getLogger(compat.WORKFLOW_LOGGER)


def test_definitions_are_told_of_what_has_one() -> None:
    assert compat.workflow_definition(HelloWorkflow).name == "HelloWorkflow"
    for nothing in (HelloWorkflow.run, str, "HelloWorkflow", None):
        assert compat.workflow_definition(nothing) is None
        assert compat.activity_definition(nothing) is None


def test_no_other_module_uses_a_private_name_of_another_library() -> None:
    """Of Temporal's and Python's modules and of their classes' own names, as `workflow._Definition` is one."""
    private = {part for name in compat.NAMES for part in name.split(":")[1].split(".") if part[0] == "_"}
    private = {name for name in private if not name.endswith("__")} - {"_main"}
    for file in sorted(COURSE.rglob("*.py")):
        if file == Path(compat.__file__):
            continue
        tree = ast.parse(file.read_text())
        used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not used & private, file.relative_to(COURSE)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names = [*node.module.split("."), *(alias.name for alias in node.names)]
                own = node.module.split(".")[0] in ("course", "__future__")
                assert own or not [name for name in names if name.startswith("_")], f"{file}: {names}"
