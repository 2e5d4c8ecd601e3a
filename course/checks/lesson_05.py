"""Exercise 05: policies that survive outages, cost one attempt on a bad address, and keep nobody waiting."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.api.history.v1 import ActivityTaskScheduledEventAttributes
from temporalio.client import WorkflowExecutionStatus

from course.checks.talking import NoReply, Scenes, Talk, lab_for, workflow_class
from course.checks.verdict import NotYet, quoted
from course.lab import everything
from course.lab.compat import activity_definition

MOST_ATTEMPTS = 120
LONGEST_ATTEMPT = timedelta(minutes=1)


@dataclass(frozen=True)
class Duty:
    """One duty of the desk, and what the exercise asks of its policy."""

    activity: str
    policy: str
    """Its name in the reader's module."""
    service: str
    out: timedelta
    """How long the service is down, and then the same as the reader was told."""
    told: str
    soon: timedelta
    """How long after the service's return the duty has to be done."""


EIGHT_HOURS, A_DAY = timedelta(hours=8), timedelta(hours=24)
SOON = timedelta(minutes=15)
RECORD = Duty("save_to_database", "RECORD", "database", EIGHT_HOURS, "a night (8 hours)", SOON)
NOTICE = Duty("mail_the_team", "NOTICE", "mail server", A_DAY, "a day (24 hours)", timedelta(hours=2))
DUTIES = (RECORD, NOTICE)
WEEK = timedelta(days=7)

GOOD, NIGHT, BAD_DAY = "Is a Ficus hard to keep?", "How much light does it need?", "Where do I put my palm?"
BAD_ADDRESS, LAST = "Do you sell pots?", "Thank you, that is all."


async def check(module: Any) -> str:
    desk = workflow_class(module, "PatientDesk")
    mail = getattr(module, NOTICE.activity, None)
    if activity_definition(mail) is None:
        raise NotYet("""There is no activity mail_the_team in your cell. Leave it as it is: the check looks
            for it.""")
    async with lab_for(module, [desk], Scenes(), [*everything.activities(), mail]) as lab:
        chat = await lab.converse(desk, "ada")
        await chat.says(GOOD)
        await _is_done(chat, 1, "Nothing was down")
        policies = await _recorded_policies(chat)
        await _outage(chat, policies)
        for duty in DUTIES:
            if (longest := policies[duty.activity].one_attempt) > LONGEST_ATTEMPT:
                raise NotYet(f"""One attempt of {duty.activity} may take {spoken(longest)}. A {duty.service}
                    that takes the connection and says nothing holds it for that long: start_to_close_timeout
                    is at most a minute.""")
        await _bad_address(chat)
        await _the_end(chat)
    return f"""the database was down for {spoken(RECORD.out)} and the mail server for {spoken(NOTICE.out)}; nobody
        waited, and every row and every mail came. The bad address cost one attempt. The record is never given up; the mail is, after
        {spoken(policies[NOTICE.activity].all_attempts)}."""


class Policy:
    """An activity's policy as its history records it. No time: no limit."""

    def __init__(self, scheduled: ActivityTaskScheduledEventAttributes) -> None:
        self.one_attempt = scheduled.start_to_close_timeout.ToTimedelta()
        self.all_attempts = scheduled.schedule_to_close_timeout.ToTimedelta()
        self.attempts = scheduled.retry_policy.maximum_attempts
        self.first = scheduled.retry_policy.initial_interval.ToTimedelta()
        self.factor = scheduled.retry_policy.backoff_coefficient
        self.longest = scheduled.retry_policy.maximum_interval.ToTimedelta()

    def within(self, outage: timedelta) -> tuple[int, timedelta]:
        """How often a service that is down so long is asked, and the pause between two attempts at its end."""
        at, pause, count = timedelta(0), self.first, 1
        while at + pause <= outage and count < 1_000_000:
            at, count, pause = at + pause, count + 1, min(pause * self.factor, self.longest)
        return count, pause


async def _recorded_policies(chat: Talk) -> dict[str, Policy]:
    field, events = "activity_task_scheduled_event_attributes", (await chat.history()).events
    asked_for = [getattr(event, field) for event in events if event.HasField(field)]
    return {one.activity_type.name: Policy(one) for one in asked_for}


async def _is_done(chat: Talk, messages: int, happened: str) -> None:
    """Every message has its row and its mail."""
    await chat.activities()  # once they are quiet
    for what, done in (("rows", len(chat.lab.table("turns"))), ("mails", len(chat.lab.inbox()))):
        if done != messages:
            raise NotYet(f"""{happened}. Messages: {messages}, {what}: {done}. Each message has a row and a mail. Is
                there a duty that is neither awaited nor handed to `self.later(…)`? It never starts.""")
    for duty in DUTIES:
        if (asked := len(await chat.rows(duty.activity))) > messages:
            raise NotYet(f"""{happened}. Messages: {messages}, and the record has {asked} of {duty.activity}. The key
                keeps the effect at one for each message, but the second activity still costs attempts and events, and
                has to live through an outage, too. Ask for it once.""")


