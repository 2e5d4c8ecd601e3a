"""What lessons keep beside the desk's own rows: tool calls (03), decisions of a person (10), moves of a ticket (11)."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sql
from temporalio import activity
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from course.desk.activities import refusals_are_final
from course.desk.services import current_services
from course.lessons.record_tables import decisions, moves, tool_calls


class MoveRecord(TypedDict):
    """One move of a ticket that somebody asked for."""

    ticket: str
    from_state: str
    to_state: str
    by: str
    outcome: str  # `moved` or `refused`


class DecisionRecord(TypedDict):
    """Who decided about a refund, when and why. Times are ISO 8601, by the workflow's clock."""

    customer: str
    order_id: str
    amount_cents: int
    decision: str
    decided_by: str
    reason: str
    asked_at: str
    decided_at: str


@activity.defn
def record_tool_call(task_id: str, tool: str, arguments: str) -> str:
    """Keep an audit row of one tool call.

    Args:
        task_id: The key of the row: the turn, and the id of the call.
        tool: The tool that the model called.
        arguments: With what, as JSON text.
    """
    return _keep(tool_calls, task_id, {"tool": tool, "arguments": arguments})


@activity.defn
def record_move(task_id: str, move: MoveRecord) -> str:
    """Keep one move of a ticket, permitted or refused.

    Args:
        task_id: The key of the move: the ticket, and the move's number.
        move: From where to where, by whom, and what became of it.
    """
    return _keep(moves, task_id, move)


@activity.defn
def record_decision(task_id: str, data: DecisionRecord) -> str:
    """Keep who decided about a refund, when and why.

    Args:
        task_id: The refund's number. A second, other decision under it is refused.
        data: The decision.
    """
    return _keep(decisions, task_id, data)


def _keep(table: sql.Table, task_id: str, row: Mapping[str, Any]) -> str:
    with refusals_are_final():
        new = current_services().database.insert_once(table, {"task_id": task_id, **row})
    return "recorded" if new else "already recorded"
