"""The desk's database: SQLAlchemy Core, so that SQLite and PostgreSQL are one URL apart.

Every row that a duty writes has a primary key that names the intent. Inserting the same key again
changes nothing; inserting it with other content is refused. That makes a retried activity harmless.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import make_url

from .refusals import KeyReused, Refused

metadata = sql.MetaData()


def new_table(name: str, key: str, **columns: type[sql.types.TypeEngine]) -> sql.Table:
    """A table of texts, numbers and JSON, under one key that is a text."""
    rest = (sql.Column(column, kind) for column, kind in columns.items())
    return sql.Table(name, metadata, sql.Column(key, sql.String, primary_key=True), *rest)


TEXT, NUMBER = sql.String, sql.Integer
what_was_said = {"message": sql.Text, "answer": sql.Text, "outcome": TEXT, "details": sql.JSON}
turns = new_table("turns", "task_id", conversation=TEXT, turn=NUMBER, customer=TEXT, **what_was_said)
batches = new_table(
    "batches", "task_id", batch_num=NUMBER, messages=NUMBER, questions=NUMBER, topics=TEXT, orders=TEXT
)
reports = new_table("reports", "task_id", turns=NUMBER, answered=NUMBER, file=TEXT)
orders = new_table(
    "orders", "order_id", customer=TEXT, plant=TEXT, quantity=NUMBER, paid_cents=NUMBER, status=TEXT
)
stock = new_table("stock", "plant", quantity=NUMBER, price_cents=NUMBER)

OWN_TABLES = tuple(metadata.tables)
"""The desk's. Whoever imports this module may add tables of their own."""

said_at = turns.c.details["at"].as_string()
"""When a turn was: ISO 8601, so that text compares as time does. A desk that does not record it has rows that no
weekly report counts and no cleanup ever takes."""

MOMENTS = {"at", "asked_at"}
"""Of a row's details. A workflow that was reset writes the same turn at another time."""

SHUT_OUT = (
    "authentication failed",
    "no password supplied",
    "does not exist",
    "no pg_hba.conf entry",
    "permission denied",
)
"""Of what PostgreSQL says when it lets nobody in, what no waiting changes. Its client passes on no code, only words."""


def order_of(customer: str, order_id: str) -> sql.ColumnElement[bool]:
    """The one condition under which an order is told of, refunded or moved: it is there, and it is this customer's."""
    return (orders.c.order_id == storable(order_id)) & (orders.c.customer == storable(customer))


def timeless(value: Any) -> Any:
    """A value without the time at which it was written: a workflow that was reset writes the same row later."""
    if isinstance(value, dict):
        return {name: part for name, part in value.items() if name not in MOMENTS} or None
    return value


