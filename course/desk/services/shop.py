"""Juniper's orders, stock and refunds."""

import sqlalchemy as sql

from . import database as db
from .refusals import KeyReused, Refused

ORDERS = [
    ("1042", "Monstera", 1, 3400, "shipped"),
    ("1043", "Ficus", 2, 5800, "being packed"),
    ("1044", "Calathea", 1, 2600, "delivered"),
    ("1045", "Aloe", 3, 2700, "delivered"),
    ("1046", "Fern", 1, 1900, "cancelled"),
]
STOCK = [
    ("Monstera", 4, 3400),
    ("Ficus", 12, 2900),
    ("Calathea", 0, 2600),
    ("Aloe", 30, 900),
    ("Fern", 7, 1900),
    ("Pothos", 18, 1200),
]
LARGEST_CENTS = 1_000_000_00
"""No order of a plant shop is worth a million."""


class RefundRefused(Refused):
    """The shop's rules do not allow this refund."""


class StockRefused(Refused):
    """The plants are not where they would have to be."""


def euros(cents: int) -> str:
    return f"{cents / 100:.2f} EUR"


class Shop:
    """What the shop knows. Reads and refunds go to the database at once; nothing is cached."""

    def __init__(self, database: db.Database) -> None:
        self.database = database

    def open(self) -> None:
        """Fills an empty shop with its orders and plants."""
        with self.database.engine.begin() as connection:
            for table, rows in ((db.orders, ORDERS), (db.stock, STOCK)):
                if connection.execute(sql.select(sql.func.count()).select_from(table)).scalar() == 0:
                    names = table.columns.keys()
                    connection.execute(table.insert(), [dict(zip(names, row, strict=True)) for row in rows])

    def order(self, order_id: str) -> str:
        order_id = db.storable(order_id)
        with self.database.engine.connect() as connection:
            order = connection.execute(
                sql.select(db.orders).where(db.orders.c.order_id == order_id)
            ).one_or_none()
        if order is None:
            return f"There is no order {order_id!r}."
        return (
            f"Order {order_id}: {order.quantity} × {order.plant}, {euros(order.paid_cents)}, {order.status}."
        )

    def stock(self, plant: str) -> str:
        plant = db.storable(plant)
        with self.database.engine.connect() as connection:
            row = connection.execute(
                sql.select(db.stock).where(sql.func.lower(db.stock.c.plant) == plant.strip().lower())
            ).one_or_none()
        if row is None:
            return f"Juniper does not sell {plant!r}."
        if row.quantity == 0:
            return f"{row.plant} is sold out."
        return f"{row.plant}: {row.quantity} in stock, {euros(row.price_cents)} each."

    def refund(self, refund_id: str, order_id: str, amount_cents: int) -> str:
        """Pays once per `refund_id`. Raises `RefundRefused`, or `KeyReused` for a changed repeat."""
        refund_id, order_id = db.storable(refund_id), db.storable(order_id)
        if not 0 < amount_cents <= LARGEST_CENTS:
            sensible = abs(amount_cents) < 10**15  # a model may propose a number that is too long to print
            amount = euros(amount_cents) if sensible else "this many cents"
            raise RefundRefused(f"A refund of {amount} makes no sense. Nothing was paid.")
        refund = {"refund_id": refund_id, "order_id": order_id, "amount_cents": amount_cents}
        paid = f"Refund {refund_id} of {euros(amount_cents)} for order {order_id} is paid."
        try:
            with self.database.engine.begin() as connection:
                # Written before it is judged: from here to the commit no other refund of this order can slip
                # between the sum and the payment. A refusal rolls it back.
                connection.execute(db.refunds.insert().values(**refund))
                order = connection.execute(
                    sql.select(db.orders).where(db.orders.c.order_id == order_id).with_for_update()
                ).one_or_none()
                if order is None:
                    raise RefundRefused(f"There is no order {order_id!r}, so nothing was refunded.")
                total = connection.execute(
                    sql.select(sql.func.sum(db.refunds.c.amount_cents)).where(
                        db.refunds.c.order_id == order_id
                    )
                ).scalar()
                if total > order.paid_cents:
                    raise RefundRefused(
                        f"Order {order_id} was paid with {euros(order.paid_cents)}; refunds of "
                        f"{euros(total)} would be more. Nothing was paid."
                    )
        except sql.exc.IntegrityError:  # the number is there already, perhaps since a moment ago
            try:
                self.database.check_repeat(db.refunds, refund)
            except KeyReused:
                raise KeyReused(f"Refund {refund_id} was already paid, with other details.") from None
        return paid

    def put_back(self, task_id: str, order_id: str) -> str:
        """Puts an order's plants back into stock, once per `task_id`. Raises `StockRefused` if they have left the house."""
        order = self._ordered(order_id)
        if order.status in ("shipped", "delivered"):
            raise StockRefused(f"Order {order_id} is {order.status}: its plants cannot be put back.")
        self._move(task_id, order.plant, order.quantity)
        return f"{order.quantity} × {order.plant} put back."

    def take_out(self, task_id: str, order_id: str) -> str:
        """Takes an order's plants out of stock, once per `task_id`. Raises `StockRefused` when too few are there."""
        order = self._ordered(order_id)
        self._move(task_id, order.plant, -order.quantity)
        return f"{order.quantity} × {order.plant} taken out."

    def _ordered(self, order_id: str) -> sql.Row:
        with self.database.engine.connect() as connection:
            order = connection.execute(
                sql.select(db.orders).where(db.orders.c.order_id == db.storable(order_id))
            ).one_or_none()
        if order is None:
            raise StockRefused(f"There is no order {order_id!r}, so no plant was moved.")
        return order

    def _move(self, task_id: str, plant: str, quantity: int) -> None:
        """The move and the new count in one transaction: a count alone could not tell a repeat."""
        move = {"task_id": db.storable(task_id), "plant": plant, "quantity": quantity}
        try:
            with self.database.engine.begin() as connection:
                connection.execute(db.stock_moves.insert().values(**move))
                there = db.stock.c.quantity + quantity
                enough = (db.stock.c.plant == plant) & (there >= 0)
                if connection.execute(db.stock.update().where(enough).values(quantity=there)).rowcount != 1:
                    raise StockRefused(f"There are too few {plant} in stock. Nothing was moved.")
        except sql.exc.IntegrityError:
            self.database.check_repeat(db.stock_moves, move)
