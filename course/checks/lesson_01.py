"""Exercise 01: make an agent durable."""

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
from course.checks.talking import MODEL_CALL, Scenes, Talk, lab_for, workflow_class
from course.checks.verdict import NotYet, quoted, shortened
from course.desk.plugin import agents_plugin
from course.models import model_provider

FACT = "My favourite plant is the Calathea."
ASKED = "What is my favourite plant?"
OUTAGE = 2


async def check(module: Any) -> str:
    durable = workflow_class(module, "DurableAgent")
    async with lab_for(module, [durable], Scenes(down={ASKED: OUTAGE})) as lab:
        ada = await lab.converse(durable, "ada")
        ben = await lab.converse(durable, "ben")
        await ada.says(FACT)
        await ben.says("My favourite colour is green.")

        answer = await ada.says(ASKED)
        if "Calathea" not in answer:
            raise NotYet(f"""Ada wrote {quoted(FACT)} and then {quoted(ASKED)}, and the agent said:
                {quoted(answer)} It was given only the last message: it forgets what came before.""")
        if "Calathea" in await ben.says(ASKED):
            raise NotYet("""Ben was told what Ada's favourite plant is: both conversations share one memory.
                Keep state on `self`, one object for each workflow, and not in the module or the class.""")
        if "green" not in await ben.says("What is my favourite colour?"):
            raise NotYet("""After three messages the agent has forgotten the first one. Each run's to_input_list()
                holds everything that this run was given and said, so it replaces the memory you had.""")
        attempts = [await _one_model_call_a_turn(ada, 2), await _one_model_call_a_turn(ben, 3)][0]
        await ada.ends()
        await ben.ends()
        histories = [await ada.history(), await ben.history()]
    await _replay(durable, histories)
    return f"""two customers, five turns, five completed model calls. The model was down twice, and its call
        succeeded at attempt {attempts}; neither conversation knows of the other; both histories replay."""


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

    It runs without the sandbox, which would hide that a module's variables are shared by all workflows.
    """
    heard = _Heard()
    replayer = Replayer(
        workflows=[durable],
        plugins=[agents_plugin(model_provider(None)[1])],
        interceptors=[heard],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    for history in histories:
        heard.said.clear()
        result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
        if result.replay_failure is not None:
            said = str(result.replay_failure)
            fails = f"Replayed on its own history, your workflow fails: {shortened(said)}"
            raise NotYet(meaning(said) or fails)
    if any("Calathea" in said for said in heard.said):
        raise NotYet("""A worker without the sandbox hands Ben's agent what Ada wrote: the memory is a variable of
            the module or the class, shared by all customers. Keep it on `self`.""")


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
                said.append(str(input.args))
                return super().start_activity(input)

        class Inbound(WorkflowInboundInterceptor):
            def init(self, outbound: WorkflowOutboundInterceptor) -> None:
                super().init(Outbound(outbound))

        return Inbound
