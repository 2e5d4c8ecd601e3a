"""What the tests' workflows share, whichever framework their agents are of."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from temporalio import workflow

from tests.histories import activities as acts
from tests.histories.ledger import Ledger, hand
from tests.inheriting import inherits_run

SHORT = timedelta(seconds=20)


async def step(activity: Callable | str, *args: Any, **options: Any) -> Any:
    """An activity, scheduled by whoever calls this."""
    return await workflow.execute_activity(
        activity, args=args, **{"start_to_close_timeout": SHORT, **options}
    )


@hand("tool")
async def two_steps(order: int) -> str:
    """Refund an order and tell the customer."""
    await step(acts.refund, order)
    return await step(acts.notify, f"order {order}")


class UntilClosed(Ledger):
    """It runs until it is told to close, and so does what inherits from it. Its docstring says what it is recorded for."""

    arguments: ClassVar[Sequence[Any]] = ()
    messages: ClassVar[Sequence[str]] = ()
    children: ClassVar[Sequence[type]] = ()
    """Workflows that it starts."""
    closes: ClassVar[bool] = True
    """Whether its end is recorded, too."""

    @classmethod
    async def play(cls, stage: Any) -> None:
        """What happens to it while it is recorded, from outside; `stage` is a `playing.Stage`."""
        for message in cls.messages:
            await stage.send(message)

    def __init_subclass__(cls) -> None:
        inherits_run(cls)

    def __init__(self) -> None:
        super().__init__()
        self.closed = False

    @workflow.run
    async def run(self) -> None:
        await self.until_closed()

    @workflow.signal
    def close(self) -> None:
        self.closed = True

    async def until_closed(self) -> None:
        await workflow.wait_condition(lambda: self.closed and workflow.all_handlers_finished())


class Conversation(UntilClosed):
    """A turn for each message."""

    @workflow.update
    async def send(self, text: str) -> str:
        self.open_turn()
        return await self.turn(text)

    async def turn(self, text: str) -> str:
        raise NotImplementedError
