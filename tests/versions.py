"""The desk as its next version might be. (In a file of its own: the sandbox imports it.)"""

from dataclasses import dataclass

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from course.desk import ConversationWorkflow
    from course.desk.conversation import Carried, Summary, Turn


@dataclass
class NewerCarried(Carried):
    """With a field that the version before does not know."""

    since: str = "v1"


@workflow.defn(name="ConversationWorkflow")
class NewerDesk(ConversationWorkflow):
    """Another sequence of commands (the team is told before the turn is on record), and more to carry."""

    @workflow.init
    def __init__(self, customer: str, carried: NewerCarried | None = None) -> None:
        super().__init__(customer, carried)
        self.since = carried.since if carried else "v2"

    @workflow.run
    async def run(self, customer: str, carried: NewerCarried | None = None) -> Summary:
        return await super().run(customer, carried)

    async def _save(self, turn: Turn, answer: str, outcome: str) -> None:
        turn.outcome = outcome
        await super()._tell_the_team(turn)
        await super()._save(turn, answer, outcome)

    async def _tell_the_team(self, turn: Turn) -> None:
        """It has been told."""

    def _carry(self) -> NewerCarried:
        return NewerCarried(**vars(super()._carry()), since=self.since)

    @workflow.query
    def began_on(self) -> str:
        return self.since
