"""Exercise 13: a reminder that is cancelled by an answer."""

import ast
import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from temporalio.client import WorkflowExecutionStatus

from course.checks.talking import NoReply, Stuck, Talk, lab_for, line_of, own_part, workflow_class
from course.checks.verdict import NotYet, quoted, require
from course.checks.waiting import on_this_machine
from course.lab import LabError
from course.models import OfflineModel

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
FIRST = "What pot does a Ficus need?"
SECOND = "It is a small one, from last spring."
THIRD = "And it stands by the window."
BEGINS_A_TASK = ("create_task", "ensure_future")
WATCHES = (
    "self.duties",
    "add_done_callback",
    ".exception()",
    ".result()",
    "asyncio.gather(",
    "asyncio.wait(",
)
THANKS = "Thanks!"
"""Its reply asks nothing."""


async def check(module: Any) -> str:
    desk = workflow_class(module, "PatientDesk")
    _keeps_its_tasks(module)
    async with lab_for(module, [desk], OfflineModel()) as lab:

        async def asks(name: str) -> Customer:
            return await Customer(await lab.converse(desk, name), lab).asks()

        await _never_answered(await asks("Ada"))  # alone: it says what is missing altogether
        scenes = {"Ben": _just_before, "Cleo": _just_after, "Dora": _twice, "Gus": _thanked, "Fay": _closed}

        async def played(name: str) -> None:
            await scenes[name](await asks(name))

        await _together(*(played(name) for name in scenes))
        await _while_the_mail_is_down(*await _together(*map(asks, ("Emil", "Hedi", "Ida"))))
        await _while_the_model_is_down(*await _together(*map(asks, ("Jan", "Kim"))))
    return """A customer who did not answer was reminded once, two days after each reply, even when the mail server was
        down at that time. Answered just before, just after, twice, and while the mail server or the model was down:
        nothing was sent after an answer, and the timers are canceled on record. Closed in silence, during a turn, and
        while a mail was being tried again, the conversation ended at once, and reminded nobody."""


def _keeps_its_tasks(module: Any) -> None:
    """A task that nobody awaits or watches keeps its errors to itself, and is not waited for."""
    source = Path(module.__file__).read_text(encoding="utf-8")
    nodes = list(ast.walk(ast.parse(source)))
    watched = any(isinstance(node, ast.Await) and not isinstance(node.value, ast.Call) for node in nodes)
    line = line_of(module, lambda node: getattr(node, "attr", getattr(node, "id", "")) in BEGINS_A_TASK)
    if line and not watched and not any(word in source for word in WATCHES):
        raise NotYet(f"""Line {line} begins a task that nobody keeps an eye on: an error in it would reach nobody, and
            until_closed would not wait for it. self.later begins a duty: it tells `run` of an error, and is waited
            for.""")


