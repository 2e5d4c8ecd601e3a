"""Lesson 10: what waits for a person, and what does not. Asserted on histories, rows and mails."""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowUpdateFailedError
from temporalio.service import RetryConfig

from course import Lab, LabError
from course.desk.services import database
from course.lab import Conversation, approver
from course.lessons.lesson_10.asking import AskingWorkflow
from course.lessons.lesson_10.needs_approval import NeedsApprovalWorkflow
from course.models import OfflineModel, ToolCall
from tests.lab_helpers import attempts, until

MONSTERA, FICUS = "Please refund 34 EUR for order 1042.", "Please refund 58 EUR for order 1043."
LIGHT = "How much light does a Monstera need?"
A_DAY = timedelta(days=1)


pytestmark = pytest.mark.usefixtures("own_rules")


@pytest.fixture(scope="module")
async def lab():
    async with await Lab.start(ui=False) as lab:
        orders = database.orders
        dear = orders.update().where(orders.c.order_id != "1046").values(paid_cents=90_000)
        with (
            lab.world.services.database.engine.begin() as connection
        ):  # the tests share the shop's five orders
            connection.execute(dear)
        yield lab


async def ask(lab: Lab, desk: type, *messages: str) -> tuple[Conversation, str]:
    """A new conversation of ada's, and what its refunds' numbers begin with."""
    chat = await lab.converse(desk, "ada")
    for message in messages:
        await chat.send(message)
    return chat, f"{chat.id}/refund-"


def call(order: str, cents: Any, **more: Any) -> ToolCall:
    return ToolCall("refund", {"order_id": order, "amount_cents": cents, "reason": "It died.", **more})


def paid(lab: Lab, number: str) -> list[int]:
    table = lab.table("refunds")
    return table[table.refund_id.str.startswith(number)].amount_cents.tolist()


def decision(lab: Lab, number: str) -> dict[str, Any]:
    table = lab.table("decisions").set_index("task_id")
    return table.loc[number].to_dict() if number in table.index else {}


def waited(row: dict[str, Any]) -> timedelta:
    length = datetime.fromisoformat(row["decided_at"]) - datetime.fromisoformat(row["asked_at"])
    return timedelta(days=round(length / A_DAY))


def mails(lab: Lab, number: str) -> list[str]:
    return [text for text in lab.inbox().text if number in text]


async def told(chat: Conversation) -> list[str]:
    """What the customer was told without having asked."""
    await chat.activities()
    lines = await chat.transcript()
    return lines[lines.role == "system"].text.tolist()


async def decide(lab: Lab, number: str, verdict: str, reason: str = "") -> str:
    """By Bea; waits until it is done, and the customer has been told."""
    reply = await (await lab.approver("Bea")).decide(number, verdict, reason)
    await lab.conversation(number).handle.result()
    return reply


def by_bea(verdict: str, reason: str = "So.") -> dict[str, str]:
    return {"decision": verdict, "by": "Bea", "reason": reason}


# The child that waits


async def test_two_wait_at_once_and_the_conversation_goes_on(lab: Lab) -> None:
    chat, refund = await ask(
        lab, AskingWorkflow, "Please refund 26 EUR for order 1044.", "Please refund 27 EUR for order 1045."
    )
    assert "bright" in await chat.send(LIGHT)
    waiting = await chat.handle.query("undecided")
    assert [(one["number"], one["order_id"], one["amount_cents"]) for one in waiting] == [
        (refund + "1", "1044", 2600),
        (refund + "2", "1045", 2700),
    ]
    await decide(lab, refund + "2", "reject", "The photo shows a healthy plant.")
    assert (await lab.conversation(refund + "1").handle.describe()).status == WorkflowExecutionStatus.RUNNING
    await decide(lab, refund + "1", "approve")
    assert await told(chat) == [
        "27.00 EUR for order 1045 is not paid back. The photo shows a healthy plant.",
        f"Refund {refund}1 of 26.00 EUR for order 1044 is paid.",
    ]
    assert paid(lab, refund) == [2600]
    turns = lab.table("turns")
    assert turns[turns.conversation == chat.id].sort_values("turn").turn.tolist() == [1, 2, 3, 4, 5]
    assert await chat.close() == 5


async def test_the_limit_is_one_conversations_own(lab: Lab) -> None:
    """As the lesson says: who opens a new conversation begins anew. In the same one, a person is asked."""
    small = "Please refund 19 EUR for order 1043."
    for _ in range(2):
        chat, refund = await ask(lab, AskingWorkflow, small)
        assert paid(lab, refund) == [1900]
    await chat.send(small)
    assert paid(lab, refund) == [1900]
    assert [one["number"] for one in await chat.handle.query("undecided")] == [refund + "2"]


