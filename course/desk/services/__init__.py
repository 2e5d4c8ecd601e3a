"""The real things that activities talk to, and how an activity finds them.

A worker is started with `ServicesInterceptor(services)`; an activity asks `current_services()`. So the
activities stay plain functions that anybody can import and register, and two workers in one process
can talk to two databases.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from .database import Database
from .mail import Mail
from .refusals import KeyReused, Refused
from .shop import Shop
from .webhook import Webhook

__all__ = [
    "Database",
    "KeyReused",
    "Mail",
    "Refused",
    "Services",
    "ServicesInterceptor",
    "Shop",
    "Webhook",
    "current_services",
]


@dataclass(frozen=True)
class Services:
    """What one desk works with."""

    database: Database
    shop: Shop
    mail: Mail
    webhook: Webhook
    reports: Path
    """The folder for report files."""


_current: ContextVar[Services] = ContextVar("services")


def current_services() -> Services:
    """The services of the worker that runs this activity. Raises `RuntimeError` outside of one."""
    try:
        return _current.get()
    except LookupError:
        raise RuntimeError(
            "This activity needs the desk's services: start its worker with "
            "interceptors=[ServicesInterceptor(services)]."
        ) from None


class ServicesInterceptor(Interceptor):
    """Gives every activity of a worker its services."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def services_now(self) -> Services:
        """The services for the activity that is about to run."""
        return self.services

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _WithServices(next, self)


class _WithServices(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, interceptor: ServicesInterceptor) -> None:
        super().__init__(next)
        self._interceptor = interceptor

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        # A sync activity runs in a thread with a copy of this context.
        _current.set(self._interceptor.services_now())
        return await super().execute_activity(input)
