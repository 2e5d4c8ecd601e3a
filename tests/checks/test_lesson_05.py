"""Answers to exercise 05, and what its check says to each."""

from tests.checks.answers import *

SAVE_DUTY = "self.duty(activities.save_to_database, [self.key, record], RECORD)"
MAIL_DUTY = "self.duty(mail_the_team, [self.key, text], NOTICE)"
SAVE, MAIL = f"self.later({SAVE_DUTY})", f"self.later({MAIL_DUTY})"
BY_THE_HOUR = "maximum_interval=timedelta(hours=1)"
BY_TEN_MINUTES = "RetryPolicy(maximum_interval=timedelta(minutes=10))"
FIVE_DAYS = "schedule_to_close_timeout=timedelta(days=5)"
REFUSED = ', non_retryable_error_types=["Refused"]'


def one_by_one(*duties: str) -> tuple[Change, ...]:
    """Behind the reply, one duty waits for the other."""
    both = ("key = self.key", *(f"await {duty.replace('self.key', 'key')}" for duty in duties))
    return (
        (SAVE, "self.later(self.both(record, text))"),
        instead(MAIL),
        before(
            "async def turn(",
            "async def both(self, record: activities.TurnRecord, text: str) -> None:",
            *(f"    {line}" for line in both),
            "",
        ),
    )


def limited(**days_or_hours: int) -> Change:
    """The record is given up after so long."""
    [(unit, number)] = days_or_hours.items()
    return after(BY_TEN_MINUTES, f"schedule_to_close_timeout=timedelta({unit}={number}),")


STARTER = "got no reply: `turn` waits for save_to_database"

WRONG = {
    "the mail before the reply": (
        "The mail server was down, and “Where do I put my palm?” got no reply: `turn` waits for mail_the_team",
        (MAIL, MAIL.replace("self.later(", "await (")),
    ),
    "the record before the reply": (
        "`turn` waits for save_to_database",
        (SAVE, SAVE.replace("self.later(", "await (")),
    ),
    "the default's longest pause": (
        "a night (8 hours) without database is 294 attempts for one message: its longest pause is 100 seconds",
        (BY_TEN_MINUTES, "RetryPolicy()"),
    ),
    "pauses of a day": (
        "2 hours after the mail server is back, mail_the_team may still wait: after a day (24 hours) without it the pause "
        "between two attempts is",
        (BY_THE_HOUR, "maximum_interval=timedelta(days=1)"),
    ),
    "ten attempts": (
        "save_to_database was given up after 10 attempts, and nobody tries it again: maximum_attempts=10 ended it",
        (BY_TEN_MINUTES, "RetryPolicy(maximum_attempts=10)"),
    ),
    "an hour for everything": (
        "nobody tries it again: schedule_to_close_timeout, 1 hour, ended it",
        limited(hours=1),
    ),
    "the wrong error is not retried": (
        "mail_the_team was given up after 1 attempt, and nobody tries it again: non_retryable_error_types, or an "
        "activity that calls it non_retryable, ended it",
        ('["Refused"]', '["Refused", "SMTPRecipientsRefused"]'),
    ),
    "the record has a limit": ("your RECORD ends after 2 days: a longer outage loses rows", limited(days=2)),
    "the mail has no limit": (
        "What ends a mail that cannot be sent? With your NOTICE: nothing",
        instead(FIVE_DAYS),
    ),
    "half an hour is too late for the record": (
        "15 minutes after the database is back, save_to_database may still wait",
        (BY_TEN_MINUTES, "RetryPolicy(maximum_interval=timedelta(minutes=30))"),
    ),
    "the mail is given up when the server comes back": (
        "The mail server was down for 1 day. mail_the_team was given up after 35 attempts",
        ("timedelta(days=5)", "timedelta(days=1)"),
    ),
    "the record waits for the mail": (
        "The mail server was down, and the record of “Where do I put my palm?” was not saved",
        *one_by_one(MAIL_DUTY, SAVE_DUTY),
    ),
    "the bad address is tried again": ("SMTP 550), and mail_the_team is tried again", (REFUSED, "")),
    "the bad address is swallowed": (
        "on record mail_the_team has completed",
        (REFUSED, ""),
        instead(
            "current_services().mail",
            "try:",
            "    current_services().mail.send(task_id, subject=message, text=message)",
            "except Refused:",
            "    pass",
        ),
        ("import current_services", "import Refused, current_services"),
    ),
    "saved twice under one key": ("the record has 2 of save_to_database", after(SAVE, SAVE)),
    "no timeout at all": (
        "Give it start_to_close_timeout=…, or a policy of the desk's",
        ("    start_to_close_timeout=timedelta(seconds=10),\n    retry_policy", "    retry_policy"),
    ),
    "an attempt may hang": (
        "One attempt of mail_the_team may take 5 minutes",
        (f"seconds=10),\n    {FIVE_DAYS}", f"minutes=5),\n    {FIVE_DAYS}"),
    ),
    "ends before its duties": (
        "`run` ended, and the mail was never sent",
        ("await self.until_closed()", "await super(DutifulConversation, self).until_closed()"),
    ),
    "the mail is never sent": ("Messages: 1, mails: 0", instead(MAIL)),
}

RIGHT = {
    "the activity itself says what is final, and one duty follows the other": (
        (REFUSED, ""),
        instead(
            "current_services().mail",
            "try:",
            "    current_services().mail.send(task_id, subject=message, text=message)",
            "except Refused as error:",
            "    raise ApplicationError(str(error), non_retryable=True) from error",
        ),
        ("import current_services", "import Refused, current_services"),
        before("from temporalio.workflow import", "from temporalio.exceptions import ApplicationError"),
        *one_by_one(SAVE_DUTY, MAIL_DUTY),
    )
}

SAMPLE = {"the mail before the reply", "saved twice under one key", *RIGHT}
