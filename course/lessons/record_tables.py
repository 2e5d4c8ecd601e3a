"""The tables of `records`, `stock` and `till`, beside the desk's. In a file of their own: a table is made once in a process, and a
workflow's sandbox imports its lesson's modules again."""

import sqlalchemy as sql

from course.desk.services import database

tool_calls = sql.Table(
    "tool_calls",
    database.metadata,
    sql.Column("task_id", sql.String, primary_key=True),
    sql.Column("tool", sql.String),
    sql.Column("arguments", sql.Text),
)
moves = sql.Table(
    "moves",
    database.metadata,
    sql.Column("task_id", sql.String, primary_key=True),
    sql.Column("ticket", sql.String),
    sql.Column("from_state", sql.String),
    sql.Column("to_state", sql.String),
    sql.Column("by", sql.String),
    sql.Column("outcome", sql.String),
)
decisions = sql.Table(
    "decisions",
    database.metadata,
    sql.Column("task_id", sql.String, primary_key=True),  # the number of what was decided
    sql.Column("customer", sql.String),
    sql.Column("order_id", sql.String),
    sql.Column("amount_cents", sql.BigInteger),
    sql.Column("decision", sql.String),
    sql.Column("decided_by", sql.String),
    sql.Column("reason", sql.Text),
    sql.Column("asked_at", sql.String),
    sql.Column("decided_at", sql.String),
)
stock_moves = sql.Table(
    "stock_moves",
    database.metadata,
    sql.Column("task_id", sql.String, primary_key=True),
    sql.Column("plant", sql.String),
    sql.Column("quantity", sql.Integer),
)
refunds = sql.Table(
    "refunds",
    database.metadata,
    sql.Column("refund_id", sql.String, primary_key=True),
    sql.Column("order_id", sql.String),
    sql.Column("amount_cents", sql.Integer),
)
