"""Records histories of the course's own workflows for `tests/test_replay.py`: `make histories`.

    python -m tests.replay.record            the scenarios that have no recording yet
    python -m tests.replay.record desk       this one anew

A recording stands for a conversation that began before today's change, so what is there is kept: made anew it would fit
any change. When a workflow gets a new step, add a scenario beside the old one. A recording goes when its workflow goes.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleSpec,
    WorkflowHistory,
    WorkflowUpdateStage,
)

from course.desk.conversation import Carried
from course.desk.listing import make_known
from course.lab import Conversation, Lab, everything, runs_of_schedule
from course.lessons import lesson_09
from course.models import Mistakes
from tests import dev_server
from tests.histories.playing import write
from tests.lab_helpers import renewed

RECORDED = Path(__file__).parent / "recorded"

# Workflows that need no recording, and why.
EXEMPT = {
    "ClockAndSetWorkflow": "its very point is that it does not replay",
}

ASKED_BY = {"ApprovalWorkflow": "AskingWorkflow"}
"""Workflows that nobody talks to, and the one that begins them. Their scenarios return what is to be recorded."""

CODE = {one.__name__: one for one in everything.versions()}
"""Every workflow class of the course, by its name."""

Play = Callable[["Stage"], Awaitable[Conversation | None]]
SCENARIOS: dict[str, tuple[str, Play | tuple[Any, ...]]] = {}
"""By name: the workflow's class and what happens in the conversation, or what a schedule hands it."""


@dataclass
class Stage:
    lab: Lab
    chat: Conversation

    async def say(self, *messages: str) -> None:
        for message in messages:
            await self.chat.send(message)

    async def decide(self, number: int, verdict: dict[str, str]) -> Conversation:
        """About one of the conversation's refunds. Returns its approval, when that has ended."""
        approval = self.lab.conversation(f"{self.chat.id}/refund-{number}")
        await approval.handle.execute_update("decide", verdict)
        await approval.handle.result()
        await self.chat.activities()
        return approval


def scenario(workflow_class: str) -> Callable[[Play], Play]:
    def register(play: Play) -> Play:
        SCENARIOS[play.__name__] = workflow_class, play
        return play

    return register


@scenario("ConversationWorkflow")
async def desk(stage: Stage) -> None:
    """A tool, none, the batch of the third message, a post, the report."""
    await stage.say("Where is order 1042?", "How much light does a Monstera need?", "Do you have a Ficus?")
    await stage.chat.handle.signal("post", args=["mail-7", "Is order 1043 late?"])
    await stage.chat.activities()
    await stage.chat.close()


@scenario("ConversationWorkflow")
async def desk_open(stage: Stage) -> None:
    """Under way: not closed. A message that is refused, and one that is posted twice."""
    await stage.say("Hello!")
    for _ in range(2):
        await stage.chat.handle.signal("post", args=["mail-7", "Is order 1043 late?"])
    await stage.chat.handle.signal("post", args=["mail-8", " "])


@scenario("ConversationWorkflow")
async def desk_apologises(stage: Stage) -> None:
    for mistake in ("refuse", "invent", "loop", "malformed"):
        stage.lab.model.mistakes = Mistakes(**{mistake: 1})
        await stage.say(f"Where is order 1042? ({mistake})")
    stage.lab.model.mistakes = Mistakes()
    await stage.chat.close()


@scenario("ConversationWorkflow")
async def desk_through_outages(stage: Stage) -> None:
    """The database away for an hour, the mailbox away for good: retries, timers of the clock, duties given up."""
    with await stage.lab.outage("database", hours=1), await stage.lab.outage("mail", permanent=True):
        reply = stage.chat.begin("Where is order 1042?")
        while not reply.done():
            await stage.chat.fast_forward(timedelta(hours=1))
        await reply
    await stage.say("Thanks!")
    await stage.chat.close()


@scenario("ConversationWorkflow")
async def desk_of_two_at_once(stage: Stage) -> None:
    both = [stage.chat.begin("Where is order 1042?"), stage.chat.begin("Do you have a Ficus?")]
    for reply in both:
        await reply
    await stage.chat.close()


@scenario("ConversationWorkflow")
async def desk_renewed(stage: Stage) -> None:
    """Two runs, since the server suggested it; a message of the first comes again in the second."""
    await stage.say("My cat is called Miso.", "Where is order 1042?")
    again = stage.chat.handle.execute_update
    await again("send", "Thanks!", id="message-3")
    await renewed(stage.chat, 2)
    await again("send", "Thanks!", id="message-3")
    await stage.say("What did I tell you about my cat?")
    await stage.chat.close()


SUGGESTS = {"desk_renewed": 60}
"""Scenarios that need a server which suggests a new run early: after so many events."""


