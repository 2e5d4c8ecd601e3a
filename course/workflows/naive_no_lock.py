"""Lesson 03, the naive way: no lock, so two messages at once take the same number."""

from agents import Agent, Runner
from temporalio import workflow
from temporalio.openai_agents.workflow import activity_as_tool

with workflow.unsafe.imports_passed_through():
    from course import activities
    from course.workflows.policies import RECORD, TOOL

from course.workflows.plain import INSTRUCTIONS


@workflow.defn
class NaiveNoLockWorkflow:
    @workflow.init
    def __init__(self, customer: str) -> None:
        tools = [
            activity_as_tool(activities.look_up_order, **TOOL),
            activity_as_tool(activities.check_stock, **TOOL),
        ]
        self._agent = Agent(name="Juniper", instructions=INSTRUCTIONS, tools=tools)
        self._messages: list[str] = []
        self._closing = False

    @workflow.run
    async def run(self, customer: str) -> int:
        await workflow.wait_condition(
            lambda: self._closing and workflow.all_handlers_finished()
        )
        return len(self._messages)

    @workflow.update
    async def send(self, text: str) -> str:
        number = len(self._messages) + 1  # read here …
        result = await Runner.run(self._agent, text)
        answer = str(result.final_output)
        record = activities.TurnRecord(
            conversation=workflow.info().workflow_id,
            turn=number,
            message=text,
            answer=answer,
        )
        key = str(
            workflow.uuid4()
        )  # … and a key that says nothing, so nobody can refuse the repeat
        await workflow.execute_activity(
            activities.save_to_database, args=[key, record], **RECORD
        )
        self._messages.append(text)  # … written here: another message came in between
        if number % 3 == 0:
            await workflow.execute_activity(
                activities.process_batch,
                args=[key, self._messages[-3:], number // 3],
                **RECORD,
            )
        return answer

    @workflow.signal
    def close(self) -> None:
        self._closing = True