async def _outage(chat: Talk, policies: dict[str, Policy]) -> None:
    """The database is down for a night, then the mail server for a day: one at a time tells which one it waits for."""
    for duty, message in ((RECORD, NIGHT), (NOTICE, BAD_DAY)):
        with await chat.lab.outage(duty.service.split()[0], hours=duty.out / timedelta(hours=1)):
            await _answered_at_once(chat, duty, message)
            _keeps_the_pace(duty, policies[duty.activity])
            if duty is NOTICE:
                await chat.activities()  # once they are quiet
                if message not in set(chat.lab.table("turns").message):
                    raise NotYet(f"""The mail server was down, and the record of {quoted(message)} was not
                        saved: it waits for the mail, up to a week. Duties that do not depend on each other
                        should not wait for each other.""")
            await chat.fast_forward(duty.out + duty.soon)
            await _came_through(chat, duty, policies[duty.activity])
    await _is_done(chat, 3, "Database and mail server are back")
    record, notice = policies[RECORD.activity], policies[NOTICE.activity]
    if record.all_attempts or record.attempts:
        limit = spoken(record.all_attempts) if record.all_attempts else f"{record.attempts} attempts"
        raise NotYet(f"""This night went well, and your RECORD ends after {limit}: a longer outage loses rows.
            A record is never given up, so its policy has neither schedule_to_close_timeout nor
            maximum_attempts.""")
    if not notice.all_attempts or notice.all_attempts > WEEK:
        after = spoken(notice.all_attempts) if notice.all_attempts else "nothing, ever"
        raise NotYet(f"""What ends a mail that cannot be sent? With your NOTICE: {after}. A mail server that
            is gone for good would keep conversations open for ever: give it up after at most a week, with
            schedule_to_close_timeout.""")
    if notice.all_attempts < NOTICE.out + NOTICE.soon:
        raise NotYet(f"""Your NOTICE is given up after {spoken(notice.all_attempts)}. The mail server may be
            down for {NOTICE.told}, and the next attempt comes one pause later.""")


async def _answered_at_once(chat: Talk, duty: Duty, message: str) -> None:
    try:
        await chat.says(message)
    except NoReply:
        pending = await chat.pending()
        waits = pending[pending["last failure"].notna()]
        if duty.activity not in set(waits.activity):
            raise
        raise NotYet(f"""The {duty.service} was down, and {quoted(message)} got no reply: `turn` waits for
            {duty.activity}, and the customer for `turn`. Which of your two duties does a customer have to
            wait for?""") from None


def _keeps_the_pace(duty: Duty, policy: Policy) -> None:
    """The service is not hammered while it is down, and the duty is done soon after."""
    attempts, pause = policy.within(duty.out)
    if attempts > MOST_ATTEMPTS and not policy.attempts:
        raise NotYet(f"""With your {duty.policy}, {duty.told} without {duty.service} is {attempts:,} attempts
            for one message: its longest pause is {spoken(policy.longest)}. {MOST_ATTEMPTS} are enough:
            choose a longer maximum_interval.""")
    if pause > duty.soon and not policy.attempts:
        raise NotYet(f"""{spoken(duty.soon)} after the {duty.service} is back, {duty.activity} may still
            wait: after {duty.told} without it the pause between two attempts is {spoken(pause)}. Nobody
            tells it that the service is back, so it can be late by maximum_interval.""")


async def _came_through(chat: Talk, duty: Duty, policy: Policy) -> None:
    rows = await chat.rows(duty.activity)
    lost = rows[rows.status.isin(["failed", "timed out"])]
    if len(lost):
        attempts = int(lost.attempts.iloc[0])
        limit = (
            f"maximum_attempts={policy.attempts}"
            if policy.attempts
            else f"schedule_to_close_timeout, {spoken(policy.all_attempts)},"
            if policy.all_attempts and attempts > 1
            else "non_retryable_error_types, or an activity that calls it non_retryable,"
        )
        raise NotYet(f"""The {duty.service} was down for {spoken(duty.out)}. {duty.activity} was given up after {attempts}
            attempt{"s" * (attempts > 1)}, and nobody tries it again: {limit} ended it.""")


async def _bad_address(chat: Talk) -> None:
    """The mail server is there, and refuses the address for good."""
    with await chat.lab.outage("mail", permanent=True):
        await chat.says(BAD_ADDRESS)
        row = (await chat.rows(NOTICE.activity)).iloc[-1]
    if row.status == "pending":
        raise NotYet("""The mail server refused the address for good (SMTP 550), and mail_the_team is tried
            again: its error, Refused, is retried like any other. Say in NOTICE that it is not worth a second attempt.""")
    if row.status == "completed":
        raise NotYet("""The mail server refused the address for good (SMTP 550), and on record mail_the_team has completed:
            a reader takes the mail for sent. Let the activity fail, after one attempt: then the record says that nobody
            was told.""")
    if len(chat.lab.table("turns")) != 4:
        raise NotYet("The address was refused for good, and the record of that message is missing.")


async def _the_end(chat: Talk) -> None:
    """The conversation is closed while a mail still waits."""
    await chat.lab.outage("mail", hours=1)
    await chat.says(LAST)
    await chat.handle.signal("close")
    await chat.activities()
    ended = await chat.status() != WorkflowExecutionStatus.RUNNING
    if not ended:
        await chat.fast_forward(timedelta(hours=1) + NOTICE.soon)
    if ended or await chat.status() != WorkflowExecutionStatus.COMPLETED:
        what = "ended, and the mail was never sent" if ended else "has not ended, though the server is back"
        raise NotYet(f"""The conversation was closed while a mail waited for its mail server. `run` {what}: it ends
            when no duty is left.""")
    if len(chat.lab.inbox()) != 4:
        raise NotYet("""The conversation was closed while a mail waited for its mail server, and the mail
            never came.""")


def spoken(time: timedelta) -> str:
    """A duration as a person would say it."""
    seconds = time.total_seconds()
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length and seconds % length == 0:
            count = int(seconds // length)
            return f"{count} {unit}{'s' * (count > 1)}"
    return f"{seconds:g} second{'s' * (seconds != 1)}"
