"""Exercise 13: a reminder that is cancelled by an answer."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import pandas as pd
from temporalio.client import WorkflowExecutionStatus

from course.checks.talking import (
    Stuck,
    close,
    lab_for,
    own_part,
    quoted,
    say,
    stop_if_stuck,
    workflow_class,
)
from course.checks.verdict import NotYet
from course.lab import Conversation, Lab, LabError
from course.models import OfflineModel

TITLE = "A reminder that an answer cancels"

STARTER = """\
from datetime import timedelta

from agents import Agent
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from course.desk import activities
from course.lessons.plain_conversation import INSTRUCTIONS, DutifulConversation
from course.desk.policies import BACKGROUND

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
        # under the policy BACKGROUND. The reply must not wait for it.
        return answer.text
"""

HINTS = (
    "`workflow.sleep(PATIENCE)` is a durable timer. In a method of its own, begun with `self.later(self.remind(self.key))`, "
    "it runs beside the conversation; `self.duty(activities.send_notification, args, BACKGROUND)` sends the mail.",
    "`self.later` returns the task. Keep it, and cancel it at the beginning of the next turn: that ends its timer, on record.",
    "Cancelling the task also ends a mail that is tried again and again. A flag that is looked at once, after the timer, does "
    "not. And `run` has to cancel the task as well, when `close` has come: until_closed waits for every duty.",
)

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
FIRST = "What pot does a Ficus need?"
SECOND = "It is a small one, from last spring."
THIRD = "And it stands by the window."
THANKS = "Thanks!"
"""Its reply asks nothing."""


async def check(module: Any) -> str:
    desk = workflow_class(module, "PatientDesk")
    async with lab_for(module, [desk], OfflineModel()) as lab:
        await _never_answered(lab, desk, module)  # alone: it says what is missing altogether
        scenes = (_just_before, _just_after, _twice, _thanked, _closed)
        await _together(*(scene(lab, desk, module) for scene in scenes))
        await _while_the_mail_is_down(lab, desk, module)
        await _while_the_model_is_down(lab, desk, module)
    return (
        "Who did not answer was reminded once, two days after each reply, also when the mail server was down at that "
        "time. Answered just before, just after, twice, and while the mail server or the model was down: nothing was "
        "sent after an answer, and the timers are canceled on record. Closed in silence, during a turn, and while a mail "
        "was being tried again, the conversation ended at once, and reminded nobody."
    )


async def _together(*scenes: Awaitable[Any]) -> list[Any]:
    """Conversations side by side: each has its own clock. Of several that fail, the first one speaks."""
    results = await asyncio.gather(*scenes, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def _mails(lab: Lab, customer: str) -> int:
    return int(lab.inbox().text.str.contains(customer, regex=False).sum())


async def _passes(chat: Conversation, duration: timedelta, module: Any) -> None:
    try:
        await chat.fast_forward(duration, timeout=6)
        await stop_if_stuck(chat, module)
    except LabError as error:
        await stop_if_stuck(chat, module)
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
    await _passes(chat, 2 * DAY - MINUTE, module)
    if _mails(lab, "Ada"):
        raise NotYet("The reminder came before two days were over.")
    await _passes(chat, 2 * MINUTE, module)
    if not _mails(lab, "Ada"):
        if len(lab.inbox()):
            raise NotYet("A reminder came without the customer's name (self.customer) in its text.")
        if not (await _timers(chat)).TimerStarted:
            raise NotYet("Nobody answered for two days, and there is no timer on record and no mail.")
        await _bug_of_a_duty(chat, module)
        record = await chat.activities()
        if (await _timers(chat)).TimerFired and "send_notification" not in record.activity.to_list():
            raise NotYet(
                "Nobody answered for two days, the timer fired, and nothing runs send_notification after it. Is it "
                "`await self.duty(…)`: without its await, nothing is begun."
            )
        raise NotYet("Nobody answered for two days, a timer is on record, and no mail was delivered.")
    await _passes(chat, 9 * DAY, module)
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
    await _passes(chat, 2 * DAY + MINUTE, module)
    if _mails(lab, "Ada") != 2:
        raise NotYet(
            "The customer came back after eleven days, got a reply, and was silent again: no second reminder was delivered. "
            "Each reply waits for an answer of its own, and its reminder needs a key of its own."
        )


async def _bug_of_a_duty(chat: Conversation, module: Any) -> None:
    """Raises `Stuck` when a duty has ended with an error: a `run` that waits for `close` alone sees it when that comes."""
    try:
        await close(chat, module)
    except Stuck:
        raise
    except NotYet:
        return  # that it does not end is not what is asked here


async def _just_before(lab: Lab, desk: type, module: Any) -> None:
    chat = await _asked(lab, desk, "Ben", module)
    await _passes(chat, 2 * DAY - MINUTE, module)
    await say(chat, SECOND, module)
    await _passes(chat, DAY, module)
    if _mails(lab, "Ben"):
        raise NotYet(
            "The customer answered a minute before the two days were over, and was reminded all the same."
        )
    await _canceled(chat, "was answered a minute before its deadline")
    await _passes(chat, DAY + MINUTE, module)
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
    await _passes(chat, 2 * DAY + MINUTE, module)
    await say(chat, SECOND, module)
    await say(chat, THIRD, module)
    await _passes(chat, 2 * DAY - MINUTE, module)
    if (mails := _mails(lab, "Cleo")) != 1:
        raise NotYet(
            f"The customer was reminded, then answered: {mails} mails were delivered within two days of the answer, "
            "and it had to be 1."
        )


async def _twice(lab: Lab, desk: type, module: Any) -> None:
    chat = await _asked(lab, desk, "Dora", module)
    await _passes(chat, DAY, module)
    both = [chat.begin(text) for text in (SECOND, THIRD)]  # at once
    for reply in both:
        await reply
    await _passes(chat, DAY + MINUTE, module)
    if _mails(lab, "Dora"):
        raise NotYet(
            "The customer answered after a day, twice, and was reminded on the next day all the same: a timer of an "
            "earlier reply was still running."
        )
    await _passes(chat, DAY, module)
    if (mails := _mails(lab, "Dora")) != 1:
        raise NotYet(
            f"The customer answered twice at once, then was silent for two days: {mails} reminders were sent, and it had "
            "to be 1. Only the last reply waits for an answer."
        )


async def _thanked(lab: Lab, desk: type, module: Any) -> None:
    chat = await _asked(lab, desk, "Gus", module)
    reply = await say(chat, THANKS, module)
    await _passes(chat, 2 * DAY + MINUTE, module)
    if not _mails(lab, "Gus"):
        raise NotYet(
            f"The reply {quoted(reply)} asks nothing, the customer was silent for two days after it, and was not "
            "reminded. This desk reminds after every reply, whatever is in it."
        )


async def _closed(lab: Lab, desk: type, module: Any) -> None:
    chat = await _asked(lab, desk, "Fay", module)
    await _passes(chat, DAY, module)
    await _ends(
        chat,
        "The conversation was closed while a reminder was waiting, and it does not end: until_closed waits for every "
        "duty. When `close` has come, cancel the reminder first.",
        module,
    )
    if _mails(lab, "Fay"):
        raise NotYet("The customer closed the conversation, and was reminded to answer.")


async def _ends(chat: Conversation, otherwise: str, module: Any) -> None:
    try:
        await close(chat, module)
    except Stuck:
        raise
    except NotYet:
        raise NotYet(otherwise) from None


async def _while_the_mail_is_down(lab: Lab, desk: type, module: Any) -> None:
    chats = await _together(*(_asked(lab, desk, name, module) for name in ("Emil", "Hedi", "Ida")))
    answers, silent, closes = chats
    with await lab.outage("mail"):
        await _together(*(_passes(chat, 2 * DAY + HOUR, module) for chat in chats))
        await say(answers, SECOND, module)
        words = (
            "The conversation was closed while its reminder was being tried again, and it does not end before that is "
            "delivered: until_closed waits for every duty. `close` cancels the reminder whatever it is doing, and not "
            "its timer alone."
        )
        [held_up] = await asyncio.gather(_ends(closes, words, module), return_exceptions=True)
    await _together(*(_passes(chat, 5 * HOUR, module) for chat in (answers, silent)))
    if _mails(lab, "Emil"):
        raise NotYet(
            "The mail server was down when the reminder was due, the customer answered, and the mail server came back: "
            f"the reminder was delivered after {quoted(SECOND)}. The timer was over, and send_notification was being tried "
            "again: the answer has to cancel that, too."
        )
    if held_up:
        raise held_up
    if _mails(lab, "Hedi") != 1:
        raise NotYet(
            "The mail server was down for an hour when the reminder was due. The customer was silent, and was not "
            "reminded when the mail server was back. An outage is no reason to give up: the policy BACKGROUND tries again "
            "for three days."
        )
    if _mails(lab, "Ida"):
        raise NotYet(
            "The mail server was down when the reminder was due, the customer closed the conversation, and the mail "
            "server came back: who had closed it was reminded to answer."
        )
    await _passes(answers, 2 * DAY, module)
    if not _mails(lab, "Emil"):
        raise NotYet(
            "The mail server was down when a reminder was due, the customer answered, then was silent for two days: the "
            "new reply's reminder was not delivered."
        )


async def _while_the_model_is_down(lab: Lab, desk: type, module: Any) -> None:
    answers, closes = await _together(*(_asked(lab, desk, name, module) for name in ("Jan", "Kim")))
    await _passes(answers, 2 * DAY - MINUTE, module)
    with await lab.outage("model"):
        replies = [chat.begin(SECOND) for chat in (answers, closes)]
        await _passes(answers, 3 * MINUTE, module)
        await closes.events()  # quiet: the message is on record, and the model is being tried again
        await closes.handle.signal("close")
    await _passes(answers, 2 * MINUTE, module)
    if _mails(lab, "Jan"):
        raise NotYet(
            "The customer answered a minute before the two days were over, the model was down for three minutes, and "
            "the reminder was sent while the customer waited for a reply. The answer has come when `turn` begins: cancel "
            "the reminder there, before `self.answer`."
        )
    try:
        await closes.fast_forward(HOUR, timeout=6)
    except LabError as error:
        if "has ended" not in str(error):
            raise NotYet(own_part(str(error))) from None
    if (await closes.handle.describe()).status == WorkflowExecutionStatus.RUNNING:
        await stop_if_stuck(closes, module)
        raise NotYet(
            "The conversation was closed while a turn waited for the model. The turn came to its end, and an hour later "
            "the conversation has not ended: a reminder that begins after `close` holds it up. `self._closing` says "
            "whether `close` has come."
        )
    for reply in replies:
        try:
            await reply
        except LabError as error:
            raise NotYet(f"The model was down during a turn. {own_part(str(error))}") from None
