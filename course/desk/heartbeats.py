"""Says of every activity that takes its time: the process that runs it is alive."""

import asyncio
import functools
import threading
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)


class Heartbeats(Interceptor):
    """Beats for every activity that has a `heartbeat_timeout`, six times in that time, from beside its code.

    A worker that dies stops beating, and the server hands the activity to another when the timeout is over:
    long before `start_to_close_timeout`. The beats come from a thread of their own: a worker whose event loop is
    busy, or blocked by an async activity that should have been a sync one, is not taken for dead. What an
    activity notes itself, with `activity.heartbeat(…)`, is kept.

    The limit: a beat proves that the process lives, not that the work goes on. An activity that hangs is still
    ended by `start_to_close_timeout`. And a process that gets no processor for as long as the timeout is dead,
    as far as anybody can tell: a timeout is as short as the busiest machine allows.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def intercept_activity(
        self, next: ActivityInboundInterceptor
    ) -> ActivityInboundInterceptor:
        return Beating(next, self._client)


class Beating(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, client: Client) -> None:
        super().__init__(next)
        self._client = client

    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        self._noted = _Noted(outbound)
        super().init(self._noted)

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        if info.heartbeat_timeout is None:
            return await super().execute_activity(input)
        beating = asyncio.run_coroutine_threadsafe(
            self.beat(info.task_token, info.heartbeat_timeout, asyncio.get_running_loop()),
            thread("heart"),
        )
        try:
            return await super().execute_activity(input)
        finally:
            beating.cancel()

    async def beat(
        self, token: bytes, limit: timedelta, worker: asyncio.AbstractEventLoop
    ) -> None:
        handle = self._client.get_async_activity_handle(task_token=token)
        while True:
            await asyncio.sleep(limit.total_seconds() / 6)
            try:
                await handle.heartbeat(*self._noted.details, rpc_timeout=limit)
            except Exception:
                # A cancellation, say: the worker asks itself, and does what is due.
                worker.call_soon_threadsafe(self._noted.again)


class _Noted(ActivityOutboundInterceptor):
    """Remembers the details of the activity's last heartbeat: a beat without them would wipe them out."""

    def __init__(self, next: ActivityOutboundInterceptor) -> None:
        super().__init__(next)
        self.details = activity.info().heartbeat_details

    def heartbeat(self, *details: Any) -> None:
        self.details = details
        super().heartbeat(*details)

    def again(self) -> None:
        super().heartbeat(*self.details)


@functools.cache
def thread(name: str) -> asyncio.AbstractEventLoop:
    """An event loop in a thread of its own, for as long as the process lives."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name=name, daemon=True).start()
    return loop
