"""Versions of the workers: who stays on the old one, who goes over, and what a rollout that ends half-way costs."""

from collections import Counter
from typing import Any

import pytest

from course import Lab, LabError
from course.desk import ConversationWorkflow
from course.lab import Conversation
from course.lab.replaying import replay
from course.lessons.lesson_10.approval import ApprovalWorkflow
from course.lessons.lesson_10.asking import AskingWorkflow
from tests.lab_helpers import attributes, mails, renewed, rows, scheduled
from tests.versions import NewerDesk

LAB: dict[str, Any] = {"workflows": [ConversationWorkflow, AskingWorkflow, ApprovalWorkflow]}
OLD = ["invoke_model_activity", "save_to_database", "send_notification"]
NEW = ["invoke_model_activity", "send_notification", "save_to_database"]


async def two_versions(lab: Lab) -> None:
    """Both have a worker, and new conversations begin on the first."""
    for version, code in (("v1", []), ("v2", [NewerDesk])):
        if version not in lab.workers.at_work():
            await lab.deploy(*code, version=version)
    await lab.make_current("v1")


async def begun(lab: Lab, customer: str) -> Conversation:
    chat = await lab.converse(ConversationWorkflow, customer)
    assert "welcome" in (await chat.send("Thanks!")).lower()
    await chat.activities()
    return chat


async def goes_over(chat: Conversation, runs: int = 2) -> None:
    """One more turn on the version that it is pinned to; at the end of it, idle, it goes on in a new run."""
    await chat.send("Thanks!")
    await renewed(chat, runs)


async def where(lab: Lab, *chats: Conversation) -> list[tuple[str, int]]:
    table = (await lab.conversations()).set_index("conversation")
    return [(table.version[chat.id], table.run[chat.id]) for chat in chats]


def each_turn_once(lab: Lab, chat: Conversation, turns: int) -> None:
    assert [row["turn"] for row in rows(lab, chat)] == list(range(1, turns + 1))
    customer = chat.id.rpartition("-")[0]
    assert Counter(mails(lab, customer)) == {f"{customer} wrote, and was answered: Thanks!": turns}


async def test_a_pinned_conversation_goes_over_in_its_next_run(lab: Lab) -> None:
    await two_versions(lab)
    ada, idle = await begun(lab, "ada"), await begun(lab, "idle")
    await lab.make_current("v2")
    ben = await begun(lab, "ben")
    assert await where(lab, ada, idle, ben) == [("v1", 1), ("v1", 1), ("v2", 1)]
    await goes_over(ada)
    await begun_again(ada)
    assert await where(lab, ada, idle, ben) == [("v2", 2), ("v1", 1), ("v2", 1)]
    assert set((await lab.conversations()).pinned) == {True}
    first, second = await ada.record.histories()
    assert (scheduled(first), scheduled(second)[:3]) == (OLD * 2, NEW)
    each_turn_once(lab, ada, 3)
    assert await ada.handle.query("began_on") == "v1"  # what v1 carried is read by v2
    assert await ben.handle.query("began_on") == "v2"
    # What decided is on record, so a replay of the old run ends as it did.
    changed = [
        one.target_worker_deployment_version_changed for one in attributes(first, "workflow_task_started")
    ]
    assert (changed[0], changed[-1]) == (False, True)
    assert await replay([first], ConversationWorkflow)
    assert await replay([second], NewerDesk)
    with pytest.raises(LabError, match="does not fit this history"):
        await replay([first], NewerDesk)

    with pytest.raises(
        LabError, match=r"'v1' is not drained after 0 s\. It is draining\. Open there: idle-1"
    ):
        await lab.drained("v1", timeout=0)
    await idle.close()
    await lab.drained("v1")
    table = (await lab.versions()).set_index("version")
    assert table.state.to_dict() == {"v1": "drained", "v2": "current"}
    assert table.conversations.to_dict() == {"v1": "", "v2": f"{ada.id}, {ben.id}"}

    # Back again: v1 reads what v2 carried, and leaves out what it does not know.
    await lab.make_current("v1")
    for chat, runs in ((ada, 3), (ben, 2)):
        await goes_over(chat, runs)
        await begun_again(chat)
    assert await where(lab, ada, ben) == [("v1", 3), ("v1", 2)]
    each_turn_once(lab, ada, 5)
    for chat in (ada, ben):
        await chat.close()
    await lab.drained("v2")


async def begun_again(chat: Conversation) -> None:
    await chat.send("Thanks!")
    await chat.activities()
