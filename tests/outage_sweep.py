"""Conversations in which activities fail again and again, and what that costs beside a turn in one piece.

`talk` has one conversation whose activities fail by plan, on its own virtual clock. `model_calls_of` counts how often
the model was asked, for the course's desk and for one whose whole turn is a single activity.
"""

import asyncio
import contextlib
import functools
from collections import Counter
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from agents import Agent, Runner, function_tool
from temporalio import activity, workflow
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from course import Lab, LabError
from course.desk import ConversationWorkflow, activities, plugin
from course.desk.conversation import INSTRUCTIONS
from course.desk.policies import BACKGROUND
from course.lab import Conversation, everything
from course.lab.outages import OutageInterceptor
from course.lab.running import RunningWorker
from course.lessons.plain_conversation import PlainConversation
from course.models import OfflineModel
from tests.lab_helpers import attempts

MODEL = "invoke_model_activity"
ACTIVITIES = (MODEL, "look_up_order", "check_stock", "save_to_database", "send_notification")
ACTIVITIES += ("process_batch", "generate_report")
OTHERWISE = ("file", "details")
"""What is another in every conversation: the report's name, and when a turn was."""

MESSAGES = ("Where is order 1042?", "Do you have a Ficus?", "Hello!")

Plan = Mapping[str, int]
"""How often each activity fails, by its type."""


class FailingLab(Lab):
    """A lab whose activities fail as `plans` says of their conversation.

    Odd attempts do their work, and their answer is lost; even ones fail before it. So each failure that a service can
    have is met, and a key that does not hold leaves a second row, mail or file.
    """

    plans: dict[str, Plan]

    @classmethod
    async def start(cls, **options: Any) -> "FailingLab":
        # A busy machine is no dead worker: attempts are counted exactly here.
        patient = replace(plugin.MODEL_CALLS, heartbeat_timeout=None)
        lab = await super().start(model_calls=patient, **options)
        lab.plans = {}
        outages = OutageInterceptor(lab.world.services, lab.failures)
        outages.intercept_activity = lambda after: _Failing(  # type: ignore[method-assign]
            OutageInterceptor.intercept_activity(outages, after), lab.plans
        )
        workers = lab.workers
        await workers.stop_kernels()
        workers.kernel = RunningWorker(lab.client, workers.settings, [outages])
        await workers.kernel.start()
        return lab


class _Failing(ActivityInboundInterceptor):
    def __init__(self, after: ActivityInboundInterceptor, plans: dict[str, Plan]) -> None:
        super().__init__(after)
        self._plans = plans

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        fails = info.attempt <= self._plans.get(info.workflow_id or "", {}).get(info.activity_type, 0)
        if fails and info.attempt % 2 == 0:
            raise ConnectionError("The service cannot be reached.")
        result = await super().execute_activity(input)
        if fails:
            raise ConnectionError("The service has done it, and its answer was lost.")
        return result


@dataclass
class Talked:
    state: dict[str, list[Any]]
    """What a conversation came to. Ids and the customer's name are taken out, so that two of them can be compared."""
    attempts: list[tuple[str, int]]


async def until_there(chat: Conversation, something: Awaitable[Any]) -> Any:
    """Moves the conversation's clock through its retries until something has come."""
    waiting = asyncio.ensure_future(something)
    while not waiting.done():
        await asyncio.wait([waiting], timeout=0.1)
        if not waiting.done() and (await chat.pending())["last failure"].notna().any():
            with contextlib.suppress(LabError):  # it has ended meanwhile
                await chat.fast_forward(timedelta(minutes=3))
    return await waiting


