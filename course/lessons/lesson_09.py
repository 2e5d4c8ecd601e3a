"""Lesson 09: a small desk that is changed while customers talk to it, in five versions, and one that asks twice, in two.

Every version of one has the same name for Temporal, `GrowingWorkflow` say: a worker runs one of them at a time.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.openai_agents.workflow import activity_as_tool
from temporalio.workflow import ActivityConfig

with workflow.unsafe.imports_passed_through():
    from course.desk import activities
    from course.desk.activities import Customer
    from course.desk.answering import Answer
    from course.desk.policies import BACKGROUND, RECORD, TOOL

from course.lessons.plain_conversation import DutifulConversation, UntilClosed, juniper


@dataclass
class Carried:
    """What a conversation takes along into a new run."""

    turns: int
    memory: list[dict[str, Any]]


class GrowingDesk(DutifulConversation):
    """What all versions have in common: the agent, a life in several runs, the steps of a turn."""

    record = RECORD
    """How the record is saved: its timeouts and retries."""

    @workflow.init
    def __init__(self, customer: str, carried: Carried | None = None) -> None:
        super().__init__(juniper(activities.look_up_order, customer=customer))
        self.customer = customer
        self._renewing = False
        if carried:
            self.turns, self._memory = carried.turns, carried.memory

    @workflow.signal
    def renew(self) -> None:
        """Goes on in a new workflow run: the same id, the same conversation, a history that begins again."""
        self._renewing = True

    @workflow.signal
    async def post(self, text: str) -> None:
        """A message whose sender does not wait for the answer. It is on record at once."""
        await self.send(text)

    async def until_closed(self) -> int:
        await workflow.wait_condition(
            lambda: self.is_idle() and (self._closing or self._renewing)
        )
        if not self._closing:
            carried = Carried(self.turns, self._memory)
            workflow.continue_as_new(args=[self.customer, carried])
        return self.turns

    async def save(self, text: str, answer: Answer) -> None:
        row = activities.TurnRecord(
            conversation=workflow.info().workflow_id,
            turn=self.turns,
            customer=self.customer,
            message=text,
            answer=answer.text,
            outcome=answer.outcome,
        )
        args = [self.key, row]
        await workflow.execute_activity(
            activities.save_to_database, args=args, **self.record
        )

    def tell_the_team(self, text: str) -> None:
        notice = f"{self.customer} wrote: {text}"
        args = [self.key, notice, "email"]
        self.later(self.duty(activities.send_notification, args, BACKGROUND))

    def learn_from(self, text: str) -> None:
        args = [self.key, [text], self.turns]
        self.later(self.duty(activities.process_batch, args, BACKGROUND))


@workflow.defn
class GrowingWorkflow(GrowingDesk):
    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> int:
        return await self.until_closed()

    async def turn(self, text: str) -> str:
        answer = await self.answer(text)
        await self.save(text, answer)
        return answer.text


@workflow.defn(name="GrowingWorkflow")
class GrowingWithNoticeWorkflow(GrowingDesk):
    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> int:
        return await self.until_closed()

    async def turn(self, text: str) -> str:
        answer = await self.answer(text)
        await self.save(text, answer)
        self.tell_the_team(text)  # new
        return answer.text


@workflow.defn(name="GrowingWorkflow")
class GrowingPatchedWorkflow(GrowingDesk):
    """The new step, under one patch id."""

    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> int:
        return await self.until_closed()

    async def turn(self, text: str) -> str:
        answer = await self.answer(text)
        await self.save(text, answer)
        if workflow.patched("tell-the-team"):
            self.tell_the_team(text)
        return answer.text


@workflow.defn(name="GrowingWorkflow")
class GrowingPerTurnWorkflow(GrowingDesk):
    """The new step, under one patch id, or under one of each turn."""

    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> int:
        return await self.until_closed()

    async def turn(self, text: str) -> str:
        answer = await self.answer(text)
        await self.save(text, answer)
        this_turn = f"tell-the-team/turn-{self.turns}"
        if workflow.patched("tell-the-team") or workflow.patched(this_turn):
            self.tell_the_team(text)
        return answer.text


@workflow.defn(name="GrowingWorkflow")
class GrowingRewordedWorkflow(GrowingPerTurnWorkflow):
    """The same steps in the same order, with another prompt, model and timeout, and one more tool."""

    record = ActivityConfig(start_to_close_timeout=timedelta(seconds=60))

    @workflow.init
    def __init__(self, customer: str, carried: Carried | None = None) -> None:
        super().__init__(customer, carried)
        self.agent.instructions = "You sell plants. Recommend one in every answer."
        self.agent.model = "a-smaller-model"
        check_stock = activity_as_tool(activities.check_stock, **TOOL)
        self.agent.tools.append(check_stock)

    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> int:
        return await self.until_closed()


class TwoOrdersDesk(UntilClosed):
    """Looks up two orders, and then says what it knows of each."""

    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__()
        self.customer = Customer(customer)
        self.known: dict[str, str] = {}

    async def look_up(self, order_id: str) -> None:
        self.known[order_id] = await workflow.execute_activity(
            activities.look_up_order, args=[self.customer, order_id], **TOOL
        )

    @workflow.update
    async def send(self, order_id: str) -> str:
        await workflow.wait_condition(lambda: len(self.known) == 2)
        return self.known[order_id]


@workflow.defn
class TwoOrdersWorkflow(TwoOrdersDesk):
    @workflow.run
    async def run(self, customer: str) -> int:
        await self.look_up("1042")
        await self.look_up("1043")
        return await self.until_closed()


@workflow.defn(name="TwoOrdersWorkflow")
class TwoOrdersSwappedWorkflow(TwoOrdersDesk):
    @workflow.run
    async def run(self, customer: str) -> int:
        await self.look_up("1043")
        await self.look_up("1042")
        return await self.until_closed()