async def _together(*scenes: Awaitable[Any]) -> list[Any]:
    """Conversations side by side: each has its own clock. Of several that fail, the first one speaks."""
    results = await asyncio.gather(*scenes, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


class Customer(Talk):
    """Somebody who has asked, and what the desk sends them."""

    @property
    def mails(self) -> int:
        name = self.id.split("-")[0].title()
        return int(self.lab.inbox().text.str.contains(name, regex=False).sum())

    async def asks(self) -> "Customer":
        try:
            await self.says(FIRST)
        except NoReply as error:
            asks = "Does the reply wait for the reminder? self.later begins a duty beside it."
            raise NotYet(f"{error} {asks}") from None
        return self

    async def is_silent(self, duration: timedelta) -> None:
        try:
            await self.fast_forward(duration, timeout=on_this_machine(6))
            await self.stop_if_stuck()
        except LabError as error:
            await self.stop_if_stuck()
            ended = "The conversation ended although nobody had closed it: `run` has to wait for `close`."
            if "has ended" in str(error):
                raise NotYet(ended) from None
            raise NotYet("""The conversation's clock cannot be moved: an activity is running, and holds it. An activity
                that waits for days also keeps a place in its worker, and starts again when that dies. A timer of the
                workflow occupies nothing.""") from None

    async def timers(self) -> pd.Series:
        """How many timers were started, fired and canceled."""
        events = await self.events()
        kinds = ("TimerStarted", "TimerFired", "TimerCanceled")
        return pd.Series({kind: int((events.event == kind).sum()) for kind in kinds})


async def _never_answered(ada: Customer) -> None:
    await ada.is_silent(2 * DAY - MINUTE)
    require(not ada.mails, "The reminder came before two days were over.")
    await ada.is_silent(2 * MINUTE)
    if not ada.mails:
        await _no_reminder(ada)
    await ada.is_silent(9 * DAY)
    mails = ada.mails
    if mails != 1:
        raise NotYet(f"Nobody answered for eleven days, and {mails} reminders were sent. One was asked for.")
    mail = await ada.rows("send_notification")
    if len(mail) != 1:
        raise NotYet(f"One mail was delivered, and send_notification ran {len(mail)} times. Once is enough.")
    key = mail.input.iloc[0][0]
    if not str(key).startswith(f"{ada.id}/turn-1"):
        raise NotYet(f"""The reminder's key is {key!r}, which does not name the turn that it is about. A second reminder
            under it would be taken for a repeat. self.key names the turn: take it before another turn begins.""")
    await ada.says(SECOND)
    await ada.is_silent(2 * DAY + MINUTE)
    if ada.mails != 2:
        raise NotYet("""The customer came back after eleven days, got a reply, and was silent again: no second reminder
            was delivered. Each reply waits for an answer of its own, and its reminder needs a key of its own.""")


async def _no_reminder(ada: Customer) -> None:
    """Says what is missing."""
    silent = "Nobody answered for two days,"
    require(ada.lab.inbox().empty, "A reminder came without the customer's name (self.customer) in its text.")
    require((await ada.timers()).TimerStarted, f"{silent} and there is no timer on record and no mail.")
    # A duty that has ended with an error says so when `run` comes back to it: at the latest when it is closed.
    try:
        await ada.ends()
    except Stuck:
        raise
    except NotYet:
        pass  # that it does not end is not what is asked here
    if (await ada.timers()).TimerFired and (await ada.rows("send_notification")).empty:
        raise NotYet(f"""{silent} the timer fired, and nothing runs send_notification after it. Is it `await
            self.duty(…)`: without its await, nothing starts.""")
    raise NotYet(f"{silent} a timer is on record, and no mail was delivered.")


async def _just_before(ben: Customer) -> None:
    await ben.is_silent(2 * DAY - MINUTE)
    await ben.says(SECOND)
    await ben.is_silent(DAY)
    early = "The customer answered a minute before the two days were over, and was reminded all the same."
    require(not ben.mails, early)
    timers = await ben.timers()
    if not timers.TimerCanceled:
        raise NotYet(f"""A reply was answered a minute before its deadline, and its timer is not canceled on record:
            {timers.TimerStarted} started, {timers.TimerFired} fired. It fires for nothing, and a conversation that is
            closed waits for it. Cancel the task that sleeps.""")
    await ben.is_silent(DAY + MINUTE)
    if ben.mails != 1:
        raise NotYet("""The customer answered once, then was silent for two days, and was not reminded: the answer
            cancels the reminder of the reply before it, and the new reply waits for an answer again.""")


async def _just_after(cleo: Customer) -> None:
    await cleo.is_silent(2 * DAY + MINUTE)
    await cleo.says(SECOND)
    await cleo.says(THIRD)
    await cleo.is_silent(2 * DAY - MINUTE)
    if (mails := cleo.mails) != 1:
        raise NotYet(f"""The customer was reminded, then answered: {mails} mails were delivered within two days of the
            answer, instead of one.""")


async def _twice(dora: Customer) -> None:
    await dora.is_silent(DAY)
    both = [dora.begin(text) for text in (SECOND, THIRD)]  # at once
    for reply in both:
        await reply
    await dora.is_silent(DAY + MINUTE)
    if dora.mails:
        raise NotYet("""The customer answered after a day, twice, and was reminded on the next day all the same: a timer
            of an earlier reply was still running.""")
    await dora.is_silent(DAY)
    if (mails := dora.mails) != 1:
        raise NotYet(f"""The customer answered twice at once, then was silent for two days: {mails} reminders were sent,
            instead of one. Only the last reply waits for an answer.""")


async def _thanked(gus: Customer) -> None:
    reply = await gus.says(THANKS)
    await gus.is_silent(2 * DAY + MINUTE)
    if not gus.mails:
        raise NotYet(f"""The reply {quoted(reply)} asks nothing, the customer was silent for two days after it, and was
            not reminded. This desk reminds after every reply, whatever is in it.""")


async def _closed(fay: Customer) -> None:
    await fay.is_silent(DAY)
    await fay.ends("""The conversation was closed while a reminder was waiting, and it does not end:
        until_closed waits for every duty. When `close` has come, cancel the reminder first.""")
    require(not fay.mails, "The customer closed the conversation, and was reminded to answer.")


async def _while_the_mail_is_down(emil: Customer, hedi: Customer, ida: Customer) -> None:
    """Emil answers, Hedi is silent, Ida closes."""
    with await emil.lab.outage("mail"):
        await _together(*(one.is_silent(2 * DAY + HOUR) for one in (emil, hedi, ida)))
        await emil.says(SECOND)
        closing = ida.ends("""The conversation was closed while its reminder was being tried again, and it
            does not end before that is delivered: until_closed waits for every duty. `close` has to cancel
            the reminder whatever it is doing, and not only its timer.""")
        [held_up] = await asyncio.gather(closing, return_exceptions=True)
    await _together(emil.is_silent(5 * HOUR), hedi.is_silent(5 * HOUR))
    down = "The mail server was down when the reminder was due,"
    if emil.mails:
        raise NotYet(f"""{down} the customer answered, and the mail server came back: the reminder was delivered after
            {quoted(SECOND)} The timer was over, and send_notification was being tried again: the answer has to cancel
            that, too.""")
    if held_up:
        raise held_up
    if hedi.mails != 1:
        raise NotYet("""The mail server was down for an hour when the reminder was due. The customer was silent, and was
            not reminded when the mail server was back. An outage is no reason to give up: the policy BACKGROUND tries
            again for three days.""")
    if ida.mails:
        raise NotYet(f"""{down} the customer closed the conversation, and the mail server came back: somebody who had
            closed it was reminded to answer.""")
    await emil.is_silent(2 * DAY)
    if not emil.mails:
        raise NotYet(f"""{down} the customer answered, then was silent for two days: the new reply's reminder was not
            delivered.""")


async def _while_the_model_is_down(jan: Customer, kim: Customer) -> None:
    """Both answer, and Kim closes."""
    await jan.is_silent(2 * DAY - MINUTE)
    with await jan.lab.outage("model"):
        replies = [one.begin(SECOND) for one in (jan, kim)]
        await jan.is_silent(3 * MINUTE)
        await kim.events()  # quiet: the message is on record, and the model is being tried again
        await kim.handle.signal("close")
    await jan.is_silent(2 * MINUTE)
    if jan.mails:
        raise NotYet("""The customer answered a minute before the two days were over, the model was down for three
            minutes, and the reminder was sent while the customer waited for a reply. The answer has come when `turn`
            begins: cancel the reminder there, before `self.answer`.""")
    try:
        await kim.fast_forward(HOUR, timeout=on_this_machine(6))
    except LabError as error:
        if "has ended" not in str(error):
            raise NotYet(own_part(str(error))) from None
    if await kim.status() == WorkflowExecutionStatus.RUNNING:
        await kim.stop_if_stuck()
        raise NotYet("""The conversation was closed while a turn waited for the model. The turn came to its end, and an
            hour later the conversation has not ended: a reminder that begins after `close` holds it up.
            `self._closing` says whether `close` has come.""")
    for reply in replies:
        try:
            await reply
        except LabError as error:
            raise NotYet(f"The model was down during a turn. {own_part(str(error))}") from None