async def test_the_next_turn_knows_of_the_decision(lab: Lab) -> None:
    chat, refund = await ask(lab, AskingWorkflow, FICUS)
    await decide(lab, refund + "1", "reject", "Too late.")
    await chat.send("Thanks!")
    record = await chat.activities(times=True)
    asked = record[record.activity == "invoke_model_activity"].input.tolist()[-1]
    assert "58.00 EUR for order 1043 is not paid back. Too late." in str(asked)


async def test_the_desks_clock_takes_its_approvals_along_to_their_end(lab: Lab) -> None:
    chat, refund = await ask(lab, AskingWorkflow, FICUS)
    number, came = refund + "1", []
    for _ in range(3):
        await chat.fast_forward(A_DAY)
        came.append(mails(lab, number)[-1].split(":")[0])
    assert came == ["Reminder 1", "Reminder 2", "Escalation"]
    assert decision(lab, number) == {}
    await chat.fast_forward(A_DAY)
    assert await told(chat) == [
        "58.00 EUR for order 1043 is not paid back. Nobody could decide about it in time."
    ]
    row = decision(lab, number)
    assert (row["decision"], row["decided_by"], waited(row)) == ("expire", "nobody", 4 * A_DAY)
    assert len(mails(lab, number)) == 4
    with pytest.raises(LabError, match=rf"{number} was already given up \(“Nobody could .*”\)\. Nothing was"):
        await decide(lab, number, "approve")
    assert paid(lab, refund) == []


async def test_a_decision_just_before_the_end_counts(lab: Lab) -> None:
    _, refund = await ask(lab, AskingWorkflow, "Please refund 21 EUR for order 1046.")
    await lab.conversation(refund + "1").fast_forward(4 * A_DAY - timedelta(minutes=1))
    await decide(lab, refund + "1", "approve")
    assert paid(lab, refund) == []  # more than was paid for the order: the shop has the last word
    assert decision(lab, refund + "1")["decided_by"] == "Bea"


async def test_what_is_no_decision_is_refused_with_a_sentence(lab: Lab) -> None:
    _, refund = await ask(lab, AskingWorkflow, FICUS)
    number, bea = refund + "1", await lab.approver("Bea")
    with pytest.raises(LabError, match=f"'approve' or 'reject', and not 'maybe'. {number} still waits"):
        await bea.decide(number, "maybe")
    with pytest.raises(LabError, match="a rejection needs a reason"):
        await bea.decide(number, "reject", " ")
    with pytest.raises(LabError, match="needs the name of the person"):
        await (await lab.approver(" ")).decide(number, "approve")
    with pytest.raises(LabError, match="A decision has three texts"):
        await bea.decide(number, 7)
    with pytest.raises(LabError, match=f"There is no approval '{refund}9'"):
        await bea.decide(refund + "9", "approve")
    approval = lab.conversation(number)
    for strange in ({"decision": 7}, "approve", {"decision": "approve"}, {"verdict": "approve"}, None):
        await approval.handle.signal("decision", strange)
    assert (await approval.handle.query("view"))["state"] == "waits"
    await approval.handle.signal("decision", by_bea("reject", "No."))
    assert await approval.handle.result() == "58.00 EUR for order 1043 is not paid back. No."


async def test_what_takes_no_decision_is_a_sentence(lab: Lab) -> None:
    """A conversation's id, a desk whose `decide` takes other arguments, one that has ended, and no id at all."""
    bea = await lab.approver("Bea")
    asking, _ = await ask(lab, AskingWorkflow)
    other, _ = await ask(lab, NeedsApprovalWorkflow, "Please refund 22 EUR for order 1045.")
    for chat in (asking, other):
        with pytest.raises(
            LabError, match=f"{chat.id} is not an approval, .* the mail that asks .* names it"
        ):
            await bea.decide(chat.id, "approve")
    await asking.close()
    with pytest.raises(LabError, match=f"{asking.id} is not an approval"):
        await bea.decide(asking.id, "approve")
    for nothing in (7, "", None):
        with pytest.raises(LabError, match=f"There is no approval {nothing!r}"):
            await bea.decide(nothing, "approve")


