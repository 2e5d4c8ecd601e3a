"""How a conversation begins: its customer's name, its id, and the workflow that is started."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from course.lab.chat import Conversation, Handlers
from course.lab.errors import LabError
from course.lab.failures import Failures
from course.lab.temporal import Temporal
from course.lab.workers import Workers
from course.lab.world import World


class Beginnings:
    """The conversations that a lab has begun. Each has an id that nobody else has: `ada-1`, `ada-2`, …

    The server gives an id to one of those who ask for it at once, and so does a database that labs share.
    """

    def __init__(self, temporal: Temporal, world: World, failures: Failures, workers: Workers) -> None:
        self._temporal, self._world, self._failures, self._workers = temporal, world, failures, workers
        self._handlers: dict[str, Handlers] = {}
        self._numbers: dict[str, int] = {}

    async def begin(self, workflow_class: type, customer: str, update: str, close: str) -> Conversation:
        definition = self._workers.served(workflow_class)
        _must_be_a_name(customer)
        if update not in definition.updates:
            known = ", ".join(str(name) for name in definition.updates) or "none"
            raise LabError(
                f"{workflow_class.__name__} has no update {update!r} (it has: {known}). "
                "Name the one that takes messages: lab.converse(…, update='…')."
            )
        id = await self._start(definition, customer)
        self._failures.outages.begin_for(id, datetime.now(UTC))
        self._handlers[id] = Handlers(update, close, definition.ret_type)
        return self.find(id)

    def find(self, id: str) -> Conversation:
        return Conversation(self._temporal, self._workers, id, self._handlers.get(id, Handlers()))

    async def _start(self, definition: Any, customer: str) -> str:
        """Starts the workflow under the first id that is free."""
        slug = re.sub(r"[^a-z0-9]+", "-", customer.lower()).strip("-") or "customer"
        number = self._numbers.get(slug, 0)
        while True:
            number += 1
            id = f"{slug}-{number}"
            if not self._world.claim(id):
                continue
            try:
                await self._start_workflow(definition, customer, id)
            except BaseException as error:
                self._world.release(id)
                if not isinstance(error, WorkflowAlreadyStartedError):
                    raise
            else:
                self._numbers[slug] = number
                return id

    async def _start_workflow(self, definition: Any, customer: str, id: str) -> None:
        try:
            await self._temporal.client.start_workflow(
                definition.name,
                customer,
                id=id,
                task_queue=self._workers.settings.task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                # How long a workflow task may be in the hands of a worker that has died.
                task_timeout=timedelta(seconds=3),
            )
        except RPCError as error:
            if "time-skipping" in error.message.lower() and self._temporal.give_up_the_clock():
                return await self._start_workflow(definition, customer, id)
            raise LabError(
                f"The conversation did not start: {error.message}{self._temporal.hint()}"
            ) from None


def _must_be_a_name(customer: Any) -> None:
    is_one = (
        isinstance(customer, str) and customer.strip() and len(customer) <= 100 and customer.isprintable()
    )
    if not is_one:
        raise LabError(
            f"A customer has a name of 1 to 100 printable characters, and not {str(customer)[:40]!r}."
        )
