"""The desk with one thing changed. (In a file of its own: the sandbox imports it.)"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from course.desk import ConversationWorkflow, activities
    from course.desk.conversation import Carried, Turn
    from course.desk.policies import BACKGROUND
    from course.lessons.lesson_13 import RemindingWorkflow
    from tests.gap import GAP
    from tests.inheriting import inherits_run


@workflow.defn
@inherits_run
class WebhookDesk(ConversationWorkflow):
    """Another channel for its notices."""

    async def _tell_the_team(self, turn: Turn) -> None:
        args = [self._key(turn), turn.message, "webhook"]
        await self._step(turn, "notice", activities.send_notification, args, BACKGROUND)


@workflow.defn
@inherits_run
class SlipDesk(ConversationWorkflow):
    """A bug in a background duty."""

    async def _tell_the_team(self, turn: Turn) -> None:
        if turn.number == 2:
            turn.notes["misspelt"]
        await super()._tell_the_team(turn)


@workflow.defn(name="SlipDesk")
@inherits_run
class MendedDesk(ConversationWorkflow):
    """And without it."""


@workflow.defn
@inherits_run
class SlipReminders(RemindingWorkflow):
    """Reminders with a bug."""

    async def remind(self, key: str, question: str) -> None:
        await workflow.sleep(60)
        raise AttributeError(key)


@workflow.defn
@inherits_run
class ShortRunsDesk(ConversationWorkflow):
    """What takes sixty turns takes two."""

    renew_after = 45  # two turns are some 56 events, fewer where a busy worker does more in one task


@workflow.defn
@inherits_run
class LingeringNoticeDesk(ShortRunsDesk):
    """Its notice takes as long as its customer takes to write twice more: some duty is always at work."""

    async def _tell_the_team(self, turn: Turn) -> None:
        await workflow.wait_condition(
            lambda: self._closing or self._renewal.holding or self._count() > turn.number + 1
        )
        await super()._tell_the_team(turn)


@workflow.defn
@inherits_run
class GapDesk(ShortRunsDesk):
    """Lingers between its decision for a new run and the run's end, as on a slow machine."""

    def _carry(self) -> Carried:
        if not workflow.unsafe.is_replaying():
            with workflow.unsafe.sandbox_unrestricted():
                GAP.linger()
        return super()._carry()
