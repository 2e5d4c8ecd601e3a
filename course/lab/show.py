"""Code in an output cell, so that a lesson shows exactly what runs."""

import inspect
import textwrap
from typing import Any

from course.lab.errors import LabError


def show_source(*things: Any) -> Any:
    """Shows the source of classes, functions or methods, one after the other, highlighted."""
    from IPython.display import Code

    for thing in things:
        if not (inspect.isclass(thing) or inspect.isroutine(thing) or inspect.ismodule(thing)):
            raise LabError(f"show_source shows a class, a function or a module, and not {thing!r}.")
    sources = (textwrap.dedent(inspect.getsource(thing)).strip() for thing in things)
    return Code("\n\n".join(sources), language="python")
