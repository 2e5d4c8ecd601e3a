"""For workflows that change one thing about another: what Temporal wants in every class, taken from the base."""

from types import FunctionType

from temporalio import workflow


def inherits_run(cls: type) -> type:
    """Below `@workflow.defn`: the class runs as its base does, if it has no `run` of its own.

    Temporal looks for `run` in the class itself, and knows it by its qualified name.
    """
    if "run" in vars(cls):
        return cls
    base = cls.run
    run = FunctionType(base.__code__, base.__globals__, "run", base.__defaults__, base.__closure__)
    run.__annotations__ = base.__annotations__
    run.__qualname__, run.__module__ = f"{cls.__qualname__}.run", cls.__module__
    cls.run = workflow.run(run)
    return cls
