"""Lesson 14: a version of the desk that was deployed this morning; a desk that shows who is waited for; and what an
operator asks the server: who asks for a queue's work, and which conversations a query finds.
"""

import asyncio
import re

from temporalio import workflow
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

with workflow.unsafe.imports_passed_through():
    from course.desk.conversation import Carried, ConversationWorkflow, Summary
    from course.desk.listing import keep_showing

from course.lessons.lesson_10.asking import AskingWorkflow


@workflow.defn(name="ConversationWorkflow")
class OrderReadingWorkflow(ConversationWorkflow):
    """The desk, with something new: it reads the order's number off each message, and counts the messages."""

    @workflow.init
    def __init__(self, customer: str, carried: Carried | None = None) -> None:
        super().__init__(customer, carried)
        self.about: list[str] = []

    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> Summary:
        return await super().run(customer, carried)

    async def _turn(self, message_id: str, text: str) -> str:
        workflow.metric_meter().create_counter("messages_by_workflow").add(1)
        self.about.append(order_in(text))
        return await super()._turn(message_id, text)


def order_in(text: str) -> str:
    return re.search(r"\b\d{4}\b", text).group()


@workflow.defn
class WatchedWorkflow(AskingWorkflow):
    """Lesson 10's desk. In the server's list it shows whether a person is waited for."""

    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(customer)
        self._showing = asyncio.create_task(keep_showing(customer, self.stands))

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()

    def stands(self) -> tuple[str, str]:
        return ("approval", "person") if self.waiting else ("idle", "customer")


async def listed(client: Client, query: str) -> list[str]:
    """The ids of the workflows that a query finds."""
    return sorted([one.id async for one in client.list_workflows(query)])


async def pollers(client: Client, queue: str) -> int:
    """How many workers have asked for a queue's workflow tasks in the last minutes."""
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    return len((await client.workflow_service.describe_task_queue(request)).pollers)
