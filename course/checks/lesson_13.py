"""Exercise 13: a reminder that is cancelled by an answer."""

from datetime import timedelta
from typing import Any

import pandas as pd

from course.checks.talking import Stuck, close, lab_for, quoted, say, workflow_class
from course.checks.verdict import NotYet
from course.lab import Conversation, Lab, LabError
from course.models import OfflineModel

TITLE = "A reminder that an answer cancels"

STARTER = """\
from datetime import timedelta

from agents import Agent
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from course import activities
from course.workflows.duties import DutifulConversation
from course.workflows.plain import INSTRUCTIONS
from course.workflows.policies import BACKGROUND

PATIENCE = timedelta(days=2)


@workflow.defn
class PatientDesk(DutifulConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(Agent(name="Juniper", instructions=INSTRUCTIONS))
        self.customer = customer

    @workflow.run
    async def run(self, customer: str) -> int:
        await workflow.wait_condition(lambda: self._closing)
        # TODO: who has closed the conversation is not reminded
        # until_closed waits for every duty that self.later has begun
        return await self.until_closed()

    async def turn(self, text: str) -> str:
        answer = await self.answer(text)
        # TODO: after PATIENCE without another message, one send_notification by
        # email, with the customer's name in its text, under a key made of self.key,
        # with **BACKGROUND. The reply must not wait for it.
        return answer.text
"""

HINTS = (
    "`workflow.sleep(PATIENCE)` is a durable timer. In a method of its own, begun with `self.later(self.remind(self.key))`, "
    "it runs beside the conversation; `self.duty(activities.send_notification, args, BACKGROUND)` sends the mail.",
    "`self.later` returns the task. Keep it, and cancel it at the beginning of the next turn: that ends its timer, on record.",
    "Cancelling the task also ends a mail that is tried again and again. A flag that is looked at once, after the timer, does "
    "not. And `run` has to cancel the task as well, when `close` has come: until_closed waits for every duty.",
)

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
FIRST = "What pot does a Ficus need?"
SECOND = "It is a small one, from last spring."
THIRD = "And it stands by the window."


async def check(module: Any) -> str:
    desk = workflow_class(module, "PatientDesk")
    async with lab_for(module, [desk], OfflineModel()) as lab:
        await _never_answered(lab, desk, module)
        await _just_before(lab, desk, module)
        await _just_after(lab, desk, module)
        await _twice(lab, desk, module)
        await _while_the_mail_is_down(lab, desk, module)
        await _closed(lab, desk, module)
    return (
        "A customer who did not answer was reminded once, two days later. Answered just before, just after, twice, "
        "and while the mail server was down: nothing was sent after an answer, and the timers are canceled on record. A "
        "conversation that was closed ended at once, and reminded nobody."
    )


def _mails(lab: Lab, customer: str) -> int:
    return int(lab.inbox().text.str.contains(customer, regex=False).sum())


async def _passes(chat: Conversation, duration: timedelta) -> None:
    try:
        await chat.fast_forward(duration, timeout=6)
    except LabError as error:
        if "has ended" in str(error):
            raise NotYet(
                "The conversation ended although nobody had closed it: `run` waits for `close`."
            ) from None
        raise NotYet(
            "The clock of the conversation cannot be moved: an activity is running, and holds it. An activity that waits for "
            "days also keeps a place in its worker, and begins anew when that dies. A timer of the workflow waits for nothing."
        ) from None


async def _timers(chat: Conversation) -> pd.Series:
    """How many timers were started, fired and canceled."""
    events = await chat.events()
    kinds = ("TimerStarted", "TimerFired", "TimerCanceled")
    return pd.Series({kind: int((events.event == kind).sum()) for kind in kinds})


async def _asked(lab: Lab, desk: type, customer: str, module: Any) -> Conversation:
    chat = await lab.converse(desk, customer)
    try:
        await say(chat, FIRST, module)
    except Stuck:
        raise
    except NotYet as error:
        raise NotYet(
            f"{error} Does the reply wait for the reminder? self.later begins a duty beside it."
        ) from None
    return chat


