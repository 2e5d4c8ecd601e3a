"""Juniper's orders and stock."""

import sqlalchemy as sql

from . import database as db

CUSTOMERS = ("ada", "ben", "cleo", "dora", "emil", "fay")
ORDERED = [
    ("Monstera", 1, 3400, "shipped"),
    ("Ficus", 2, 5800, "being packed"),
    ("Calathea", 1, 2600, "delivered"),
    ("Aloe", 3, 2700, "delivered"),
    ("Fern", 1, 1900, "cancelled"),
]
# The tens tell the customer, the last digit the plant: ada has 1042 to 1046, ben 1052 to 1056. New rows go to the end.
ORDERS = [
    (f"10{tens}{digit}", customer, *order)
    for tens, customer in enumerate(CUSTOMERS, 4)
    for digit, order in enumerate(ORDERED, 2)
]
STOCK = [
    ("Monstera", 4, 3400),
    ("Ficus", 12, 2900),
    ("Calathea", 0, 2600),
    ("Aloe", 30, 900),
    ("Fern", 7, 1900),
    ("Pothos", 18, 1200),
]


def euros(cents: int) -> str:
    return f"{cents / 100:.2f} EUR"


class Shop:
    """What the shop knows. Each question goes to the database; nothing is cached."""

    def __init__(self, database: db.Database) -> None:
        self.database = database

    def open(self) -> None:
        """Fills an empty shop with its orders and plants."""
        with self.database.engine.begin() as connection:
            for table, rows in ((db.orders, ORDERS), (db.stock, STOCK)):
                if connection.execute(sql.select(sql.func.count()).select_from(table)).scalar() == 0:
                    names = table.columns.keys()
                    connection.execute(table.insert(), [dict(zip(names, row, strict=True)) for row in rows])

    def order(self, customer: str, order_id: str) -> str:
        """An order, to the customer whose it is. Anyone else is told what is said of an order that is not there."""
        order_id = db.storable(order_id)
        order = self.database.find(db.orders, db.order_of(customer, order_id))
        if order is None:
            return f"There is no order {order_id!r}."
        what = f"{order.quantity} × {order.plant}, {euros(order.paid_cents)}, {order.status}"
        return f"Order {order_id}: {what}."

    def stock(self, plant: str) -> str:
        plant = db.storable(plant)
        same = sql.func.lower(db.stock.c.plant) == plant.strip().lower()
        row = self.database.find(db.stock, same)
        if row is None:
            return f"Juniper does not sell {plant!r}."
        if row.quantity == 0:
            return f"{row.plant} is sold out."
        return f"{row.plant}: {row.quantity} in stock, {euros(row.price_cents)} each."
