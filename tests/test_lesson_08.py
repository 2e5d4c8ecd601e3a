"""Lesson 08 beside its notebook: what `watch_replay` notes is what the record holds, and replay does nothing."""

import pytest
from temporalio.workflow import NondeterminismError

from course import Lab
from course.desk import ConversationWorkflow
from course.lab import watch_replay
from course.lessons.lesson_04 import BothHandsWorkflow
from tests.lab_helpers import mails, rows, scheduled, until


async def test_replay_meets_every_event_of_the_code_and_does_nothing(lab: Lab) -> None:
    chat = await lab.converse(ConversationWorkflow, "ada")
    await chat.send("Where is order 1042?")
    await chat.activities()  # the notice is out, too
    with await lab.outage("mail", permanent=True):  # a duty that fails for good
        await chat.handle.signal("post", args=["mail-1", "Do you have a Ficus?"])
        await until(lambda: len(rows(lab, chat)) == 2, "the signal's turn")
        await chat.close()
    history = await chat.history()
    assert len(mails(lab, "ada")) == 1
    steps = await watch_replay(ConversationWorkflow, history)
    events = await chat.events()

    assert len(mails(lab, "ada")) == 1
    assert len(rows(lab, chat)) == 2
    assert steps.event_id.notna().all()
    asked = steps[steps.event == "ActivityTaskScheduled"]
    assert asked.code.tolist() == [f"asks for {name}" for name in scheduled(history)]
    results = steps[steps.code.str.startswith("has the result")].event.value_counts()
    assert results.to_dict() == {"ActivityTaskCompleted": 10, "ActivityTaskFailed": 1}
    met = events.set_index("event_id").loc[steps.event_id]
    for step, event in zip(steps.itertuples(), met.itertuples(), strict=True):
        assert step.event == event.event
        if event.event != "WorkflowExecutionStarted":
            assert event.detail.split(":")[0] in step.code
    assert set(steps[steps.code.str.startswith(("send", "post", "close"))].event) == {
        "WorkflowExecutionUpdateAccepted",
        "WorkflowExecutionUpdateCompleted",
        "WorkflowExecutionSignaled",
    }


async def test_code_that_does_something_else_than_the_record_says_is_refused(lab: Lab) -> None:
    chat = await lab.converse(ConversationWorkflow, "ben")
    await chat.send("Hello!")
    await chat.activities()
    history = await chat.history()
    started = history.events[0].workflow_execution_started_event_attributes
    started.workflow_type.name = "BothHandsWorkflow"
    with pytest.raises(NondeterminismError):
        await watch_replay(BothHandsWorkflow, history)
    assert "Order 1052" in await chat.send("Where is order 1052?")  # the lab's own worker is as it was
