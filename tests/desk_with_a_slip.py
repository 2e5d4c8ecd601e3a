"""The desk with a bug in a background duty, and mended. (In a file of its own: the sandbox imports it.)"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from course.desk import ConversationWorkflow
    from course.desk.conversation import Carried, Summary, Turn


@workflow.defn
class SlipDesk(ConversationWorkflow):
    @workflow.init
    def __init__(self, customer: str, carried: Carried | None = None) -> None:
        super().__init__(customer, carried)

    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> Summary:
        return await super().run(customer, carried)

    async def _tell_the_team(self, turn: Turn) -> None:
        if turn.number == 2:
            turn.notes["misspelt"]
        await super()._tell_the_team(turn)


@workflow.defn(name="SlipDesk")
class MendedDesk(ConversationWorkflow):
    @workflow.init
    def __init__(self, customer: str, carried: Carried | None = None) -> None:
        super().__init__(customer, carried)

    @workflow.run
    async def run(self, customer: str, carried: Carried | None = None) -> Summary:
        return await super().run(customer, carried)
