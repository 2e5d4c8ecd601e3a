"""Versions of the workers: who stays on the old one, who goes over, and what a rollout that ends half-way costs."""

import asyncio
import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from temporalio.service import RPCError

from course import Lab, LabError
from course.desk import ConversationWorkflow
from course.desk.__main__ import main
from course.desk.conversation import Carried, Turn
from course.desk.memory import Memory
from course.lab import Conversation
from course.lab.replaying import replay
from course.lab.running import PAYLOADS
from course.lessons.lesson_10.approval import ApprovalWorkflow
from course.lessons.lesson_10.asking import AskingWorkflow
from tests.lab_helpers import attributes, mails, renewed, rows, scheduled, task_failures, until, until_failed
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


async def ends(lab: Lab, version: str) -> None:
    """Its worker."""
    process, _ = lab.workers.versions[version]
    process.kill()
    await process.died()


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
    await ada.send("Thanks!")
    await ada.activities()
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
        await chat.send("Thanks!")
        await chat.activities()
    assert await where(lab, ada, ben) == [("v1", 3), ("v1", 2)]
    each_turn_once(lab, ada, 5)
    for chat in (ada, ben):
        await chat.close()
    await lab.drained("v2")


async def test_an_idle_conversation_needs_its_old_worker_or_an_operator(lab: Lab) -> None:
    await two_versions(lab)
    kept, told = await begun(lab, "kept"), await begun(lab, "told")
    new = await lab.converse(ConversationWorkflow, "new")
    await new.activities()
    await lab.make_current("v2")
    await ends(lab, "v1")
    with pytest.raises(
        LabError, match="It is pinned to version 'v1', and this lab has no worker of it at work"
    ):
        await kept.send("Thanks!", timeout=1)
    # An operator moves two: what has no steps yet fits the newer code, and what has does not.
    for chat in (told, new):
        await move(lab, chat, "auto_upgrade")
    assert "welcome" in (await new.send("Thanks!")).lower()
    [(version, _)] = await where(lab, new)
    assert version == "v2"
    with pytest.raises(RPCError, match="Workflow Task in failed state"):
        await told.handle.execute_update("send", "Thanks!")
    assert any("TMPRL1100" in failure for failure in task_failures(await told.history()))
    # With the old worker there again the one goes on, with the message that waited for it. The other's task belongs to the newer
    # version by now: it takes a pin by hand, and a reset of that task.
    await lab.deploy(version="v1")
    await move(lab, told, "pinned", "v1")
    reset = ["--workflow-id", told.id, "--type", "LastWorkflowTask", "--reason", "moved back"]
    assert "Resetting" in await lab.cli("workflow", "reset", *reset)
    assert "welcome" in (await told.send("Thanks!")).lower()
    for chat in (kept, told):
        await until(lambda chat=chat: len(rows(lab, chat)) == 2, "the message is answered", 60)
        await chat.activities()
        each_turn_once(lab, chat, 2)


async def move(lab: Lab, chat: Conversation, behaviour: str, version: str | None = None) -> None:
    options = ["--workflow-id", chat.id, "--versioning-override-behavior", behaviour]
    if version:
        options += ["--versioning-override-deployment-name", lab.task_queue]
        options += ["--versioning-override-build-id", version]
    assert "succeeded" in await lab.cli("workflow", "update-options", *options)


async def test_a_rollout_that_dies_half_way_and_is_taken_back_loses_nothing(lab: Lab) -> None:
    await two_versions(lab)
    pinned = await begun(lab, "pinned")
    await ends(lab, "v2")
    process = await lab.deploy(NewerDesk, version="v2", kill="before workflow task")
    assert process
    await lab.make_current("v2")
    first = await lab.converse(ConversationWorkflow, "first")
    assert await process.died() == -9
    await goes_over(pinned)  # answered by v1; its new run waits for a worker of v2
    waiting = [first.begin("Thanks!"), pinned.begin("Thanks!")]
    await lab.make_current("v1")
    for reply in waiting:
        assert "welcome" in (await reply).lower()
    for chat in (first, pinned):
        await chat.activities()
    assert await where(lab, first, pinned) == [("v1", 1), ("v1", 2)]
    each_turn_once(lab, first, 1)
    each_turn_once(lab, pinned, 3)