def talk(workflow_class: str, name: str, *messages: str) -> None:
    """A scenario that is no more than a few messages and an end."""

    async def play(stage: Stage) -> None:
        await stage.say(*messages)
        await stage.chat.close()

    SCENARIOS[name] = workflow_class, play


ORDER, LIGHT = "Where is order 1042?", "How much light does a Monstera need?"
REFUND = "Please refund order 1042."
talk("HelloWorkflow", "hello", "Hello!", LIGHT)
talk("MessageAloneWorkflow", "forgetful", "Hello!", LIGHT)
talk("ToolsWorkflow", "tools", ORDER, LIGHT, "Do you have a Ficus, and where is order 1043?")
talk("RefundByFunctionWorkflow", "refund_by_function", REFUND, REFUND)
talk("RefundWithOwnWordsWorkflow", "refund_with_own_words", REFUND, REFUND)
talk("RefundByActivityWorkflow", "refund_by_activity", REFUND, REFUND)
talk("OwnToolsWorkflow", "own_tools", "What is the postage for 3 plants, and is your mail server ready?")
talk("TurnsAtOnceWorkflow", "no_lock", ORDER, LIGHT, "Thanks!")
talk("AuditedWorkflow", "audited", ORDER, LIGHT)
talk("DutyAsToolWorkflow", "duty_as_tool", ORDER, "Please don't record this.")
talk("DutyAsStepWorkflow", "duty_as_step", ORDER, "Please don't record this.")
talk("AskedNameWorkflow", "asked_name", ORDER, LIGHT)
talk("BothHandsWorkflow", "both_hands", ORDER)
talk("ProposalWorkflow", "proposal", REFUND, "Please refund order 1044, all of it.")
talk("DutiesFirstWorkflow", "duties_first", ORDER, LIGHT)
talk("ThreeAttemptsWorkflow", "three_attempts", LIGHT)
talk("TimeoutsWorkflow", "timeouts", "start_to_close", "heartbeat", "schedule_to_close")
talk("OneLoopWorkflow", "uncaught", ORDER, LIGHT)
CARD = "My card is 4111 1111 1111 1111."
talk("GuardedWorkflow", "guarded", f"{CARD} Where is order 1042?", ORDER)
talk("GuardedBesideWorkflow", "guarded_beside", CARD, ORDER)
PAY = "Please refund 5 EUR for order 1042."
talk("IntentKeyWorkflow", "intent_key", PAY, LIGHT)
talk("RandomKeyWorkflow", "random_key", PAY)
talk("RunKeyWorkflow", "run_key", PAY)
talk("TurnKeyWorkflow", "turn_key", PAY)
talk("EffectsByIntentWorkflow", "effects", PAY)
talk("EffectsByRandomKeyWorkflow", "fine_effects", PAY)
talk("EffectsByConversationWorkflow", "coarse_effects", PAY)
talk("TakeBackWorkflow", "take_back", PAY, "Please refund 60 EUR for order 1043.")
talk("MoneyFirstWorkflow", "no_way_back", PAY)


DAY = timedelta(days=1)


@scenario("RemindingWorkflow")
async def reminding(stage: Stage) -> None:
    """Reminded, then answered; reminded in vain while the mailbox is away; ended by 30 days of silence."""
    await stage.say("Where is my order?")
    await stage.chat.fast_forward(1.1 * DAY)
    with await stage.lab.outage("mail"):
        await stage.say("Where is it, then?")
        await stage.chat.fast_forward(1.01 * DAY)
        await stage.say("It is order 1042.")
    await stage.chat.fast_forward(31 * DAY)


@scenario("RemindingWorkflow")
async def reminding_closed(stage: Stage) -> None:
    await stage.say("Where is my order?")
    await stage.chat.close()


@scenario("CarriedReminderWorkflow")
async def carried_reminder(stage: Stage) -> None:
    """A new run with half a day left, and another while the mailbox is away; an answer; closed."""
    await stage.say("Where is my order?")
    await stage.chat.fast_forward(0.5 * DAY)
    await stage.chat.handle.signal("renew")
    await renewed(stage.chat, 2)
    with await stage.lab.outage("mail"):
        await stage.chat.fast_forward(0.6 * DAY)
        await stage.chat.handle.signal("renew")
        await renewed(stage.chat, 3)
    await stage.chat.fast_forward(DAY)
    await stage.say("Where is my order?", "It is order 1042.")
    await stage.chat.close()


talk("ProcessTimerWorkflow", "timer", "Where is my order?", ORDER)
talk("SweptWorkflow", "swept", "Where is my order?", ORDER)


SCENARIOS["sweep"] = "SweepWorkflow", ()
SCENARIOS["weekly_report"] = "WeeklyReportWorkflow", ()
SCENARIOS["cleanup"] = "CleanupWorkflow", (90,)


