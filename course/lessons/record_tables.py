"""The tables of `records`, `stock` and `till`, beside the desk's. In a file of their own: a table is made once in a process, and a
workflow's sandbox imports its lesson's modules again."""

import sqlalchemy as sql

from course.desk.services.database import new_table

tool_calls = new_table("tool_calls", "task_id", tool=sql.String, arguments=sql.Text)
moves = new_table(
    "moves",
    "task_id",
    ticket=sql.String,
    from_state=sql.String,
    to_state=sql.String,
    by=sql.String,
    outcome=sql.String,
)
decisions = new_table(
    "decisions",
    "task_id",  # the number of what was decided
    customer=sql.String,
    order_id=sql.String,
    amount_cents=sql.BigInteger,
    decision=sql.String,
    decided_by=sql.String,
    reason=sql.Text,
    asked_at=sql.String,
    decided_at=sql.String,
)
stock_moves = new_table("stock_moves", "task_id", plant=sql.String, quantity=sql.Integer)
refunds = new_table("refunds", "refund_id", order_id=sql.String, amount_cents=sql.Integer)