async def test_nothing_begins_on_a_version_that_was_never_made_current(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await two_versions(lab)
    process = await lab.deploy(NewerDesk, version="v3")
    assert process
    chat = await begun(lab, "still")
    assert await where(lab, chat) == [("v1", 1)]
    assert (await lab.versions()).set_index("version").state["v3"] == "inactive"
    with pytest.raises(LabError, match=r"A worker of version 'v3' is at work, and a version is one state"):
        await lab.deploy(version="v3")
    with pytest.raises(LabError, match=r"'v9' was not made current: .*\. A worker of it has to be there"):
        await lab.make_current("v9")
    with pytest.raises(LabError, match=r"a text such as 'v1', and not 1"):
        await lab.deploy(version=1)  # type: ignore[arg-type]
    # The desk's own check says so, too.
    monkeypatch.setenv("TEMPORAL_ADDRESS", lab.address)
    monkeypatch.setenv("TEMPORAL_DEPLOYMENT_NAME", lab.task_queue)
    said = {}
    for version in ("v1", "v3", "v9"):
        monkeypatch.setenv("TEMPORAL_WORKER_BUILD_ID", version)
        assert await asyncio.to_thread(main, ["--check"]) == 1  # there is no mail server
        said[version] = capsys.readouterr().out.splitlines()[0]
    process.kill()
    assert said["v1"].endswith("and a worker of version juniper.v1 serves the task queue 'juniper'.")
    assert said["v3"].endswith(
        "and a worker of version juniper.v3 asks for the tasks of 'juniper' and gets none: it has never been current. Make "
        "it so: temporal worker deployment set-current-version --deployment-name juniper --build-id v3"
    )
    assert "no worker of version juniper.v9 serves the task queue 'juniper'" in said["v9"]
    # And that is how.
    await lab.cli(*said["v3"].partition(": temporal ")[2].split(), "--yes")
    assert (await lab.versions()).set_index("version").state["v3"] == "current"


async def test_what_is_under_way_ends_on_the_version_on_which_it_began(lab: Lab) -> None:
    """An approval, its timer, and an activity that waits for the database."""
    await two_versions(lab)
    asking, eve = await lab.converse(AskingWorkflow, "ada"), await begun(lab, "eve")
    await asking.send("Please refund 34 EUR for order 1042.")
    approval = lab.conversation(f"{asking.id}/refund-1")
    with await lab.outage("database"):
        reply = eve.begin("Thanks!")
        await until_failed(eve, "save_to_database")
        await lab.make_current("v2")
    await eve.fast_forward(timedelta(minutes=10))
    assert "welcome" in (await reply).lower()
    await eve.activities()
    await asking.fast_forward(timedelta(days=1))
    await (await lab.approver("Bea")).decide(approval.id, "approve")
    assert "is paid" in await approval.handle.result()
    version = (await approval.handle.describe()).raw_description.workflow_execution_info.versioning_info
    assert version.deployment_version.build_id == "v1"
    assert await where(lab, asking) == [("v1", 1)]
    refunds = lab.table("refunds")
    assert refunds[refunds.refund_id == approval.id].amount_cents.tolist() == [3400]
    told = [text.split(":")[0] for text in lab.inbox().text if approval.id in text]
    assert told == [f"Please decide about {approval.id}", "Reminder 1"]
    each_turn_once(lab, eve, 2)


async def test_the_same_change_without_versions_freezes_what_is_under_way(lab: Lab) -> None:
    async with await Lab.start(address=lab.address, ui=False, workflows=[ConversationWorkflow]) as other:
        chat = await begun(other, "ada")
        await other.deploy(NewerDesk)
        reply = chat.begin("Thanks!")

        async def frozen() -> bool:
            return any("TMPRL1100" in failure for failure in task_failures(await chat.history()))

        await until(frozen, "the newer code does not fit")
        assert not reply.done()
        await other.deploy(ConversationWorkflow)
        assert "welcome" in (await reply).lower()
        # With versions from now on: it goes over with its next step, and is pinned from then on.
        with pytest.raises(LabError, match="No version has been deployed here"):
            await other.versions()
        await other.deploy(version="v1")
        await other.make_current("v1")
        assert await where(other, chat) == [("none", 1)]
        await chat.send("Thanks!")
        assert await where(other, chat) == [("v1", 1)]
        await chat.activities()
        each_turn_once(other, chat, 3)


async def test_what_is_carried_is_read_by_older_and_by_newer_code() -> None:
    turn = Turn(2, "Thanks!", "You are welcome!", "answered", {"saved": "x"}, "id", "2030-01-01")
    carried = Carried(2, 1, [turn], Memory("notes", recent=[[{"role": "user", "content": "Thanks!"}]]), True)
    [payload] = await PAYLOADS.encode([carried])
    whole = json.loads(payload.data)
    for part in (whole, whole["last"][0], whole["memory"]):
        part["later"] = {"a field": "that today's code does not know"}
    payload.data = json.dumps(whole).encode()
    assert await PAYLOADS.decode([payload], [Carried]) == [carried]
    for part, field in ((whole, "listed"), (whole["last"][0], "asked_at"), (whole["memory"], "kept")):
        del part[field]  # as code had it that did not know them yet
    payload.data = json.dumps(whole).encode()
    [read] = await PAYLOADS.decode([payload], [Carried])
    assert (read.listed, read.last[0].asked_at, read.memory.kept) == (False, "", Memory().kept)