@scenario("GrowingWorkflow")
async def growing(stage: Stage) -> None:
    """Two runs, the second still under way."""
    await stage.say(ORDER, LIGHT)
    await stage.chat.handle.signal("renew")
    await stage.chat.activities()  # quiet: the new run has begun
    await stage.say("What did I ask first?")


@scenario("GrowingWorkflow")
async def growing_posted(stage: Stage) -> None:
    await stage.say(ORDER)
    await stage.chat.handle.signal("post", LIGHT)


talk("TwoOrdersWorkflow", "two_orders", "1042")


@scenario("GrowingPatchedWorkflow")
async def growing_patched(stage: Stage) -> None:
    await stage.say(ORDER, LIGHT)


@scenario("GrowingPerTurnWorkflow")
async def growing_per_turn(stage: Stage) -> None:
    """Begun with the first version, and patched from its second turn on."""
    await stage.lab.deploy(lesson_09.GrowingWorkflow)
    await stage.say(ORDER)
    await stage.lab.deploy(lesson_09.GrowingPerTurnWorkflow)
    await stage.say(LIGHT)


@scenario("ShippedWorkflow")
async def shipped(stage: Stage) -> None:
    """A turn, a question to a person, and a signal that does nothing."""
    await stage.say(ORDER)
    asked = await stage.chat.handle.start_update("ask_a_person", wait_for_stage=WorkflowUpdateStage.ACCEPTED)
    await stage.chat.handle.signal("decide", "Yes.")
    await asked.result()
    await stage.chat.handle.signal("wake")


@scenario("TicketWorkflow")
async def ticket(stage: Stage) -> None:
    """Every state, and every mover: the model, the customer, staff and the clock. At last it ends by itself."""
    await stage.say("My plant arrived dead!", "It was in order 1042.", "Thank you!", "Hello, it is me again.")
    await stage.chat.fast_forward(timedelta(days=8))
    await stage.chat.handle.execute_update("move", "reopened")
    await stage.say("Where is order 1043?")
    await stage.chat.fast_forward(timedelta(days=18))


@scenario("TicketWorkflow")
async def ticket_refuses(stage: Stage) -> None:
    """The model's proposals are refused, one after another, where it sorts and where it answers."""
    stage.lab.model.script = [json.dumps({"reply": "Closed.", "move": "closed"})] * 5
    await stage.say(ORDER)
    stage.lab.model.script = [json.dumps({"reply": "Done.", "move": "resolve"})] * 2
    await stage.say(ORDER)


talk("OneAgentWorkflow", "one_agent", PAY)
MONSTERA, FICUS = "Please refund 34 EUR for order 1042.", "Please refund 58 EUR for order 1043."
VERDICTS = [
    {"decision": "approve", "by": "Bea", "reason": "Sorry!"},
    {"decision": "reject", "by": "Bea", "reason": "It lives."},
]


@scenario("AskingWorkflow")
async def asking(stage: Stage) -> None:
    """Two that wait, a question meanwhile, both decided, one more that waits."""
    await stage.say(MONSTERA, FICUS, LIGHT)
    for number, verdict in enumerate(VERDICTS, start=1):
        await stage.decide(number, verdict)
    await stage.say("Please refund 5 EUR for order 1044.", "Please refund 26 EUR for order 1044.")


@scenario("WaitingInTurnWorkflow")
async def waiting(stage: Stage) -> None:
    reply = stage.chat.begin(MONSTERA)
    await stage.chat.activities()  # it waits
    await stage.chat.handle.signal("approve", True)
    await reply
    stage.chat.begin(FICUS)


@scenario("NeedsApprovalWorkflow")
async def needs_approval(stage: Stage) -> None:
    """Two in one run, decided one by one; a third that nobody decides about; a fourth that still waits."""
    await stage.say(f"{MONSTERA[:-1]} and 58 EUR for order 1043.", LIGHT)
    for number, verdict in enumerate(VERDICTS, start=1):
        await stage.chat.handle.execute_update("decide", args=[f"{stage.chat.id}/refund-{number}", verdict])
        await stage.chat.activities()
    await stage.say("Please refund 26 EUR for order 1044.")
    await stage.chat.fast_forward(timedelta(days=4))
    await stage.say("Please refund 27 EUR for order 1045.")


@scenario("ApprovalWorkflow")
async def approval_approved(stage: Stage) -> Conversation:
    await stage.say(MONSTERA)
    return await stage.decide(1, VERDICTS[0])


