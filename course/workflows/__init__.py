"""One workflow a file, in lesson order. A file that shows the naive way says so in its name.

A workflow is loaded when its name is first used (PEP 562): every conversation imports its workflow's file
anew in Temporal's sandbox, and with an eager list here it would import all the others beside it.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "HelloWorkflow": "hello",  # 01
    "NaiveForgetfulWorkflow": "naive_forgetful",
    "NaiveUnrepeatableWorkflow": "naive_unrepeatable",
    "ToolsWorkflow": "tools",  # 02
    "RefundByActivityWorkflow": "tool_errors",
    "RefundByFunctionWorkflow": "tool_errors",
    "RefundWithOwnWordsWorkflow": "tool_errors",
    "ConversationWorkflow": "conversation",  # 03
    "NaiveNoLockWorkflow": "naive_no_lock",
    "AuditedWorkflow": "audited",
    "DutyAsToolWorkflow": "duty_as_tool",  # 04
    "DutyAsStepWorkflow": "duty_as_step",
    "BothHandsWorkflow": "both_hands",
    "ProposalWorkflow": "proposal",
    "NaiveDutiesFirstWorkflow": "naive_duties_first",  # 05
    "NaiveThreeAttemptsWorkflow": "naive_three_attempts",
    "TimeoutsWorkflow": "timeouts",
    "NaiveUncaughtWorkflow": "naive_uncaught",  # 06
    "GuardedWorkflow": "guarded",
    "IntentKeyWorkflow": "refunds",  # 07
    "NaiveRandomKeyWorkflow": "naive_keys",
    "NaiveRunKeyWorkflow": "naive_keys",
    "NaiveTurnKeyWorkflow": "naive_keys",
    "EffectsByIntentWorkflow": "effects",
    "NaiveFineEffectsWorkflow": "naive_effects",
    "NaiveCoarseEffectsWorkflow": "naive_effects",
    "SagaWorkflow": "saga",
    "NaiveNoWayBackWorkflow": "naive_no_way_back",
    "GrowingWorkflow": "growing",  # 09
    "AskingWorkflow": "asking",  # 10
    "ApprovalWorkflow": "approval",
    "NeedsApprovalWorkflow": "needs_approval",
    "NaiveWaitingWorkflow": "naive_waiting",
    "TicketWorkflow": "ticket",  # 11
    "NaiveOneAgentWorkflow": "naive_one_agent",
    "NaiveEndlessWorkflow": "naive_endless",  # 12
    "OnlyNewRunsWorkflow": "long_runs",
    "OnlyWindowWorkflow": "long_runs",
    "BoundedWorkflow": "long_runs",
    "NaiveNoInitWorkflow": "naive_no_init",
    "RemindingWorkflow": "reminding",  # 13
    "NaiveTimerWorkflow": "naive_reminders",
    "NaiveSweptWorkflow": "naive_reminders",
    "NaiveSweepWorkflow": "naive_reminders",
    "WeeklyReportWorkflow": "weekly_report",
    "CleanupWorkflow": "cleanup",
}
# Other versions of a workflow, under its name for Temporal: a worker runs one of them, so ALL has none.
_VERSIONS = {
    "NaiveGrowingWorkflow": "naive_growing",  # 09
    "GrowingPatchedWorkflow": "growing_patched",
    "GrowingPerTurnWorkflow": "growing_patched",
    "GrowingRewordedWorkflow": "growing_reworded",
    "ThawedEndlessWorkflow": "thawed",  # 12
}

__all__ = [*_HOME, *_VERSIONS, "ALL"]


def __getattr__(name: str) -> Any:
    if name == "ALL":
        return [__getattr__(workflow) for workflow in _HOME]
    home = _HOME | _VERSIONS
    if name not in home:
        raise AttributeError(f"module 'course.workflows' has no attribute {name!r}")
    return getattr(import_module(f"course.workflows.{home[name]}"), name)


def __dir__() -> list[str]:
    return __all__
