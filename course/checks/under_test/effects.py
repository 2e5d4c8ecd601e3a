"""What the desk does to the world: activities on a database file. A key names what is meant."""

import os
import sqlite3
from contextlib import closing
from typing import Any

from temporalio import activity

TABLES = """
CREATE TABLE turns (key PRIMARY KEY, customer, message, answer);
CREATE TABLE outbox (key PRIMARY KEY, receiver, text);
CREATE TABLE refunds (key PRIMARY KEY, customer, cents);
CREATE TABLE orders (number PRIMARY KEY, customer, cents);
INSERT INTO orders VALUES ('1042', 'ada', 2600), ('1055', 'ben', 4900);
"""


def sql(statement: str, *values: Any) -> list[Any]:
    with closing(sqlite3.connect(os.environ["DESK_DATABASE"])) as database, database:
        return database.execute(statement, values).fetchall()


@activity.defn
def price_of(customer: str, order: str) -> int | None:
    rows = sql("SELECT cents FROM orders WHERE number = ? AND customer = ?", order, customer)
    return rows[0][0] if rows else None


@activity.defn
def save_turn(key: str, customer: str, message: str, answer: str) -> None:
    sql("INSERT OR IGNORE INTO turns VALUES (?, ?, ?, ?)", key, customer, message, answer)


@activity.defn
def send_mail(key: str, receiver: str, text: str) -> None:
    sql("INSERT OR IGNORE INTO outbox VALUES (?, ?, ?)", key, receiver, text)


@activity.defn
def pay_refund(key: str, customer: str, cents: int) -> None:
    sql("INSERT OR IGNORE INTO refunds VALUES (?, ?, ?)", key, customer, cents)
