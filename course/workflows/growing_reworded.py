"""Lesson 09: another prompt, another model, one more tool, another timeout. A replay minds none of it."""

from datetime import timedelta

from temporalio import workflow
from temporalio.openai_agents.workflow import activity_as_tool
from temporalio.workflow import ActivityConfig

with workflow.unsafe.imports_passed_through():
    from course import activities
    from course.workflows.policies import TOOL

from course.workflows.growing import Carried
from course.workflows.growing_patched import GrowingPerTurnWorkflow


@workflow.defn(name="GrowingWorkflow")
class GrowingRewordedWorkflow(GrowingPerTurnWorkflow):
    """The same steps in the same order: the history fits. What they are asked is another matter."""

    record = ActivityConfig(start_to_close_timeout=timedelta(seconds=60))

    @workflow.init
    def __init__(self, customer: str, carried: Carried | None = None) -> None:
        super().__init__(customer, carried)
        self.agent.instructions = "You sell plants. Recommend one in every answer."
        self.agent.model = "a-smaller-model"
        check_stock = activity_as_tool(activities.check_stock, **TOOL)
        self.agent.tools.append(check_stock)

    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> int:
        return await self.until_closed()
