"""One workflow a file, in lesson order. A file that shows the naive way says so in its name."""

from course.workflows.audited import AuditedWorkflow
from course.workflows.both_hands import BothHandsWorkflow
from course.workflows.conversation import ConversationWorkflow
from course.workflows.duty_as_step import DutyAsStepWorkflow
from course.workflows.duty_as_tool import DutyAsToolWorkflow
from course.workflows.hello import HelloWorkflow
from course.workflows.naive_forgetful import NaiveForgetfulWorkflow
from course.workflows.naive_no_lock import NaiveNoLockWorkflow
from course.workflows.naive_unrepeatable import NaiveUnrepeatableWorkflow
from course.workflows.proposal import ProposalWorkflow
from course.workflows.tool_errors import (
    RefundByActivityWorkflow,
    RefundByFunctionWorkflow,
    RefundWithOwnWordsWorkflow,
)
from course.workflows.tools import ToolsWorkflow

ALL = [
    HelloWorkflow,  # 01
    NaiveForgetfulWorkflow,
    NaiveUnrepeatableWorkflow,
    ToolsWorkflow,  # 02
    RefundByActivityWorkflow,
    RefundByFunctionWorkflow,
    RefundWithOwnWordsWorkflow,
    ConversationWorkflow,  # 03
    NaiveNoLockWorkflow,
    AuditedWorkflow,
    DutyAsToolWorkflow,  # 04
    DutyAsStepWorkflow,
    BothHandsWorkflow,
    ProposalWorkflow,
]

__all__ = [workflow.__name__ for workflow in ALL] + ["ALL"]
