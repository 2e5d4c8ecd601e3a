"""Lesson 10, the SDK's own way: a tool that needs approval interrupts the agent run, which is resumed later.

The workflow keeps the state of an agent run as an object. `RunState.from_json` rebuilds it from text. But an agent
run that is resumed from text calls its model from within the workflow, which the sandbox refuses, unless its
`RunConfig` names the model (for every agent of that run). This desk keeps the object, so it does not continue as
new while it waits for somebody.
"""

from contextlib import suppress
from datetime import timedelta
from typing import Any

from agents import RunContextWrapper, RunState
from agents.items import ToolApprovalItem
from pydantic import BaseModel, ValidationError
from temporalio import workflow
from temporalio.exceptions import ApplicationError

from course.desk.answering import Answer, ask
from course.lessons.lesson_10.approval import (
    GIVEN_UP_AFTER,
    NOBODY,
    Request,
    Verdict,
    check_verdict,
    in_words,
    keep,
)
from course.lessons.lesson_10.asking import RefundingDesk, needs_a_person
from course.lessons.plain_conversation import conversation


class Call(BaseModel):
    """The arguments of the tool, as its schema has them."""

    order_id: str
    amount_cents: int
    reason: str


def read(item: ToolApprovalItem) -> Call | None:
    try:
        return Call.model_validate_json(item.arguments or "")
    except ValidationError:
        return None


@conversation
class NeedsApprovalWorkflow(RefundingDesk):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(customer, needs_approval=self.is_large)
        self.waiting: dict[str, tuple[RunState[Any], ToolApprovalItem]] = {}
        self.verdicts: dict[str, Verdict] = {}

    async def is_large(
        self, context: RunContextWrapper[Any], arguments: dict[str, Any], call_id: str
    ) -> bool:
        """Asked before the tool runs. The arguments are as the model wrote them, not checked yet."""
        return needs_a_person(Call.model_validate(arguments).amount_cents)

    async def dispose(self, request: Request) -> str:
        """The tool runs, so it was allowed to. Money is worth a second look, now that the types are checked."""
        verdict = self.verdicts.get(request.number)
        if needs_a_person(request.amount_cents) and (
            verdict is None or verdict.decision != "approve"
        ):
            return f"{request} is not paid: nobody has approved it."
        return await self.pay(request)

    # A person decides

    @workflow.update
    def decide(self, number: str, verdict: Verdict) -> str:
        self.verdicts[number] = verdict
        return f"{number} is {in_words(verdict)}."

    @decide.validator
    def check_decide(self, number: str, verdict: Verdict) -> None:
        if number not in self.waiting and number not in self.verdicts:
            raise ApplicationError(
                f"There is no {number[:80]!r} to decide about. These wait: "
                f"{', '.join(self.waiting) or 'none'}."
            )
        check_verdict(number, verdict, self.verdicts.get(number))

    @workflow.query
    def undecided(self) -> list[dict[str, Any]]:
        """What the approver sees: the model's calls that wait, with their arguments."""
        return [
            {"number": number, "runs": item.tool_name, "arguments": read(item)}
            for number, (_, item) in self.waiting.items()
            if number not in self.verdicts
        ]

    # A turn

    async def reply(self, text: str) -> str:
        answer = await self._without_broken_calls(await self.answer(text))
        self._memory = answer.memory
        reply = self._interrupted(answer)
        if reply:  # the agent run is paused, and the conversation goes on without it
            self._memory += [
                {"role": "user", "content": text},
                {"role": "assistant", "content": reply},
            ]
        return reply or answer.text

    async def _without_broken_calls(self, answer: Answer) -> Answer:
        """The SDK also interrupts for arguments that it cannot check. No person is asked about those."""
        while answer.outcome == "interrupted":
            broken = [item for item in answer.output.interruptions if read(item) is None]
            if not broken:
                break
            state = answer.output.to_state()
            for item in broken:
                state.reject(item, rejection_message="Nothing was paid: fix the arguments.")
            answer = await ask(self.agent, self._memory, state)
        return answer

    def _interrupted(self, answer: Answer) -> str:
        """Notes what an agent run waits for. Returns what the customer is told, or "" if it does not wait."""
        if answer.outcome != "interrupted":
            return ""
        state, told = answer.output.to_state(), []
        for item in answer.output.interruptions:
            call = read(item)
            assert call  # the others are gone
            request = self.request(
                str(item.call_id), call.order_id, call.amount_cents, call.reason
            )
            is_new = request.number not in self.waiting
            self.waiting[request.number] = state, item
            if is_new:
                self.later(self._wait_for_a_person(request))
            told.append(f"Refund {request.number} of {request} waits for a colleague.")
        return " ".join(told)

    async def _wait_for_a_person(self, request: Request) -> None:
        number, asked_at = request.number, workflow.now()
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: number in self.verdicts, timeout=timedelta(days=GIVEN_UP_AFTER)
            )
        verdict = self.verdicts.setdefault(number, NOBODY)
        await keep(request, verdict, asked_at)
        async with self._one_at_a_time:
            await self._resume(request, verdict)

    async def _resume(self, request: Request, verdict: Verdict) -> None:
        """A decision opens a turn of its own: the agent run goes on from where it stopped."""
        self.turns += 1
        turn, key = self.turns, self.key
        by = f"Refund {request.number} was {in_words(verdict)}."
        self.say(turn, "system", f"{by} {verdict.reason}".strip())
        state, item = self.waiting.pop(request.number)
        if verdict.decision == "approve":
            state.approve(item)
        else:
            state.reject(item, rejection_message=f"{request} is not paid. {verdict.reason}")
        answer = await ask(self.agent, self._memory, state)
        answer = await self._without_broken_calls(answer)
        reply = self._interrupted(answer) or answer.text
        self._memory += [{"role": "assistant", "content": f"{by} {reply}"}]
        self.say(turn, "agent", reply)
        self.save(key, turn, by, reply)
