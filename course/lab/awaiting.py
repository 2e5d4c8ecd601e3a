"""For the slip that everybody makes: a call without its `await`."""

import functools
import inspect
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from course.lab.errors import LabError


class NotAwaited(Coroutine[Any, Any, Any]):
    """What an async method returns: a coroutine. Taken for its result, it says what is missing."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], call: str, block: str | None = None) -> None:
        self._coroutine, self._call, self._block = coroutine, call, block

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        if value is not None and inspect.getcoroutinestate(self._coroutine) == inspect.CORO_CREATED:
            raise self._missing()  # chat = lab.converse(…), and then chat.send("a message")
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        return self._coroutine.throw(*error)

    def close(self) -> None:
        self._coroutine.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise self._missing()

    def __getitem__(self, key: Any) -> Any:
        raise self._missing()

    def __repr__(self) -> str:
        return f"<{self._call} without await: nothing has happened yet>"

    def __enter__(self) -> Any:  # with lab.outage("mail"):
        self.close()  # nobody can await it any more: no warning beside the sentence
        raise self._missing(self._block)

    def __exit__(self, *error: object) -> None: ...

    async def __aenter__(self) -> Any:  # async with Lab.start():
        self.__enter__()

    async def __aexit__(self, *error: object) -> None: ...

    def _missing(self, instead: str | None = None) -> LabError:
        return LabError(
            f"{self._call} was called without await, so nothing has happened yet: {instead or f'await {self._call}'}"
        )


def awaited(call: str, block: str | None = None) -> Callable[[Any], Any]:
    """Decorates an async method. `call` is how a notebook writes it, `block` how a block with it begins."""

    def decorate(method: Any) -> Any:
        @functools.wraps(method)
        def method_that_says_so(*args: Any, **kwargs: Any) -> NotAwaited:
            return NotAwaited(method(*args, **kwargs), call, block)

        return method_that_says_so

    return decorate
