"""What the desk works with, and what a lab shows of it: the database, the mailbox, the webhooks, the reports."""

from pathlib import Path

import pandas as pd
import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError, NoResultFound, OperationalError, SQLAlchemyError

import course.lessons.record_tables  # noqa: F401 (the lessons' tables are made with the desk's)
from course.desk.answering import why
from course.desk.services import Database, KeyReused, Mail, Services, Shop, Webhook
from course.desk.services.database import metadata
from course.lab.errors import LabError
from course.lab.life import Life
from course.lab.postgresql import PostgreSQL
from course.lab.receivers import Mailbox, WebhookReceiver
from course.lab.running import beside_the_cells
from course.lab.server import own_folder

OWN_POSTGRESQL = "postgresql"
"""In place of a URL: a PostgreSQL server of the lab's own."""

claims = sql.Table(
    "conversations_of_labs",
    sql.MetaData(),  # the lab's own: the desk knows nothing of labs
    sql.Column("conversation", sql.String, primary_key=True),
    sql.Column("lab", sql.String),
)


def services_at(database: Database, mail_port: int, webhook_url: str, reports: Path) -> Services:
    mail, webhook = Mail("127.0.0.1", mail_port), Webhook(webhook_url)
    return Services(database, Shop(database), mail, webhook, reports)


class World:
    """One lab's services. Its mailbox and its webhooks are its own; its database may be shared.

    On a database that was named by URL, other labs may work, too, each on a server of its own perhaps, which knows
    nothing of the others' ids. So a lab claims the id of each conversation there before it begins it.

    Attributes:
        postgresql: The lab's own server, where `database_url="postgresql"` asked for one.
        owner: Under which name ids are claimed: a lab that is started on the same persist file has the same.
    """

    def __init__(self, life: Life) -> None:
        self.owner = ""
        self.folder = own_folder(life)
        self._life = life
        self.mailbox: Mailbox
        self.webhooks: WebhookReceiver
        self.services: Services
        self.postgresql: PostgreSQL | None = None
        self._shared = False

    async def start(self, database_url: str | None, kept: Path | None) -> None:
        """Opens the database and starts the receivers. Raises `LabError`.

        With `kept`, a folder, all that a lab on the same persist file should find again is in there.
        """
        folder = kept or self.folder
        if database_url == OWN_POSTGRESQL:
            if kept:
                raise LabError(
                    f"database_url={OWN_POSTGRESQL!r} starts a server for this lab alone, whose rows go with it: they cannot be "
                    "kept beside a persist file. Leave database_url= away (SQLite then keeps them there), or name a "
                    "PostgreSQL that stays, by its URL."
                )
            self.postgresql = PostgreSQL(self.folder, self._life.must_end)
            database = self.open(await self.postgresql.start())
        else:
            self._shared = database_url is not None
            database = self.open(database_url if self._shared else f"sqlite:///{folder / 'desk.db'}")
        reports = folder / "reports"
        reports.mkdir(exist_ok=True)
        self.mailbox = Mailbox(kept and kept / "mails.jsonl")
        await beside_the_cells(self.mailbox.start())
        self._life.stack.push_async_callback(lambda: beside_the_cells(self.mailbox.stop()))
        self.webhooks = WebhookReceiver(kept and kept / "webhooks.jsonl")
        self._life.stack.callback(self.webhooks.stop)
        self.services = services_at(database, self.mailbox.port, self.webhooks.url, reports)

    def open(self, url: str) -> Database:
        """Opens a database, with the tables in it. Raises `LabError`."""
        try:
            database = Database(url)
        except (SQLAlchemyError, ImportError, ValueError) as error:
            raise LabError(
                f"database_url is not one that SQLAlchemy can open here: {error}. An example is "
                "'sqlite:///desk.db'; PostgreSQL needs `pip install \"psycopg[binary]\"` and "
                "'postgresql+psycopg://user:password@host/name', or 'postgresql' alone for a server of the lab's own."
            ) from None
        if database.in_memory:
            raise LabError(
                "database_url names a database in memory, which every thread of the worker would have for itself. "
                "Name a file, such as 'sqlite:///desk.db', or leave database_url= away."
            )
        self._life.stack.callback(database.close)
        try:
            self._make_tables(database)
        except OperationalError as error:
            raise LabError(
                f"The database {database.name} cannot be used: {why(error)} Start it, or correct the URL."
            ) from None
        except SQLAlchemyError as error:
            raise LabError(
                f"The desk's tables cannot be made in {database.name}: {why(error)} The course has been tried "
                "on SQLite and PostgreSQL: name a database of one of these, in which you may make tables."
            ) from None
        return database

    def _make_tables(self, database: Database, tries: int = 10) -> None:
        """Makes what is missing. Of labs that start at the same moment one makes it; the others look again."""
        if lacking := ", ".join(database.missing_columns()):
            raise LabError(
                f"The database {database.name} was made by an earlier version of the course, and has no {lacking}. It "
                "was left as it is: name another one in database_url=."
            )
        try:
            database.create()
            Shop(database).open()
            if self._shared:
                claims.metadata.create_all(database.engine)
        except SQLAlchemyError as error:
            if tries == 1 or not (isinstance(error, IntegrityError) or "already exists" in str(error)):
                raise
            self._make_tables(database, tries - 1)

    # Whose a conversation is

    def claim(self, id: str) -> bool:
        """Takes an id for this lab alone; False when it is taken. Raises `LabError`.

        In a database of the lab's own, nobody else takes one.
        """
        if not self._shared:
            return True
        database, claim = self.services.database, {"conversation": id, "lab": self.owner}
        try:
            # Known by rows from before, or from outside of any lab.
            return not database.knows(id) and database.insert_once(claims, claim)
        except (KeyReused, NoResultFound):  # another lab has it, or had it a moment ago
            return False
        except SQLAlchemyError as error:
            raise self._away(error) from None

    def release(self, id: str) -> None:
        """Gives an id back under which no conversation has begun."""
        if self._shared:
            mine = (claims.c.conversation == id) & (claims.c.lab == self.owner)
            with self.services.database.engine.begin() as connection:
                connection.execute(claims.delete().where(mine))

    # What the services saw

    def table(self, name: str) -> pd.DataFrame:
        if name not in metadata.tables:
            raise LabError(f"There is no table {name!r}. There are: {', '.join(metadata.tables)}.")
        table = metadata.tables[name]
        try:
            rows = self.services.database.rows(table)
            claimed = self.services.database.rows(claims) if self._shared else []
        except SQLAlchemyError as error:
            raise self._away(error) from None
        others = {claim["conversation"] for claim in claimed if claim["lab"] != self.owner}
        [key, *_] = table.primary_key.columns.keys()
        rows = [row for row in rows if str(row[key]).split("/")[0] not in others]
        return pd.DataFrame(rows, columns=table.columns.keys())

    def _away(self, error: SQLAlchemyError) -> LabError:
        return LabError(
            f"The database {self.services.database.name} does not answer: {why(error)} What was written is kept. Ask "
            "again when it is back."
        )
