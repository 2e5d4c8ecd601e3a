"""Lesson 14: a version of the desk that was deployed this morning; a desk that shows who is waited for; what an operator
asks the server: who asks for a queue's work, and which conversations a query finds. Page 14b: a message counted twice.
"""

import asyncio
import re
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

with workflow.unsafe.imports_passed_through():
    from course.desk import activities
    from course.desk.conversation import Carried, ConversationWorkflow, Summary
    from course.desk.listing import keep_showing
    from course.desk.policies import TOOL
    from course.desk.services import current_services

from course.lessons.lesson_10.asking import AskingWorkflow
from course.lessons.plain_conversation import PlainConversation, conversation, juniper


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


@activity.defn
def report_message(conversation: str) -> None:
    """Tell the monitoring service that a message has come."""
    current_services().webhook.post(uuid4().hex, f"{conversation} wrote")


@conversation
class MonitoringWorkflow(PlainConversation):
    """Monitors in two ways: by a meter, and by an activity."""

    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(juniper(activities.look_up_order, customer=customer))

    async def turn(self, text: str) -> str:
        workflow.metric_meter().create_counter("messages_by_meter").add(1)
        id = workflow.info().workflow_id
        await workflow.execute_activity(report_message, id, **TOOL)
        return await super().turn(text)


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
