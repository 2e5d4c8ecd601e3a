"""Lesson 13: deadlines on the virtual clock, and what runs on a schedule."""

import asyncio
import contextlib
import logging
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from temporalio import client as temporal

from course import Lab, LabError
from course.desk.jobs import CleanupWorkflow, WeeklyReportWorkflow
from course.lab import Conversation, run_for, runs_of_schedule
from course.lessons.lesson_10.asking import AskingWorkflow
from course.lessons.lesson_13 import CarriedReminderWorkflow, RemindingWorkflow, erase, every
from tests.desks import SlipReminders
from tests.lab_helpers import accepted, attempts, renewed, requests, scheduled, task_failures, until

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
ASK, ANSWER = "Where is my order?", "1042"
INSTANCE = "temporalio.worker._workflow_instance"
"""Says so when a task fails and nobody looks."""


def reminders(lab: Lab, customer: str) -> int:
    return sum(text.startswith(f"Reminder to {customer}:") for text in lab.inbox().text)


def crm(lab: Lab, chat: Conversation) -> list[str]:
    return [post["text"] for post in lab.webhooks.posts if chat.id in post["text"]]


async def timers(chat: Conversation) -> list[tuple[str, int]]:
    """What became of the timers of whole days, in order: what, and after how many days it was due."""
    lengths: dict[str, float] = {}
    found = []
    for event in (await chat.history()).events:
        if event.HasField("timer_started_event_attributes"):
            started = event.timer_started_event_attributes
            lengths[started.timer_id] = started.start_to_fire_timeout.ToTimedelta() / DAY
        for name in ("fired", "canceled"):
            if event.HasField(f"timer_{name}_event_attributes"):
                timer = getattr(event, f"timer_{name}_event_attributes").timer_id
                found.append((name, round(lengths[timer])))
    return found


# Reminders


async def test_a_question_is_reminded_of_twice_and_each_reminder_is_sent_once(lab: Lab) -> None:
    chat = await lab.converse(RemindingWorkflow, "ada")
    await chat.send(ASK)
    await chat.fast_forward(DAY - MINUTE)
    assert reminders(lab, "ada") == 0
    await chat.fast_forward(2 * MINUTE)
    assert reminders(lab, "ada") == 1
    await chat.fast_forward(2 * DAY)
    assert reminders(lab, "ada") == 2
    await chat.fast_forward(20 * DAY)
    assert reminders(lab, "ada") == 2
    assert await timers(chat) == [("fired", 1), ("fired", 2)]


@pytest.mark.parametrize(
    ("customer", "wait", "sent", "recorded"),
    [
        ("before", DAY - MINUTE, 0, [("canceled", 1)]),
        ("after", DAY + MINUTE, 1, [("fired", 1), ("canceled", 2)]),
    ],
    ids=["just before", "just after"],
)
async def test_an_answer_cancels_the_timer_and_nothing_is_sent_after_it(
    lab: Lab, customer: str, wait: timedelta, sent: int, recorded: list[tuple[str, int]]
) -> None:
    chat = await lab.converse(RemindingWorkflow, customer)
    await chat.send(ASK)
    await chat.fast_forward(wait)
    await chat.send(ANSWER)
    await chat.fast_forward(20 * DAY)
    assert reminders(lab, customer) == sent
    assert await timers(chat) == recorded