@scenario("ApprovalWorkflow")
async def approval_rejected(stage: Stage) -> Conversation:
    """By signal, after a signal that does not count."""
    await stage.say(MONSTERA)
    approval = stage.lab.conversation(f"{stage.chat.id}/refund-1")
    for verdict in ({"decision": "reject", "by": "Bea"}, VERDICTS[1]):
        await approval.handle.signal("decision", verdict)
    await approval.handle.result()
    return approval


@scenario("ApprovalWorkflow")
async def approval_unanswered(stage: Stage) -> Conversation:
    """And the conversation has ended."""
    await stage.say(MONSTERA)
    await stage.chat.close()
    approval = stage.lab.conversation(f"{stage.chat.id}/refund-1")
    for _ in range(4):
        await approval.fast_forward(timedelta(days=1))
    await approval.handle.result()
    return approval


talk("WholeMemoryWorkflow", "endless", ORDER, LIGHT)
talk("OnlyNewRunsWorkflow", "only_new_runs", ORDER, LIGHT, "Thanks!", "What did I ask first?")
talk("OnlyWindowWorkflow", "only_window", ORDER, LIGHT, "Thanks!", "Hello!", "What did I ask first?")
talk("BoundedWorkflow", "bounded", ORDER, LIGHT, "Thanks!", "Hello!", "What did I ask first?")
talk("UnpackedInRunWorkflow", "no_init", "Hello!", LIGHT, "Thanks!", "Hello!")


@scenario("ConversationWorkflow")
async def desk_listed(stage: Stage) -> Conversation:
    """A desk whose start input says that it shows itself in the server's list, and is closed."""
    code, queue = CODE["ConversationWorkflow"], stage.lab.task_queue
    await stage.lab.client.start_workflow(
        code.run, args=["bo", Carried(listed=True)], id="bo-1", task_queue=queue
    )
    listed = stage.lab.conversation("bo-1")
    for message in (ORDER, "Thanks!"):
        await listed.send(message)
    await listed.activities()
    await listed.close()
    return listed


@scenario("WatchedWorkflow")
async def watched(stage: Stage) -> None:
    """Waits for its customer, for a person, and for its customer again."""
    await stage.say("Please refund 26 EUR for order 1044.")
    await stage.decide(1, {"decision": "approve", "by": "Bea", "reason": ""})
    await stage.say("Thanks!")
    await stage.chat.close()


talk("MonitoringWorkflow", "monitoring", ORDER, "Thanks!")


# Recording


async def record(lab: Lab, workflow_class: str, play: Play | tuple[Any, ...]) -> list[WorkflowHistory]:
    """The runs of one conversation, the first first; or the run that a schedule started."""
    code = CODE[ASKED_BY.get(workflow_class, workflow_class)]
    if isinstance(play, tuple):
        return [await record_scheduled(lab, code, play)]
    if code not in everything.workflows():
        await lab.deploy(code)
    chat = await lab.converse(code, "ada")
    played = await play(Stage(lab, chat)) or chat
    await played.activities()  # quiet
    return await played.record.histories()


async def record_scheduled(lab: Lab, code: type, arguments: tuple[Any, ...]) -> WorkflowHistory:
    action = ScheduleActionStartWorkflow(code.run, args=arguments, id="job", task_queue=lab.task_queue)
    schedule = await lab.client.create_schedule("job", Schedule(action=action, spec=ScheduleSpec()))
    await schedule.trigger()
    [run] = (await runs_of_schedule(lab.client, schedule, 1)).itertuples()
    handle = lab.client.get_workflow_handle(run.workflow, run_id=run.run_id)
    return await handle.fetch_history()


def without_recording() -> list[str]:
    """The workflows that have neither a scenario nor a reason for having none."""
    recorded = {workflow_class for workflow_class, _ in SCENARIOS.values()}
    return [one.__name__ for one in everything.workflows() if one.__name__ not in recorded | set(EXEMPT)]


async def main(names: list[str]) -> None:
    if unknown := set(names) - set(SCENARIOS):
        sys.exit(f"No scenario is called {', '.join(sorted(unknown))}. There are: {', '.join(SCENARIOS)}.")
    for name in names or [name for name in SCENARIOS if not (RECORDED / f"{name}.json").exists()]:
        async with AsyncExitStack() as stack:
            address = None
            if name in SUGGESTS:
                address = await stack.enter_async_context(dev_server.that_suggests(SUGGESTS[name]))
            lab = await stack.enter_async_context(await Lab.start(ui=False, address=address))
            await make_known(lab.client)
            runs = await record(lab, *SCENARIOS[name])
        write(RECORDED / f"{name}.json", runs, workflow=SCENARIOS[name][0])
        print(f"{name}: {sum(len(run.events) for run in runs)} events", flush=True)
    if missing := without_recording():
        print(f"Without a recording: {', '.join(missing)}. Add a scenario to {Path(__file__).name}.")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
