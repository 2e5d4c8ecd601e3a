"""Lesson 13: deadlines. Reminders, and an end for a conversation in which nobody writes any more; a reminder that is
carried into a new workflow run; two other ways to remind, a timer in the process and a job that sweeps the table; and
what is done from outside: Schedules, an erasure.
"""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from temporalio import activity, workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    DescribeNamespaceRequest,
)
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleHandle,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from course.desk import activities
    from course.desk.answering import Answer, why
    from course.desk.policies import BACKGROUND, RECORD, REPORT
    from course.desk.services import current_services
    from course.desk.services.database import turns

from course.lessons.plain_conversation import DutifulConversation, conversation, juniper

ANYTHING_ELSE = "Is there anything else I can do for you?"
INSTRUCTIONS = f"""You are the support agent of Juniper, a shop for house plants. Look up what you do not
know, and ask for what you need. When nothing is open, end with: {ANYTHING_ELSE}"""


def asks(reply: str) -> bool:
    """Whether a reply waits for an answer. The desk has a rule for it: no model decides when it reminds."""
    return "?" in reply.replace(ANYTHING_ELSE, "")


class QuestioningDesk(DutifulConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(
            juniper(activities.look_up_order, customer=customer, instructions=INSTRUCTIONS)
        )
        self.customer = customer
        self.record: list[activities.TurnRecord] = []

    async def answer_and_save(self, text: str) -> Answer:
        answer = await self.answer(text)
        row = activities.TurnRecord(
            conversation=workflow.info().workflow_id,
            turn=self.turns,
            customer=self.customer,
            message=text,
            answer=answer.text,
            outcome=self.outcome_of(answer),
            at=workflow.now().isoformat(timespec="seconds"),
        )
        self.record.append(row)
        await workflow.execute_activity(
            activities.save_to_database, args=[self.key, row], **RECORD
        )
        return answer

    def outcome_of(self, answer: Answer) -> str:
        return answer.outcome


REMINDERS = (timedelta(days=1), timedelta(days=2))
"""When to remind: a day after the question, and again two days after that."""
IDLE = timedelta(days=30)
"""After so much silence the conversation ends itself. Running conversations have timers of this length: another one
is another command, as with `BATCH` of `course/desk/conversation.py`."""


@dataclass
class Ended:
    """The workflow's result."""

    turns: int
    report: str | None
    ending: str
    """What a late sender is told."""


@workflow.defn
class RemindingWorkflow(QuestioningDesk):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(customer)
        self.heard_at = workflow.now()
        self.reminding: asyncio.Task[None] | None = None

    @workflow.run
    async def run(self, customer: str) -> Ended:
        ending = await self.until_the_end()
        self.closing_words = f"{ending} This conversation takes no more messages."
        self._closing = True
        self.stop_reminding()
        turns = await self.until_closed()  # what is under way comes to its end
        report = await self.write_report()
        ending += f" Its report: {report}." if report else " Its report failed."
        await self.tell_the_crm(ending)
        return Ended(turns, report, ending)

    # A turn, and the reminders after it

    async def turn(self, text: str) -> str:
        self.heard_at = workflow.now()
        self.stop_reminding()
        answer = await self.answer_and_save(text)
        if asks(answer.text) and not self._closing:
            self.reminding = self.later(self.remind(self.key, answer.text))
        return answer.text

    async def remind(self, key: str, question: str) -> None:
        for number, delay in enumerate(REMINDERS, 1):
            await workflow.sleep(delay)
            reminder = f"Reminder to {self.customer}: {question}"
            args = [f"{key}/reminder-{number}", reminder, "email"]
            await self.duty(activities.send_notification, args, BACKGROUND)

    def stop_reminding(self) -> None:
        """For every message, and for the end."""
        if self.reminding:
            self.reminding.cancel()

    # The end

    async def until_the_end(self) -> str:
        """Waits until somebody closes it or nobody has written for as long as `IDLE`. Returns what happened."""
        while (left := self.heard_at + IDLE - workflow.now()) > timedelta(0):
            try:
                await workflow.wait_condition(self.is_over, timeout=left)
                return "It was closed."
            except TimeoutError:  # somebody may have written since this timer began
                continue
        return f"Nobody wrote for {IDLE.days} days, so it ended itself."

    def is_over(self) -> bool:
        self.raise_bug()
        return self._closing

    async def write_report(self) -> str | None:
        summary = {"customer": self.customer, "turns": self.record}
        try:
            return await workflow.execute_activity(
                activities.generate_report,
                args=[workflow.info().workflow_id, summary],
                **REPORT,
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning("No report: %s", why(error))
            return None

    async def tell_the_crm(self, ending: str) -> None:
        id = workflow.info().workflow_id
        args = [f"{id}/ended", f"Conversation {id}: {ending}", "webhook"]
        await self.duty(activities.send_notification, args, BACKGROUND)


# A deadline that outlives its workflow run.


@dataclass
class Owed:
    """A reminder that is still to be sent."""

    key: str
    text: str
    due_at: datetime
    """The moment, and not the time left: that would stand still while the new run waits for a worker."""


@dataclass
class Carried:
    """What goes along into a new workflow run."""

    turns: int
    memory: list[dict[str, Any]]
    """Plain dicts: an agent's message in a `list[TResponseInputItem]` comes back as something that cannot be copied (lesson 12)."""
    owed: Owed | None


@workflow.defn
class CarriedReminderWorkflow(QuestioningDesk):
    """Reminds once, a day after its question, in whichever run that is. Its key is the same in each."""

    reminding: asyncio.Task[None] | None = None
    owed: Owed | None = None
    _renewing = False

    @workflow.init
    def __init__(self, customer: str, carried: Carried | None = None) -> None:
        super().__init__(customer)
        if carried:
            self.turns, self._memory = carried.turns, carried.memory
            self.owe(carried.owed)

    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> int:
        await workflow.wait_condition(self.is_over)
        if not self._closing:
            carried = Carried(self.turns, self._memory, self.owed)
            workflow.continue_as_new(args=[customer, carried])
        self.owe(None)
        return await self.until_closed()

    @workflow.signal
    def renew(self) -> None:
        """Goes on in a new run, before the server suggests one."""
        self._renewing = True

    def is_over(self) -> bool:
        """Whether `close` has come, or a new run is due and nothing but the reminder is at work."""
        others = self.at_work() - {self.reminding}
        due = self._renewing or workflow.info().is_continue_as_new_suggested()
        idle = not others and workflow.all_handlers_finished()
        return self._closing or (due and idle)

    async def turn(self, text: str) -> str:
        self.owe(None)
        answer = await self.answer_and_save(text)
        if asks(answer.text) and not self._closing:
            reminder = f"Reminder to {self.customer}: {answer.text}"
            self.owe(Owed(self.key, reminder, workflow.now() + REMINDERS[0]))
        return answer.text

    def owe(self, owed: Owed | None) -> None:
        if self.reminding:
            self.reminding.cancel()
        self.owed = owed
        self.reminding = self.later(self.remind(owed)) if owed else None

    async def remind(self, owed: Owed) -> None:
        left = owed.due_at - workflow.now()
        await workflow.sleep(max(left, timedelta(0)))  # a negative one would raise
        args = [f"{owed.key}/reminder", owed.text, "email"]
        await self.duty(activities.send_notification, args, BACKGROUND)
        self.owed = None  # sent, or given up


# Other ways: a deadline that lives in a process, and one that a job reads off the table.

REMINDER_DELAY = timedelta(seconds=2)
"""A day would be right. Nobody could wait for it, in a lesson or in a test."""


@activity.defn
def remind_from_process(task_id: str, message: str) -> str:
    """Send a reminder later, with a timer of this process."""
    mail = current_services().mail
    args = (f"{task_id}/email", message, message)
    timer = threading.Timer(REMINDER_DELAY.total_seconds(), mail.send, args)
    timer.daemon = True
    timer.start()
    return "will remind"


@activity.defn
def remind_from_table() -> int:
    """Remind everyone whose last recorded turn waits for an answer."""
    services, last = current_services(), {}
    for turn in services.database.rows(turns):
        last[turn["conversation"]] = turn
    due = [turn for turn in last.values() if turn["outcome"] == "waiting"]
    for turn in due:
        reminder = f"Reminder to {turn['customer']}: {turn['answer']}"
        services.mail.send(f"{turn['task_id']}/reminder", reminder, reminder)
    return len(due)


@conversation
class ProcessTimerWorkflow(QuestioningDesk):
    """Leaves the deadline to a timer of the worker's process."""

    async def turn(self, text: str) -> str:
        answer = await self.answer_and_save(text)
        if asks(answer.text):
            args = [self.key, f"Reminder to {self.customer}: {answer.text}"]
            await workflow.execute_activity(remind_from_process, args=args, **BACKGROUND)
        return answer.text


@conversation
class SweptWorkflow(QuestioningDesk):
    """Writes into the table that it waits. A job beside it reads that once a day."""

    async def turn(self, text: str) -> str:
        return (await self.answer_and_save(text)).text

    def outcome_of(self, answer: Answer) -> str:
        return "waiting" if asks(answer.text) else answer.outcome


@workflow.defn
class SweepWorkflow:
    """The job."""

    @workflow.run
    async def run(self) -> int:
        return await workflow.execute_activity(remind_from_table, **BACKGROUND)


# From outside: what a program of the operator's does.


class Site(Protocol):
    """A client, and the task queue of the workers that it counts on. A lab has both."""

    client: Client
    task_queue: str


async def every(
    site: Site,
    id: str,
    cron: str,
    overlap: ScheduleOverlapPolicy,
    job: Callable[..., Any],
    *args: Any,
) -> ScheduleHandle:
    """Makes the Schedule `id`, which starts `job` with `args` at the times of `cron`. Returns it, or the one that exists."""
    action = ScheduleActionStartWorkflow(job, args=args, id=id, task_queue=site.task_queue)
    spec, policy = ScheduleSpec(cron_expressions=[cron]), SchedulePolicy(overlap=overlap)
    try:
        return await site.client.create_schedule(
            id, Schedule(action=action, spec=spec, policy=policy)
        )
    except ScheduleAlreadyRunningError:  # it is there already
        return site.client.get_schedule_handle(id)


async def retention(client: Client) -> timedelta:
    """How long the server keeps a workflow run after its end."""
    request = DescribeNamespaceRequest(namespace=client.namespace)
    about = await client.workflow_service.describe_namespace(request)
    return about.config.workflow_execution_retention_ttl.ToTimedelta()


async def erase(client: Client, conversation: str) -> list[str]:
    """Asks the server to delete a conversation. Returns the id of each workflow run that it found.

    This also ends a run that is still open. The server works in the background, and its list of
    workflows may lag behind. So a job does this again, until it finds nothing.
    """
    # An id may contain a quote, so the query could match other conversations. Check each result before deleting it.
    query = f"RootWorkflowId = '{conversation}'"
    listed = client.list_workflows(query)
    found = [one async for one in listed if one.root_id == conversation]
    for one in found:
        request = DeleteWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=one.id, run_id=one.run_id),
        )
        await client.workflow_service.delete_workflow_execution(request)
    return sorted(one.id for one in found)
