"""Plants that go back into stock and out of it: what lesson 07 undoes, and does again."""

import sqlalchemy as sql

from course.desk.services import Database, Refused
from course.desk.services import database as db
from course.lessons.record_tables import stock_moves


class StockRefused(Refused):
    """The plants are not where they would have to be."""


def put_back(database: Database, customer: str, task_id: str, order_id: str) -> str:
    """Puts an order's plants back into stock, once per `task_id`. Raises `StockRefused` if they have left the house."""
    order = _ordered(database, customer, order_id)
    if order.status in ("shipped", "delivered"):
        raise StockRefused(
            f"Order {order_id} is {order.status}: its plants cannot be put back."
        )
    _move(database, task_id, order.plant, order.quantity)
    return f"{order.quantity} × {order.plant} put back."


def take_out(database: Database, customer: str, task_id: str, order_id: str) -> str:
    """Takes an order's plants out of stock, once per `task_id`. Raises `StockRefused` when too few are there."""
    order = _ordered(database, customer, order_id)
    _move(database, task_id, order.plant, -order.quantity)
    return f"{order.quantity} × {order.plant} taken out."


def _ordered(database: Database, customer: str, order_id: str) -> sql.Row:
    order = database.find(db.orders, db.order_of(customer, order_id))
    if order is None:
        raise StockRefused(f"There is no order {order_id!r}, so no plant was moved.")
    return order


def _move(database: Database, task_id: str, plant: str, quantity: int) -> None:
    """The move and the new count in one transaction: a count alone could not tell a repeat."""
    move = {"task_id": db.storable(task_id), "plant": plant, "quantity": quantity}
    try:
        with database.engine.begin() as connection:
            connection.execute(stock_moves.insert().values(**move))
            there = db.stock.c.quantity + quantity
            enough = (db.stock.c.plant == plant) & (there >= 0)
            change = db.stock.update().where(enough).values(quantity=there)
            if connection.execute(change).rowcount != 1:
                raise StockRefused(
                    f"There are too few {plant} in stock. Nothing was moved."
                )
    except sql.exc.IntegrityError:
        database.check_repeat(stock_moves, move)
