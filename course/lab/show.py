"""Code in an output cell, so that a lesson shows exactly what runs."""

import inspect
import textwrap
from typing import Any


def show_source(*things: Any) -> Any:
    """Shows the source of classes, functions or methods, one after the other, highlighted."""
    from IPython.display import Code

    return Code(
        "\n\n".join(textwrap.dedent(inspect.getsource(thing)).strip() for thing in things), language="python"
    )