async def _never_answered(lab: Lab, desk: type, module: Any) -> None:
    chat = await _asked(lab, desk, "Ada", module)
    await _passes(chat, 2 * DAY - MINUTE)
    if _mails(lab, "Ada"):
        raise NotYet("The reminder came before two days were over.")
    await _passes(chat, 2 * MINUTE)
    if not _mails(lab, "Ada"):
        if len(lab.inbox()):
            raise NotYet("A reminder came without the customer's name (self.customer) in its text.")
        if not (await _timers(chat)).TimerStarted:
            raise NotYet("Nobody answered for two days, and there is no timer on record and no mail.")
        raise NotYet("Nobody answered for two days, a timer is on record, and no mail was delivered.")
    await _passes(chat, 9 * DAY)
    if (mails := _mails(lab, "Ada")) > 1:
        raise NotYet(f"Nobody answered for eleven days, and {mails} reminders were sent. One was asked for.")
    record = await chat.activities(times=True)
    mail = record[record.activity == "send_notification"]
    if len(mail) != 1:
        raise NotYet(f"One mail was delivered, and send_notification ran {len(mail)} times. Once is enough.")
    if not str(mail.input.iloc[0][0]).startswith(f"{chat.id}/turn-1"):
        raise NotYet(
            f"The reminder's key is {mail.input.iloc[0][0]!r}, which does not name the turn that it is about. A second "
            "reminder under it would be taken for a repeat. self.key names the turn: take it before another turn begins."
        )
    await say(chat, SECOND, module)
    await _passes(chat, 2 * DAY + MINUTE)
    if _mails(lab, "Ada") != 2:
        raise NotYet(
            "The customer came back after eleven days, got a reply, and was silent again: no second reminder was delivered. "
            "Each reply waits for an answer of its own, and its reminder needs a key of its own."
        )


async def _just_before(lab: Lab, desk: type, module: Any) -> None:
    chat = await _asked(lab, desk, "Ben", module)
    await _passes(chat, 2 * DAY - MINUTE)
    await say(chat, SECOND, module)
    await _passes(chat, DAY)
    if _mails(lab, "Ben"):
        raise NotYet(
            "The customer answered a minute before the two days were over, and was reminded all the same."
        )
    await _canceled(chat, "was answered a minute before its deadline")
    await _passes(chat, DAY + MINUTE)
    if _mails(lab, "Ben") != 1:
        raise NotYet(
            "The customer answered once, then was silent for two days, and was not reminded: the answer cancels the "
            "reminder of the reply before it, and the new reply waits for an answer again."
        )


async def _canceled(chat: Conversation, what: str) -> None:
    timers = await _timers(chat)
    if not timers.TimerCanceled:
        raise NotYet(
            f"A reply {what}, and its timer is not canceled on record: {timers.TimerStarted} started, "
            f"{timers.TimerFired} fired. It fires for nothing, and a conversation that is closed waits for it. Cancel the "
            "task that sleeps."
        )


async def _just_after(lab: Lab, desk: type, module: Any) -> None:
    chat = await _asked(lab, desk, "Cleo", module)
    await _passes(chat, 2 * DAY + MINUTE)
    await say(chat, SECOND, module)
    await say(chat, THIRD, module)
    await _passes(chat, 2 * DAY - MINUTE)
    if (mails := _mails(lab, "Cleo")) != 1:
        raise NotYet(
            f"The customer was reminded, then answered: {mails} mails were delivered within two days of the answer, "
            "and it had to be 1."
        )


async def _twice(lab: Lab, desk: type, module: Any) -> None:
    chat = await _asked(lab, desk, "Dora", module)
    await _passes(chat, DAY)
    both = [chat.begin(text) for text in (SECOND, THIRD)]  # at once
    for reply in both:
        await reply
    await _passes(chat, DAY + MINUTE)
    if _mails(lab, "Dora"):
        raise NotYet(
            "The customer answered after a day, twice, and was reminded on the next day all the same: a timer of an "
            "earlier reply was still running."
        )
    await _passes(chat, DAY)
    if (mails := _mails(lab, "Dora")) != 1:
        raise NotYet(
            f"The customer answered twice at once, then was silent for two days: {mails} reminders were sent, and it had "
            "to be 1. Only the last reply waits for an answer."
        )


async def _while_the_mail_is_down(lab: Lab, desk: type, module: Any) -> None:
    chat = await _asked(lab, desk, "Emil", module)
    with await lab.outage("mail"):
        await _passes(chat, 2 * DAY + timedelta(hours=1))
        await say(chat, SECOND, module)
    await _passes(chat, timedelta(hours=5))
    if _mails(lab, "Emil"):
        raise NotYet(
            "The mail server was down when the reminder was due, the customer answered, and the mail server came back: "
            f"the reminder was delivered after {quoted(SECOND)}. The timer was over, and send_notification was being tried "
            "again: the answer has to cancel that, too."
        )
    await _passes(chat, 2 * DAY)
    if not _mails(lab, "Emil"):
        raise NotYet(
            "The mail server was down for an hour, and after it nobody was reminded any more. An outage is no "
            "reason to give up: **BACKGROUND has the retries."
        )


async def _closed(lab: Lab, desk: type, module: Any) -> None:
    chat = await _asked(lab, desk, "Fay", module)
    await _passes(chat, DAY)
    try:
        await close(chat, module)
    except Stuck:
        raise
    except NotYet:
        raise NotYet(
            "The conversation was closed while a reminder was waiting, and it does not end: until_closed waits for every "
            "duty. When `close` has come, cancel the reminder first."
        ) from None
    if _mails(lab, "Fay"):
        raise NotYet("The customer closed the conversation, and was reminded to answer.")