async def test_an_answer_cancels_a_mail_that_is_tried_again_and_again(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    chat = await lab.converse(RemindingWorkflow, "ben")
    with caplog.at_level(logging.ERROR, INSTANCE), await lab.outage("mail"):
        await chat.send(ASK)
        await chat.fast_forward(DAY + timedelta(hours=2))
        assert (await chat.pending()).activity.tolist() == ["send_notification"]
        await chat.send(ASK)  # whatever it is, it is an answer; and its reply asks again
    await chat.fast_forward(timedelta(hours=5))
    await chat.send(ANSWER)
    await chat.fast_forward(10 * DAY)
    assert reminders(lab, "ben") == 0
    record = (await chat.activities()).set_index("activity")
    assert record.status["send_notification"] == "canceled"
    assert not [one for one in caplog.records if "never retrieved" in one.getMessage()]


async def test_a_reply_that_asks_nothing_is_not_reminded_of(lab: Lab) -> None:
    chat = await lab.converse(RemindingWorkflow, "cleo")
    assert "anything else" in await chat.send("Where is order 1042?")
    assert "?" not in await chat.send("Thanks!")
    await chat.fast_forward(10 * DAY)
    assert reminders(lab, "cleo") == 0
    assert await timers(chat) == []


async def test_a_conversation_that_is_closed_waits_for_no_answer(lab: Lab) -> None:
    chat = await lab.converse(RemindingWorkflow, "dora")
    await chat.send(ASK)
    ended = await chat.close()
    assert (ended.turns, ended.ending.split(" Its report")[0]) == (1, "It was closed.")
    assert ("canceled", 1) in await timers(chat)
    with pytest.raises(
        LabError, match=r"has ended and takes no more messages\. It was closed\. Its report: "
    ):
        await chat.send(ANSWER)


async def test_a_turn_under_way_when_it_is_closed_is_not_reminded_of(lab: Lab) -> None:
    chat = await lab.converse(RemindingWorkflow, "eve")

    async def on_record() -> bool:
        return accepted(await chat.history()) == [ASK]

    with await lab.outage("model"):
        reply = chat.begin(ASK)
        await until(on_record, "the message is on record")
        await chat.handle.signal("close")
    assert "Which order" in await reply  # the clock is left alone: the conversation may end at any moment now
    assert (await chat.close(timeout=10)).turns == 1
    assert await timers(chat) == [("canceled", 30)]


async def test_a_reminder_is_due_when_it_was_in_whichever_run_that_is(lab: Lab) -> None:
    chat = await lab.converse(CarriedReminderWorkflow, "hal")
    await chat.send(ASK)
    for runs in (2, 3):
        await chat.fast_forward(DAY / 4)
        await chat.handle.signal("renew")
        await renewed(chat, runs)
    assert await timers(chat) == []  # the third run has fired none yet
    await chat.fast_forward(DAY / 2 - MINUTE)
    assert reminders(lab, "hal") == 0
    await chat.fast_forward(2 * MINUTE)
    assert reminders(lab, "hal") == 1
    await chat.handle.signal("renew")
    await renewed(chat, 4)
    await chat.fast_forward(10 * DAY)
    assert reminders(lab, "hal") == 1
    assert scheduled(await chat.history()) == []  # what is sent is not carried
    assert "no order '1042'" in await chat.send(ANSWER)  # the memory came along: it knows what it asked
    assert await chat.close() == 2


async def test_a_new_run_sends_what_the_old_one_could_not_and_under_the_same_key(lab: Lab) -> None:
    chat = await lab.converse(CarriedReminderWorkflow, "ivo")
    with await lab.outage("mail"):
        await chat.send(ASK)
        await chat.fast_forward(DAY + timedelta(hours=1))
        await chat.handle.signal("renew")
        histories = await renewed(chat, 2)
    await chat.fast_forward(timedelta(hours=1))
    assert reminders(lab, "ivo") == 1
    first, second = [requests(one)[-1].input for one in (histories[0], await chat.history())]
    assert first == second


async def test_close_cancels_a_reminder_that_an_earlier_run_began(lab: Lab) -> None:
    chat = await lab.converse(CarriedReminderWorkflow, "jo")
    await chat.send(ASK)
    await chat.handle.signal("renew")
    await renewed(chat, 2)
    await chat.fast_forward(DAY / 2)  # its timer is on record
    assert await chat.close(timeout=10) == 1
    assert await timers(chat) == [("canceled", 1)]
    assert reminders(lab, "jo") == 0


async def test_a_bug_in_a_reminder_shows_when_it_is_due_and_not_at_the_end() -> None:
    async with await Lab.start(workflows=[SlipReminders], ui=False) as lab:
        chat = await lab.converse(SlipReminders, "ada")
        await chat.send(ASK)
        with contextlib.suppress(LabError):  # a clock may stand when the workflow's task fails
            await chat.fast_forward(2 * MINUTE, timeout=2)
        failures = task_failures(await chat.history())
        assert any("A duty has a bug: AttributeError" in message for message in failures)


# The end that nobody asks for


async def test_thirty_days_without_a_message_end_it_and_a_late_sender_is_told(lab: Lab) -> None:
    chat = await lab.converse(RemindingWorkflow, "emil")
    await chat.send(ASK)
    await chat.fast_forward(30 * DAY - MINUTE)
    await chat.send("Hello!")
    await chat.fast_forward(30 * DAY - MINUTE)
    await chat.events()  # quiet
    assert crm(lab, chat) == []
    await chat.fast_forward(2 * MINUTE)
    [file] = lab.table("reports").set_index("task_id").loc[[chat.id]].file
    assert (lab.reports / file).exists()
    words = f"Nobody wrote for 30 days, so it ended itself. Its report: {file}."
    assert crm(lab, chat) == [f"Conversation {chat.id}: {words}"]
    for late in (chat, lab.conversation(chat.id)):
        with pytest.raises(LabError) as error:
            await late.send(ANSWER)
        assert words in str(error.value)
        assert "Start another" in str(error.value)
    assert len(lab.table("turns").query("customer == 'emil'")) == 2


async def test_a_sender_who_comes_while_it_ends_is_told_too(lab: Lab) -> None:
    chat = await lab.converse(RemindingWorkflow, "fay")
    await chat.send("Hello!")
    with await lab.outage("webhook"):
        await chat.fast_forward(30 * DAY + MINUTE)
        with pytest.raises(LabError, match="so it ended itself. This conversation takes no more messages"):
            await chat.send("Am I late?")
    await chat.fast_forward(DAY)
    assert len(crm(lab, chat)) == 1


async def test_the_crm_is_told_once_though_the_worker_died_after_telling(lab: Lab) -> None:
    chat = await lab.converse(RemindingWorkflow, "gil")
    await chat.send("Thanks!")
    repeats = lab.webhooks.repeats
    process = await lab.worker_process(kill="after send_notification")
    closing = asyncio.create_task(chat.close())
    assert await process.died() == -9
    assert len(crm(lab, chat)) == 1
    await closing
    assert attempts(await chat.history())[-1] == ("send_notification", 2)
    assert len(crm(lab, chat)) == 1
    assert lab.webhooks.repeats == repeats + 1


# Somebody asks to be forgotten


async def test_an_erasure_finds_every_run_and_every_child_and_nobody_elses(lab: Lab) -> None:
    """A run before a reset, the one after it, and an approval that waits. That they go: tests/soak_claims.py."""
    ada, ben = [await lab.converse(AskingWorkflow, name) for name in ("ada", "ben")]
    await ada.send("Please refund 26 EUR for order 1044.")
    await ben.send("Please refund 26 EUR for order 1054.")
    await ada.reset(before="invoke_model_activity")
    await ada.activities()

    async def found() -> list[str]:
        listed = lab.client.list_workflows(f"RootWorkflowId = '{ada.id}'")
        return sorted([one.id async for one in listed])

    runs = [ada.id, ada.id, f"{ada.id}/refund-1"]

    async def all_are_listed() -> bool:
        return await found() == runs

    await until(all_are_listed, "two runs and a child")
    assert await erase(lab.client, "x' OR RootWorkflowId != '") == []
    assert await found() == runs
    assert await erase(lab.client, ada.id) == runs
    assert await ben.send("Thanks!")
    assert (await lab.conversation(f"{ben.id}/refund-1").handle.query("view"))["state"] == "waits"


# On a schedule


def midnight() -> datetime:
    """The last one. (Asked for by each test: the suite may run over midnight.)"""
    return datetime.combine(datetime.now(UTC), time(), UTC)


def next_monday() -> datetime:
    return midnight() + (7 - midnight().weekday()) * DAY


async def schedule(lab: Lab, id: str, workflow: Any, *args: Any) -> temporal.ScheduleHandle:
    return await every(lab, id, "0 6 * * *", temporal.ScheduleOverlapPolicy.SKIP, workflow, *args)


async def as_of(lab: Lab, handle: temporal.ScheduleHandle, day: datetime) -> Any:
    """Runs a schedule for one day; returns the result."""
    return (await run_for(lab.client, handle, day)).result.iloc[-1]


async def test_a_weekly_report_is_of_the_last_whole_week_and_twice_the_same() -> None:
    monday = next_monday()
    async with await Lab.start(ui=False) as lab:  # its turns are counted
        for customer in ("ada", "ben"):
            chat = await lab.converse(RemindingWorkflow, customer)
            await chat.send(f"Thanks, says {customer}!")
        await chat.fast_forward(8 * DAY)  # a turn of another week
        await chat.send("Hello!")
        weekly = await schedule(lab, "weekly", WeeklyReportWorkflow.run)
        await weekly.trigger()
        await runs_of_schedule(lab.client, weekly, 1)
        file = await as_of(lab, weekly, monday)

        def effects() -> tuple[list[Any], int, str]:
            return lab.table("reports").values.tolist(), len(lab.inbox()), (lab.reports / file).read_text()

        before = effects()
        assert await as_of(lab, weekly, monday + 2 * DAY) == file  # late, and about the same week
        assert effects() == before
        this_week = (monday - 7 * DAY).date().isoformat()
        rows = lab.table("reports").set_index("task_id")
        assert rows.turns.tolist() == [0, 2]  # triggered now, the last whole week lies before these turns
        assert rows.index.tolist()[1] == f"week-{this_week}"
        assert "<td>ada-1</td><td>1</td><td>1</td>" in before[2]
        assert "says ada" not in before[2]


async def test_a_turn_that_was_saved_after_its_weeks_report_is_in_the_next_one_of_that_week() -> None:
    monday = next_monday()
    async with await Lab.start(ui=False) as lab:  # its turns are counted
        weekly = await schedule(lab, "weekly", WeeklyReportWorkflow.run)
        chat = await lab.converse(RemindingWorkflow, "ada")
        with await lab.outage("database"):
            reply = chat.begin(ASK)
            await chat.fast_forward(timedelta(hours=1))
        file = await as_of(lab, weekly, monday)
        week = f"week-{(monday - 7 * DAY).date().isoformat()}"
        assert lab.table("reports").values.tolist() == [[week, 0, 0, file]]
        await chat.fast_forward(10 * MINUTE)
        await reply
        for _ in range(2):
            assert await as_of(lab, weekly, monday) == file
            assert lab.table("reports").values.tolist() == [[week, 1, 1, file]]
            assert f"<td>{chat.id}</td><td>1</td><td>1</td>" in (lab.reports / file).read_text()
        assert len(lab.inbox()) == 1  # nobody is told of the correction


async def test_a_cleanup_takes_the_words_and_leaves_the_audit_and_twice_is_once(lab: Lab) -> None:
    old, young = [await lab.converse(RemindingWorkflow, name) for name in ("kim", "lea")]
    for chat in (old, young):
        await chat.send(ASK)
    await young.fast_forward(20 * DAY)
    await young.send(ASK)
    await young.fast_forward(31 * DAY)  # it ends meanwhile
    files = lab.table("reports").set_index("task_id").file
    young2 = await lab.converse(RemindingWorkflow, "mo")
    await young2.fast_forward(29 * DAY)
    await young2.send(ASK)
    await old.close()
    old_file = lab.table("reports").set_index("task_id").file[old.id]
    cleanup = await schedule(lab, "cleanup", CleanupWorkflow.run, 90)
    before = lab.table("turns").set_index("task_id").sort_index()  # an engine has an order of its own
    today = midnight()
    nothing = await as_of(lab, cleanup, today + 90 * DAY)
    assert nothing == {"turns_without_words": 0, "reports_deleted": 0}
    first = await as_of(lab, cleanup, today + 92 * DAY)
    rows = lab.table("turns").set_index("task_id").sort_index()
    assert rows.loc[f"{old.id}/turn-1", ["customer", "message", "answer"]].isna().all()
    assert rows.loc[f"{young2.id}/turn-1", "message"] == ASK
    audit = ["conversation", "turn", "outcome", "details"]
    assert rows[audit].equals(before[audit])
    assert not (lab.reports / old_file).exists()
    assert rows.loc[f"{young.id}/turn-2", "message"] == ASK
    assert not (lab.reports / files[young.id]).exists()  # it holds words of the first turn, too
    assert first["reports_deleted"] == len(lab.table("reports").query("not task_id.str.startswith('week')"))
    again = await as_of(lab, cleanup, today + 92 * DAY)
    assert again == first
    assert lab.table("turns").set_index("task_id").sort_index().equals(rows)

    # Temporal's own record still has the words, whatever the database forgot.
    [said] = (await old.activities(times=True)).query("activity == 'save_to_database'").input
    assert said[1]["message"] == ASK


async def test_what_a_schedule_starts_survives_its_worker_and_nothing_comes_twice(lab: Lab) -> None:
    weekly = await schedule(lab, "weekly-2", WeeklyReportWorkflow.run)
    cleanup = await schedule(lab, "cleanup-2", CleanupWorkflow.run, 90)
    process = await lab.worker_process(kill=["after write_weekly_report", "after forget_words"])
    mails = len(lab.inbox())
    for handle in (weekly, cleanup):
        await handle.trigger()
    assert await process.died() == -9
    for handle in (weekly, cleanup):
        [run] = (await runs_of_schedule(lab.client, handle, 1)).itertuples()
        history = await lab.client.get_workflow_handle(run.workflow, run_id=run.run_id).fetch_history()
        assert attempts(history)[0][1] == 2
        assert len(scheduled(history)) == 2
    assert len(lab.inbox()) == mails + 1


async def test_triggers_within_a_second_may_be_one_run(lab: Lab) -> None:
    """A triggered run's id ends with the second, and one run has it."""
    handle = await schedule(lab, "weekly-3", WeeklyReportWorkflow.run)
    allow = temporal.ScheduleOverlapPolicy.ALLOW_ALL
    await asyncio.gather(*(handle.trigger(overlap=allow) for _ in range(10)))
    runs = await runs_of_schedule(lab.client, handle, 1)
    assert (await handle.describe()).info.num_actions < 10
    assert runs.workflow.str.fullmatch(r"weekly-3-[-\d]+T\d\d:\d\d:\d\dZ").all()


async def test_a_schedule_that_has_not_run_is_said_so(lab: Lab) -> None:
    handle = await schedule(lab, "never", CleanupWorkflow.run, 90)
    for seconds in (0.1, 0):  # 0: it was not even asked
        with pytest.raises(LabError, match="has started 0"):
            await runs_of_schedule(lab.client, handle, 1, timeout=seconds)
