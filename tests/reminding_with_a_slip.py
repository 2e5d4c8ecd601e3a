"""Reminders with a bug. (In a file of its own: the sandbox imports it.)"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from course.lessons.lesson_13 import Ended, RemindingWorkflow


@workflow.defn
class SlipReminders(RemindingWorkflow):
    @workflow.init
    def __init__(self, customer: str) -> None:
        super().__init__(customer)

    @workflow.run
    async def run(self, customer: str) -> Ended:
        return await super().run(customer)

    async def remind(self, key: str, question: str) -> None:
        await workflow.sleep(60)
        raise AttributeError(key)