async def talk(lab: FailingLab, customer: str, plan: Plan) -> Talked:
    """One conversation: three turns and its end."""
    chat = await lab.converse(ConversationWorkflow, customer)
    lab.plans[chat.id] = plan
    replies = [await until_there(chat, chat.begin(text, timeout=120)) for text in MESSAGES]
    await until_there(chat, chat.close(timeout=120))

    def anonymous(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value == "already saved":  # the note of a save whose first answer was lost
            return "saved"
        return value.replace(chat.id, "ID").replace(customer, "CUSTOMER")

    def rows(name: str) -> list[dict[str, Any]]:
        table = lab.table(name)
        own = table[table.task_id.str.startswith(f"{chat.id}/") | (table.task_id == chat.id)]
        return [
            {key: anonymous(value) for key, value in row.items() if key not in OTHERWISE}
            for row in own.sort_values("task_id").to_dict("records")
        ]

    record = attempts(await chat.history())
    state = {name: rows(name) for name in ("turns", "batches", "reports")} | {
        "replies": replies,
        "transcript": [
            (str(turn), role, anonymous(text) if "report" not in text else "report")
            for turn, role, text in (await chat.transcript()).itertuples(index=False)
        ],
        "mails": sorted(anonymous(one) for one in lab.inbox().subject if one.startswith(f"{customer} ")),
        "model calls": [name for name, _ in record if name == MODEL],
    }
    return Talked(state, record)


# How often the model is asked


class WholeTurns:
    """A turn in one piece: what failed in it before, by conversation, turn and step."""

    def __init__(self, model: OfflineModel) -> None:
        self.model = model
        self.plans: dict[str, Plan] = {}
        self._met: Counter[tuple[str, str]] = Counter()

    def meet(self, task_id: str, step: str) -> None:
        """Raises as often as the plan says, and is quiet then."""
        conversation = task_id.split("/")[0]
        if self._met[task_id, step] < self.plans.get(conversation, {}).get(step, 0):
            self._met[task_id, step] += 1
            raise ConnectionError(f"{step} failed.")

    @activity.defn(name="whole_turn")
    async def whole_turn(self, task_id: str, text: str) -> str:
        def tool(step: Any) -> Any:
            @functools.wraps(step)
            def run(argument: str) -> str:
                self.meet(task_id, step.__name__)
                return step(argument)

            return function_tool(run, failure_error_function=None)

        def look_up_order(order_id: str) -> str:
            """Look up an order of the shop: what, how many, paid, and its state."""
            return activities.look_up_order(activities.Customer("ada"), order_id)

        tools = [tool(look_up_order), tool(activities.check_stock)]
        agent = Agent(name="Juniper", instructions=INSTRUCTIONS, model=self.model, tools=tools)
        answer = str((await Runner.run(agent, text)).final_output)
        self.meet(task_id, "save_to_database")
        record = activities.TurnRecord(message=text, answer=answer)
        await asyncio.to_thread(activities.save_to_database, task_id, record)
        self.meet(task_id, "send_notification")
        await asyncio.to_thread(activities.send_notification, task_id, text, "email")
        return answer


@workflow.defn(sandboxed=False)  # a test's workflow, in a file that imports the lab
class WholeTurnWorkflow(PlainConversation):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(Agent(name="nobody"))

    @workflow.run
    async def run(self, customer: str) -> int:
        return await self.until_closed()

    async def turn(self, text: str) -> str:
        return await workflow.execute_activity("whole_turn", args=[self.key, text], **BACKGROUND)


async def model_calls_of(plan: Plan) -> tuple[int, int]:
    """How often the model was asked in three turns: by the course's desk, and by one whose turn is one activity.

    Args:
        plan: What fails, and how often in each turn: tools, `save_to_database`, `send_notification`.
    """
    model = OfflineModel()
    naive = WholeTurns(model)
    async with await FailingLab.start(
        workflows=[ConversationWorkflow, WholeTurnWorkflow],
        activities=[*everything.activities(), naive.whole_turn],
        model=model,
        ui=False,
    ) as lab:
        ours = await talk(lab, "ada", plan)
        before = model.attempts
        chat = await lab.converse(WholeTurnWorkflow, "ada")
        naive.plans[chat.id] = plan
        for text in MESSAGES:
            await until_there(chat, chat.begin(text, timeout=120))
        return len(ours.state["model calls"]), model.attempts - before
