"""Says of every activity that takes its time: the process that runs it is alive."""

import asyncio
from typing import Any

from temporalio import activity
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)


class Heartbeats(Interceptor):
    """Beats for every activity that has a `heartbeat_timeout`, four times in that time, from beside its code.

    A worker that dies stops beating, and the server hands the activity to another when the timeout is over:
    long before `start_to_close_timeout`. It says that the *process* lives, no more: an activity that hangs is
    still ended by `start_to_close_timeout`.
    """

    def intercept_activity(
        self, next: ActivityInboundInterceptor
    ) -> ActivityInboundInterceptor:
        return _Beating(next)


class _Beating(ActivityInboundInterceptor):
    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        super().init(outbound)
        self._outbound = outbound

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        limit = activity.info().heartbeat_timeout
        beating = (
            asyncio.create_task(self._beat(limit.total_seconds() / 4)) if limit else None
        )
        try:
            return await super().execute_activity(input)
        finally:
            if beating:
                beating.cancel()

    async def _beat(self, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            self._outbound.heartbeat()
