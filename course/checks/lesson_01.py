"""Exercise 01: make an agent durable."""

import asyncio
import json
from datetime import timedelta
from typing import Any

from temporalio.client import WorkflowHistory
from temporalio.worker import (
    Interceptor,
    Replayer,
    StartActivityInput,
    UnsandboxedWorkflowRunner,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from course.checks.complaints import meaning
from course.checks.talking import MODEL_CALL, NoReply, Scenes, Talk, lab_for, workflow_class
from course.checks.verdict import NotYet, quoted, shortened
from course.checks.waiting import on_this_machine
from course.desk.plugin import agents_plugin
from course.history import event_table
from course.models import model_provider

FACT = "My favourite plant is the Calathea."
ASKED = "What is my favourite plant?"
FIRST, SECOND = "My balcony faces the north.", "My fern lives in the bathroom."
LAST = "One more thing: do you have gift cards?"
OUTAGE = 2
UNTIL_TOLD = 1_000_000


async def check(module: Any) -> str:
    durable = workflow_class(module, "DurableAgent")
    model = Scenes(down={ASKED: OUTAGE})
    async with lab_for(module, [durable], model) as lab:
        ada = await lab.converse(durable, "ada")
        ben = await lab.converse(durable, "ben")
        welcome = await ada.says(FACT)
        await ben.says("My favourite colour is green.")

        answer = await ada.says(ASKED)
        given = await _given(ada)
        if "Calathea" not in answer and not _holds(given, FACT):
            raise NotYet(f"""Ada wrote {quoted(FACT)} and then {quoted(ASKED)}, and the agent said:
                {quoted(answer)} It was given only the last message: it forgets what came before.""")
        if "Calathea" not in answer:
            raise NotYet(f"""Ada wrote {quoted(FACT)} and then {quoted(ASKED)}, and the agent said:
                {quoted(answer)} What she wrote first was there, inside another text. Hand the conversation over as a
                list of messages, each with its role: a model can then tell who said what.""")
        if not _holds(given, welcome):
            raise NotYet(f"""The agent had answered {quoted(welcome)} In the next turn it was given what Ada had
                written, and not what it had said itself. Each run's to_input_list() holds both.""")
        if "Calathea" in await ben.says(ASKED):
            raise NotYet("""Ben was told what Ada's favourite plant is: both conversations share one memory.
                Keep state on `self`, one object for each workflow, and not in the module or the class.""")
        if "green" not in await ben.says("What is my favourite colour?"):
            raise NotYet("""After three messages the agent has forgotten the first one. Each run's to_input_list()
                holds everything that this run was given and said, so it replaces the memory you had.""")
        attempts = [await _one_model_call_a_turn(ada, 2), await _one_model_call_a_turn(ben, 3)][0]
        await _two_at_once(ada, model)
        idle = len(await _timers(ben))
        await ben.fast_forward(timedelta(minutes=1))
        polls = len(await _timers(ben)) - idle
        await _closed_in_a_turn(ada, model)
        await ben.ends()
        histories = [await ada.history(), await ben.history()]
    await _replay(durable, histories)
    if polls:
        raise NotYet("""Nobody wrote for a minute, and your workflow set timers in it: `run` looks again and
            again. Each look stays in the history. workflow.wait_condition waits without one.""")
    return f"""two customers, nine turns, nine completed model calls. The model was down twice, and its call
        succeeded at attempt {attempts}; neither conversation knows of the other; two messages at once were both
        remembered; one that was in flight at the end was answered; both histories replay."""


async def _given(chat: Talk) -> str:
    """What its last model call was given of the conversation, as JSON."""
    return json.dumps((await chat.rows(MODEL_CALL)).input.iloc[-1][0]["input"])


def _holds(given: str, text: str) -> bool:
    return json.dumps(text)[1:-1] in given


async def _timers(chat: Talk) -> list[Any]:
    events = (await chat.history()).events
    return [event for event in events if event.HasField("timer_started_event_attributes")]


async def _under_way(chat: Talk, model: Scenes, message: str) -> asyncio.Task[str]:
    """Sends a message whose model call is down until somebody says otherwise."""
    model.down[message] = UNTIL_TOLD
    reply = asyncio.create_task(chat.says(message))
    while not reply.done() and (await chat.pending()).empty:
        await asyncio.sleep(0.01)
    return reply


async def _two_at_once(chat: Talk, model: Scenes) -> None:
    """The second message comes while the first one waits for the model. Afterwards both are remembered."""
    first = await _under_way(chat, model, FIRST)
    second = asyncio.create_task(chat.says(SECOND))
    while not (SECOND in str((await chat.history()).events) or second.done()):
        await asyncio.sleep(0.01)
    await asyncio.wait([second], timeout=on_this_machine(0.3))  # without a lock it is answered now
    model.down[FIRST] = 0
    await first, await second
    await chat.says("Thanks!")
    given = await _given(chat)
    for message in (FIRST, SECOND):
        if not _holds(given, message):
            raise NotYet(f"""Two messages came at once, and later the agent was not given {quoted(message)} While one
                run waited for the model, the other read the same memory, and whichever ended last wrote over it. Let one
                wait for the other: async with an asyncio.Lock() around the whole turn.""")


async def _closed_in_a_turn(chat: Talk, model: Scenes) -> None:
    """The conversation is closed while a message waits for the model. It is answered, and then it ends."""
    reply = await _under_way(chat, model, LAST)
    ending = asyncio.create_task(chat.ends())
    while not ending.done() and "close" not in event_table(await chat.history()).detail.tolist():
        await asyncio.sleep(0.01)
    await chat.record.quiet()
    model.down[LAST] = 0
    try:
        await reply
    except NoReply:
        ending.cancel()
        raise NotYet(f"""The conversation was closed while {quoted(LAST)} waited for the model, and the message got no
            reply: `run` had returned, and that cut it off. Let `run` wait for workflow.all_handlers_finished(), too.
            """) from None
    await ending


async def _one_model_call_a_turn(chat: Talk, turns: int) -> int:
    """Every turn has one model call on record, and it completed. Returns the attempts of the last but one."""
    record = await chat.activities()
    calls = record[record.activity == MODEL_CALL]
    if len(calls) != turns:
        raise NotYet(f"""{turns} turns left {len(calls)} model calls on record. Each message is one run of the
            agent, in the workflow. Temporal repeats a call that fails, so your code does not have to.""")
    return int(calls.attempts.iloc[1])


async def _replay(durable: type, histories: list[WorkflowHistory]) -> None:
    """A worker that has nothing but your code and the histories must come to the same state.

    Twice: it runs without the sandbox, which would hide that a module's variables are shared by all workflows.
    """
    heard = _Heard()
    replayer = Replayer(
        workflows=[durable],
        plugins=[agents_plugin(model_provider(None)[1])],
        interceptors=[heard],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    for history in histories:
        told = []
        for _ in range(2):
            heard.said.clear()
            result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
            if result.replay_failure is not None:
                said = str(result.replay_failure)
                fails = f"Replayed on its own history, your workflow fails: {shortened(said)}"
                raise NotYet(meaning(said) or fails)
            told.append([*heard.said])
        if told[0] != told[1]:
            raise NotYet("""A worker that runs your workflow a second time hands the agent what it knew from the first
                time: the memory is a variable of the module or the class, and outlives the conversation. Keep it on
                `self`.""")


class _Heard(Interceptor):
    """What the workflow hands to its model calls."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        said = self.said

        class Outbound(WorkflowOutboundInterceptor):
            def start_activity(self, input: StartActivityInput) -> Any:
                said.extend(
                    str(one["input"]) for one in input.args if isinstance(one, dict) and "input" in one
                )
                return super().start_activity(input)

        class Inbound(WorkflowInboundInterceptor):
            def init(self, outbound: WorkflowOutboundInterceptor) -> None:
                super().init(Outbound(outbound))

        return Inbound