def storable(value: Any) -> Any:
    """A value as every database can keep it: PostgreSQL has no text with a NUL in it."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value


class Database:
    """A connection pool on one database, with the desk's tables in it.

    `url` is a SQLAlchemy URL: `sqlite:///desk.db`, `postgresql+psycopg://user:password@host/name`.
    `patience` is how many seconds SQLite waits for another writer.
    """

    def __init__(self, url: str, patience: float = 2) -> None:
        self.url = url
        options: dict[str, Any] = {"hide_parameters": True}  # what a customer wrote stays out of error texts
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            options["connect_args"] = {"timeout": patience}
        else:
            # A connection that the server has ended is replaced before it is used, and none is waited for longer than
            # an attempt of an activity may take.
            options |= {"pool_pre_ping": True, "pool_timeout": 5}
            if parsed.get_driver_name().startswith("psycopg"):
                waits = {"connect_timeout": 5, "tcp_user_timeout": 5000}  # seconds, milliseconds
                options["connect_args"] = {name: waits[name] for name in waits if name not in parsed.query}
        self.engine = sql.create_engine(url, **options)

    @property
    def name(self) -> str:
        """The URL with its password hidden."""
        return self.engine.url.render_as_string(hide_password=True)

    @property
    def in_memory(self) -> bool:
        """Whether it is gone with its connection."""
        file = (self.engine.url.database or ":memory:").removeprefix("file:")
        return self.engine.dialect.name == "sqlite" and file == ":memory:"

    def is_away(self, error: sql.exc.SQLAlchemyError) -> bool:
        """Whether an error is one that passes: nobody answers, it is full, or another process holds the file."""
        if isinstance(error, sql.exc.TimeoutError):  # every connection of the pool is in use
            return True
        passes = isinstance(error, sql.exc.OperationalError | sql.exc.InterfaceError)
        if passes and self.engine.dialect.name == "sqlite":
            name = getattr(error.orig, "sqlite_errorname", "")
            return name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR"))
        return passes and not any(words in str(error.orig) for words in SHUT_OUT)

    def missing_tables(self) -> list[str]:
        """Which of the desk's own tables are not there."""
        there = sql.inspect(self.engine).get_table_names()
        return [name for name in OWN_TABLES if name not in there]

    def missing_columns(self) -> list[str]:
        """Which columns, such as `orders.customer`, its tables lack: an earlier version made them."""
        look = sql.inspect(self.engine)
        return [
            str(column)
            for table in map(metadata.tables.get, OWN_TABLES)
            if look.has_table(table.name)
            for column in table.columns
            if column.name not in {there["name"] for there in look.get_columns(table.name)}
        ]

    def create(self) -> None:
        """Creates the tables that are missing. Raises `sqlalchemy.exc.SQLAlchemyError` when it cannot."""
        if self.engine.dialect.name == "sqlite":
            with self.engine.connect() as connection:
                connection.execute(sql.text("PRAGMA journal_mode=WAL"))  # readers do not wait for a writer
        metadata.create_all(self.engine)

    def insert_once(self, table: sql.Table, row: Mapping[str, Any]) -> bool:
        """Inserts a row unless its primary key is there already; returns whether it was new.

        Raises `KeyReused` when the row that is there differs, and `Refused` for a value that no column can hold.
        """
        row = {name: storable(value) for name, value in row.items()}
        with self.engine.connect() as connection:
            try:
                connection.execute(table.insert(), row)  # one statement for all rows: half the time
                connection.commit()
                return True
            except sql.exc.IntegrityError:
                connection.rollback()
            except (sql.exc.DataError, OverflowError) as error:
                raise Refused(f"The database cannot hold this row of {table.name}: {error}.") from error
        self.check_repeat(table, row)
        return False

    def check_repeat(self, table: sql.Table, row: Mapping[str, Any]) -> None:
        """Compares with the row of the same key, which is there. Raises `KeyReused` when it differs."""
        key = list(table.primary_key)
        same_key = sql.and_(*(column == row[column.name] for column in key))
        with self.engine.connect() as connection:
            kept = connection.execute(sql.select(table).where(same_key)).mappings().one()
        changed = [name for name, value in row.items() if timeless(kept[name]) != timeless(value)]
        if changed:
            raise KeyReused(
                f"{table.name} already holds {row[key[0].name]!r} with another {', '.join(changed)}. "
                "Nothing was changed."
            )

    def turns_between(self, start: date, end: date) -> list[dict[str, Any]]:
        """How much was said from a day on, before another: `conversation`, `messages`, `answered`, in order."""
        answered = sql.func.sum(sql.case((turns.c.outcome == "answered", 1), else_=0))
        query = (
            sql.select(turns.c.conversation, sql.func.count().label("messages"), answered.label("answered"))
            .where(said_at >= start.isoformat(), said_at < end.isoformat())
            .group_by(turns.c.conversation)
            .order_by(turns.c.conversation)
        )
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def forget_words(self, before: date) -> int:
        """Blanks who wrote what in turns before a day; returns how many turns these are."""
        old = turns.update().where(said_at < before.isoformat())
        with self.engine.begin() as connection:
            return connection.execute(old.values(customer=None, message=None, answer=None)).rowcount

    def reports_about(self, before: date) -> list[str]:
        """The files of reports on conversations with turns before a day."""
        old = sql.select(turns.c.conversation).where(said_at < before.isoformat())
        with self.engine.connect() as connection:
            files = sql.select(reports.c.file).where(reports.c.task_id.in_(old))
            return list(connection.execute(files).scalars())

    def knows(self, task_id: str) -> bool:
        """Whether any row's key is `task_id`, or begins with it and a slash."""

        def is_its(key: sql.Column) -> sql.ColumnElement[bool]:
            return (key == task_id) | key.startswith(f"{task_id}/", autoescape=True)

        keys = [table.c.task_id for table in metadata.sorted_tables if "task_id" in table.columns]
        with self.engine.connect() as connection:
            return any(
                connection.execute(sql.select(key).where(is_its(key)).limit(1)).first() for key in keys
            )

    def find(self, table: sql.Table, which: sql.ColumnElement[bool]) -> sql.Row | None:
        """The one row, if it is there."""
        with self.engine.connect() as connection:
            return connection.execute(sql.select(table).where(which)).one_or_none()

    def rows(self, table: sql.Table | str) -> list[dict[str, Any]]:
        """All rows of a table: on SQLite as they were written, elsewhere in any order. Raises `KeyError` for an unknown name."""
        if isinstance(table, str):
            table = metadata.tables[table]
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(sql.select(table)).mappings()]

    def close(self) -> None:
        self.engine.dispose()