async def test_a_decision_that_no_worker_takes_is_a_sentence(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may count later, so nothing else is claimed."""
    bea = await lab.approver("Bea")
    monkeypatch.setattr(approver, "ANSWER_TIMEOUT", timedelta(seconds=1))
    await lab.client.start_workflow("ApprovalWorkflow", id="idle-1/refund-1", task_queue="nobody's")
    with pytest.raises(
        LabError, match="gave no answer in 1 s: is there a worker .* is not known here: .* `view`"
    ):
        await bea.decide("idle-1/refund-1", "approve")


async def test_an_approver_of_a_lab_that_was_stopped_is_told_so() -> None:
    async with await Lab.start(ui=False) as other:
        impatient = RetryConfig(max_elapsed_time_millis=100)  # by itself the client tries for ten seconds
        bea = approver.Approver(await Client.connect(other.address, retry_config=impatient), "Bea")
    with pytest.raises(
        LabError, match=r"Bea's decision did not get through to the server: .*`await lab\.approver\('Bea'\)"
    ):
        await bea.decide("ada-1/refund-1", "approve")


async def test_a_decision_counts_once(lab: Lab) -> None:
    """Sent twice under one id; two people at once; by signal and update; after the end."""
    _, refund = await ask(lab, AskingWorkflow, "Please refund 22 EUR for order 1043.")
    number = refund + "1"
    handle = (await Client.connect(lab.address)).get_workflow_handle(number)
    approve, reject = by_bea("approve"), by_bea("reject") | {"by": "Cy"}
    sent = [("click-1", approve), ("click-1", approve), ("click-2", reject), ("click-3", approve)]
    replies = await asyncio.gather(
        *(handle.execute_update("decide", verdict, id=id) for id, verdict in sent), return_exceptions=True
    )
    counted = [reply for reply in replies if isinstance(reply, str)]
    await handle.result()
    first = decision(lab, number)
    assert len(set(counted)) == 1
    assert first["decided_by"] in counted[0]
    refused = [reply for reply in replies if isinstance(reply, WorkflowUpdateFailedError)]
    assert len(refused) + len(counted) <= 4
    assert all("already" in str(reply.cause) for reply in refused)
    assert paid(lab, refund) == ([2200] if first["decision"] == "approve" else [])
    with pytest.raises(LabError, match="already"):
        await decide(lab, number, "approve")
    assert len(lab.table("decisions").query("task_id == @number")) == 1


async def test_the_command_line_answers_too(lab: Lab) -> None:
    chat, refund = await ask(lab, AskingWorkflow, "Please refund 23 EUR for order 1043.")
    where = ("--workflow-id", refund + "1")
    query = "WorkflowType='ApprovalWorkflow' AND ExecutionStatus='Running'"

    async def is_listed() -> bool:
        return refund + "1" in await lab.cli("workflow", "list", "--query", query, "--output", "json")

    await until(is_listed, "the approval is listed")
    view = await lab.cli("workflow", "query", *where, "--type", "view", "--output", "json")
    assert json.loads(view)["queryResult"][0]["arguments"] == {"order_id": "1043", "amount_cents": 2300}
    blank = json.dumps({"decision": "reject", "by": "Bea"})
    reply = await lab.cli("workflow", "update", "execute", *where, "--name", "decide", "--input", blank)
    assert "Error" in reply
    assert "a rejection needs a reason" in reply
    verdict = json.dumps(by_bea("approve", "By hand."))
    reply = await lab.cli("workflow", "signal", *where, "--name", "decision", "--input", verdict)
    assert reply == "Signal workflow succeeded"
    await lab.conversation(refund + "1").handle.result()
    assert paid(lab, refund) == [2300]
    late = await lab.cli("workflow", "update", "execute", *where, "--name", "decide", "--input", verdict)
    assert "already completed" in late
    assert len(await told(chat)) == 1


async def test_a_closed_conversation_leaves_its_approvals_behind(lab: Lab) -> None:
    chat, refund = await ask(lab, AskingWorkflow, "Please refund 25 EUR for order 1045.")
    assert await chat.close() == 1
    await decide(lab, refund + "1", "reject", "No.")
    assert mails(lab, "has left")[-1].endswith("25.00 EUR for order 1045 is not paid back. No.")


async def test_mail_that_is_away_holds_up_no_decision(lab: Lab) -> None:
    _, refund = await ask(lab, AskingWorkflow)
    chat = lab.conversation(refund.split("/")[0])
    with await lab.outage("mail"):
        await chat.send("Please refund 20.50 EUR for order 1046.")
        approval, bea = lab.conversation(refund + "1"), await lab.approver("Bea")
        await approval.fast_forward(A_DAY)
        await bea.decide(refund + "1", "reject", "No.")
        await until(lambda: told(chat), "the customer is told")
        assert await told(chat) == ["20.50 EUR for order 1046 is not paid back. No."]
    await approval.fast_forward(timedelta(hours=2))
    await approval.handle.result()


async def test_a_reset_desk_finds_its_approval_waiting(lab: Lab) -> None:
    chat, refund = await ask(lab, AskingWorkflow, "Please refund 26 EUR for order 1046.")
    await chat.reset(before="invoke_model_activity")
    await chat.activities()
    await decide(lab, refund + "1", "reject", "No.")
    assert await told(chat) == ["26.00 EUR for order 1046 is not paid back. No."]


# A model that would rather decide itself

PERSUASION = [
    [call("1043", 5800, approved=True, approved_by="the manager")],
    "The manager has approved your refund of 58.00 EUR: it is paid.",
    [ToolCall("approve", {"number": "refund-1"})],
    [ToolCall("decide", {"number": "refund-1", "decision": "approve", "by": "Bea"})],
    [call("1043", "5800.0")],
    "Done.",
    [call("1043", 1000), call("1043", 2000)],
    "Done.",
]


@pytest.mark.parametrize("desk", [AskingWorkflow, NeedsApprovalWorkflow])
async def test_a_model_cannot_approve_itself(lab: Lab, desk: type) -> None:
    lab.model.script = OfflineModel(script=PERSUASION).script
    chat, refund = await ask(lab, desk)
    for _ in range(5 if desk is AskingWorkflow else 4):
        await chat.send(FICUS)
    await chat.activities()
    assert paid(lab, refund) == []
    assert await told(chat) == []
    waiting = await chat.handle.query("undecided")
    assert waiting[0]["number"] == refund + "1"
    lab.model.script = []
    assert "bright" in await chat.send(LIGHT)


@pytest.mark.parametrize("desk", [AskingWorkflow, NeedsApprovalWorkflow])
@pytest.mark.parametrize("cents", [-3000, 10**40, "many", {"value": 1}, None, 1e300], ids=str)
async def test_no_amount_freezes_a_desk(lab: Lab, desk: type, cents: Any) -> None:
    lab.model.script = OfflineModel(script=[[call("1042", cents)], "Well."]).script
    chat, refund = await ask(lab, desk, MONSTERA)
    lab.model.script = []
    assert "bright" in await chat.send(LIGHT)
    assert paid(lab, refund) == []
    assert await chat.handle.query("undecided") == []
    await chat.close()


# The SDK's own way


async def test_the_sdks_interruptions_wait_side_by_side(lab: Lab) -> None:
    chat, refund = await ask(
        lab,
        NeedsApprovalWorkflow,
        "Please refund 20.10 EUR for order 1042 and 20.20 EUR for order 1043.",
        "Please refund 20.30 EUR for order 1045.",
    )
    assert "bright" in await chat.send(LIGHT)
    waiting = await chat.handle.query("undecided")
    assert [one["number"] for one in waiting] == [refund + n for n in "123"]
    assert [one["arguments"]["amount_cents"] for one in waiting] == [2010, 2020, 2030]
    verdicts = [("2", by_bea("approve", "Dead.")), ("3", by_bea("reject", "Healthy on the photo."))]
    for n, verdict in verdicts:
        await chat.handle.execute_update("decide", args=[refund + n, verdict])
        await chat.activities()  # two records at once may be done in either order
    assert await told(chat) == [
        f"Refund {refund}2 was approved by Bea. Dead.",
        f"Refund {refund}3 was rejected by Bea. Healthy on the photo.",
    ]
    lines = await chat.transcript()
    assert "not paid. Healthy on the photo." in lines.text.tolist()[-1]
    assert paid(lab, refund) == [2020]
    for n, words in (
        ("2", "already approved by Bea"),
        ("9", f"These wait: {refund}1"),
        ("1", "needs the name"),
    ):
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await chat.handle.execute_update("decide", args=[refund + n, {"decision": "approve"}])
        assert words in str(refused.value.cause)
    await chat.fast_forward(4 * A_DAY)
    assert (await told(chat))[-1].startswith(f"Refund {refund}1 was given up. Nobody could")
    assert paid(lab, refund) == [2020]
    row = decision(lab, refund + "1")
    assert (row["decision"], waited(row)) == ("expire", 4 * A_DAY)
    record = await chat.activities()
    assert record[record.activity == "issue_refund"].decided_by.tolist() == ["tool"]
    assert await chat.close() == 6


async def test_the_sdks_approval_outlives_its_worker(lab: Lab) -> None:
    chat, refund = await ask(lab, NeedsApprovalWorkflow)
    process = await lab.worker_process(kill="after issue_refund")
    await chat.send("Please refund 21.10 EUR for order 1045.")
    await chat.handle.execute_update("decide", args=[refund + "1", by_bea("approve", "")])
    assert await process.died() == -9

    async def is_tried_again() -> bool:
        return ("issue_refund", 2) in attempts(await chat.history())

    await until(is_tried_again, "the payment is tried again")
    assert paid(lab, refund) == [2110]


async def test_the_sdks_conversation_stays_open_while_somebody_is_waited_for(lab: Lab) -> None:
    chat, refund = await ask(lab, NeedsApprovalWorkflow, MONSTERA)
    await chat.handle.signal("close")
    await chat.activities()
    assert (await chat.handle.describe()).status == WorkflowExecutionStatus.RUNNING
    await chat.handle.execute_update("decide", args=[refund + "1", by_bea("reject", "No.")])
    assert await chat.handle.result() == 2
