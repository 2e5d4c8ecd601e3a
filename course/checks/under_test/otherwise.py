"""The same promises, kept by other code: another hand wrote this desk. A good suite cannot tell it from desk.py."""

from asyncio import CancelledError, Lock, Task, create_task
from datetime import timedelta

import agents
from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.openai_agents import AgentsWorkflowError

with workflow.unsafe.imports_passed_through():
    import effects

PATIENCE = timedelta(weeks=4, days=2)
SORRY = "Sorry, that did not work. Please ask me again, or ask for a colleague."
HOW = {"start_to_close_timeout": timedelta(seconds=8)}


@workflow.defn(name="Desk")
class Desk:
    @workflow.init
    def __init__(self, customer: str) -> None:
        self._who = customer
        self._said: list[agents.TResponseInputItem] = []
        self._open: dict[str, int] = {}
        self._count, self._over = 0, False
        self._one_at_a_time = Lock()
        self._running: set[Task[None]] = set()
        self._alarm: Task[None] | None = None

    @workflow.signal
    async def close(self) -> None:
        self._over = True

    @workflow.run
    async def run(self, customer: str) -> int:
        await workflow.wait_condition(lambda: self._over)
        await workflow.wait_condition(workflow.all_handlers_finished)
        self._quiet()
        while self._running:
            await workflow.wait(list(self._running))
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._count

    @workflow.update(name="send")
    async def send(self, text: str) -> str:
        await self._one_at_a_time.acquire()
        try:
            self._quiet()
            self._count += 1
            number = self._count
            reply = await self._ask(text)
            row = [f"turn {number} of {workflow.info().workflow_id}", self._who, text, reply]
            await workflow.execute_activity("save_turn", args=row, **HOW)
            self._alarm = create_task(self._wait_for_an_answer(number))
            told = create_task(self._mail("team", f"New from {self._who}: {text}", f"team, turn {number}"))
            self._running.add(told)
            told.add_done_callback(self._running.discard)
            return reply
        finally:
            self._one_at_a_time.release()

    @send.validator
    def still_open(self, text: str) -> None:
        if self._over:
            raise ApplicationError("It is over. Please start another conversation.")
        if text.isspace() or text == "":
            raise ApplicationError("Please write something.")

    @workflow.update(name="decide")
    async def decide(self, order: str, approved: bool) -> str:
        if order not in self._open:
            return "There is nothing to decide."
        cents = self._open[order]
        del self._open[order]
        if not approved:
            return "It stays with us."
        args = [f"order {order}", self._who, cents]
        await workflow.execute_activity(effects.pay_refund, args=args, **HOW)
        return "It was paid."

    async def _ask(self, text: str) -> str:
        async def request_refund(order: str) -> str:
            """Ask for a refund. Somebody will look at it."""
            cents = await workflow.execute_activity("price_of", args=[self._who, order], **HOW)
            if cents is not None:
                self._open[order] = cents
            return "Not an order of this customer." if cents is None else "Somebody will look at it."

        agent = agents.Agent(name="Desk", tools=[agents.function_tool(request_refund)])
        said = [*self._said, {"role": "user", "content": text}]
        try:
            result = await agents.Runner.run(agent, said)
        except (ActivityError, AgentsWorkflowError, agents.AgentsException):
            return SORRY
        self._said = result.to_input_list()
        return f"{result.final_output}"

    async def _mail(self, receiver: str, text: str, key: str) -> None:
        args = [f"{workflow.info().workflow_id}: {key}", receiver, text]
        await workflow.execute_activity(effects.send_mail, args=args, **HOW)

    async def _wait_for_an_answer(self, number: int) -> None:
        try:
            await workflow.sleep(PATIENCE)
        except CancelledError:
            return
        await self._mail(self._who, "Is there anything else?", f"reminder, turn {number}")

    def _quiet(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
