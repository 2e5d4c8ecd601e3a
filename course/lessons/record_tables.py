"""The tables of `records`, `stock` and `till`, beside the desk's. In a file of their own: a table is made once in a process, and a
workflow's sandbox imports its lesson's modules again."""

from typing import Any

import sqlalchemy as sql

from course.desk.services.database import new_table
from course.desk.services.shop import ORDERS

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
returns = new_table("returns", "return_number", order_id=sql.String)


@sql.event.listens_for(returns, "after_create")
def _the_shop_has_some(table: sql.Table, connection: sql.Connection, **_: Any) -> None:
    """A return for each plant of an order that was delivered: R-7001 to R-7004 are ada's, the next four ben's."""
    plants = [
        order
        for order, *_, plants, _, status in ORDERS
        if status == "delivered"
        for _ in range(plants)
    ]
    rows = [
        {"return_number": f"R-{number}", "order_id": order}
        for number, order in enumerate(plants, 7001)
    ]
    connection.execute(table.insert(), rows)
