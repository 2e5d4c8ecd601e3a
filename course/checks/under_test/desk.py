"""Juniper's desk. An agent answers; code records, tells, reminds, and pays what a person has approved."""

import asyncio
from datetime import timedelta
from typing import Any

from agents import Agent, AgentsException, Runner, TResponseInputItem, function_tool
from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError
from temporalio.openai_agents import AgentsWorkflowError

with workflow.unsafe.imports_passed_through():
    from effects import pay_refund, price_of, save_turn, send_mail

PATIENCE = timedelta(days=30)
RETRIES = RetryPolicy(maximum_interval=timedelta(minutes=10))  # until it succeeds
BOUNDS: Any = {"start_to_close_timeout": timedelta(seconds=5), "retry_policy": RETRIES}
SORRY = "I am sorry, I could not answer this. Please try again."


async def do(step: Any, *args: Any) -> Any:
    return await workflow.execute_activity(step, args=args, **BOUNDS)


@workflow.defn
class Desk:
    @workflow.init
    def __init__(self, customer: str) -> None:
        self.customer, self.id = customer, workflow.info().workflow_id
        tools = [function_tool(self.request_refund)]
        self.agent = Agent(name="Juniper", instructions="You answer customers.", tools=tools)
        self.memory: list[TResponseInputItem] = []
        self.asked: dict[str, int] = {}  # refunds that wait for a person: order and cents
        self.turns, self.lock, self.closed = 0, asyncio.Lock(), False
        self.duties: list[asyncio.Task[None]] = []
        self.reminder: asyncio.Task[None] | None = None

    @workflow.run
    async def run(self, customer: str) -> int:
        await workflow.wait_condition(lambda: self.closed and workflow.all_handlers_finished())
        self.stop_reminder()
        await asyncio.gather(*self.duties)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self.turns

    @workflow.update
    async def send(self, text: str) -> str:
        async with self.lock:
            self.stop_reminder()
            self.turns += 1
            key = f"{self.id}/turn-{self.turns}"
            answer = await self.answer(text)
            await do(save_turn, key, self.customer, text, answer)
            notice = do(send_mail, f"{key}/notice", "team", f"{self.customer}: {text}")
            self.duties.append(asyncio.create_task(notice))
            self.reminder = asyncio.create_task(self.remind(f"{key}/reminder"))
            return answer

    @send.validator
    def check(self, text: str) -> None:
        if self.closed or not text.strip():
            raise ValueError("The conversation is closed." if self.closed else "The message is blank.")

    async def answer(self, text: str) -> str:
        try:
            result = await Runner.run(self.agent, [*self.memory, {"role": "user", "content": text}])
        except (AgentsException, AgentsWorkflowError, ActivityError):
            return SORRY
        self.memory = result.to_input_list()
        return str(result.final_output)

    async def request_refund(self, order: str) -> str:
        """Asks for the refund of an order. A person decides."""
        cents = await do(price_of, self.customer, order)
        if cents is None:
            return "This customer has no such order."
        self.asked[order] = cents
        return "A person will decide."

    @workflow.update
    async def decide(self, order: str, approved: bool) -> str:
        cents = self.asked.pop(order, None)  # the first decision counts
        if cents is None:
            return "Nothing waits for a decision."
        if approved:
            await do(pay_refund, f"refund-{order}", self.customer, cents)
        return "Paid." if approved else "Refused."

    async def remind(self, key: str) -> None:
        await workflow.sleep(PATIENCE)
        await do(send_mail, key, self.customer, "Can we do anything else for you?")

    def stop_reminder(self) -> None:
        if self.reminder:
            self.reminder.cancel()

    @workflow.signal
    def close(self) -> None:
        self.closed = True
