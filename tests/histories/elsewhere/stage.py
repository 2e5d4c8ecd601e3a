"""A real server and a worker for one workflow of another framework's, and its history kept."""

import json
import sysconfig
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio import workflow
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from tests.histories import activities as acts
from tests.histories.keeping import IDENTITY, runs_of, scrub, write
from tests.histories.ledger import SHORT, Ledger, LedgerInterceptor, hand

RECORDED = Path(__file__).parent / "recorded"
SERVER = Path(sysconfig.get_path("scripts")) / "temporal"


async def step(activity: Any, *args: Any) -> Any:
    """An activity, scheduled by whoever calls this."""
    return await workflow.execute_activity(activity, args=args, start_to_close_timeout=SHORT)


async def two_steps(order: int) -> str:
    """Refund an order and tell the customer."""
    with hand("tool"):
        await step(acts.refund, order)
        return await step(acts.notify, f"order {order}")


class Desk(Ledger):
    """A step of the workflow's own before and after each answer of `self.answer`, which is the framework's."""

    async def until_closed(self) -> None:
        await step(acts.notify, "open")
        await workflow.wait_condition(lambda: self.closed and workflow.all_handlers_finished())

    def __init__(self) -> None:
        super().__init__()
        self.closed = False

    @workflow.signal
    def close(self) -> None:
        self.closed = True

    async def answer(self, text: str) -> str:
        raise NotImplementedError

    @workflow.update
    async def send(self, text: str) -> str:
        self.open_turn()
        await step(acts.look_up, 1)
        reply = await self.answer(text)
        await step(acts.record, "x")
        return reply


async def play(
    name: str, about: str, desk: type[Desk], messages: Sequence[str], plugins: Sequence[Any]
) -> None:
    async with await WorkflowEnvironment.start_local(
        identity=IDENTITY,
        dev_server_existing_path=str(SERVER),
        dev_server_log_level="error",
        ip="127.0.0.1",
    ) as environment:
        config = environment.client.config()
        config["plugins"] = [*plugins]
        client = Client(**config)
        async with Worker(
            client,
            task_queue=name,
            workflows=[desk],
            activities=acts.ALL,
            interceptors=[LedgerInterceptor()],
            graceful_shutdown_timeout=timedelta(0),
        ):
            handle = await client.start_workflow(desk.__name__, id=name, task_queue=name)
            for text in messages:
                print(await handle.execute_update("send", text))
            await handle.signal("close")
            await handle.result()
            truth = await handle.query("ledger")
            runs = [scrub(run.to_json_dict()) for run in await runs_of(client, name)]
    RECORDED.mkdir(exist_ok=True)
    write(RECORDED / f"{name}.json", {"about": about, "truth": truth, "runs": runs})
    for line in truth:
        print(*line)


def script(*steps: str | list) -> str:
    """What a scripted model is told to do, as in `tests/histories/model.py`."""
    return json.dumps(steps)


def next_step(steps: Sequence[Any], answered: int) -> Any:
    """What comes next in such a script, after so many results of tools: a list of calls, or the answer."""
    for one in steps:
        if isinstance(one, str) or answered < len(one):
            return one
        answered -= len(one)
    return "Done."
