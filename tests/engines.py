"""The engines that the database's tests run on: SQLite, and PostgreSQL, of which each process of a test run has one server."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import psycopg
from sqlalchemy.engine import make_url

from course.lab.life import Life
from course.lab.postgresql import PostgreSQL
from course.lab.server import own_folder

_NUMBERS = count(1)


@contextmanager
def server(**settings: str) -> Iterator[PostgreSQL]:
    """A PostgreSQL server, found and ended by the next lab should this process be killed."""

    async def begin() -> tuple[Life, PostgreSQL]:
        life = Life()
        server = PostgreSQL(own_folder(life), life.must_end, settings)
        await server.start()
        return life, server

    with asyncio.Runner() as runner:
        life, server = runner.run(begin())
        yield server
        runner.run(life.stack.aclose())


@contextmanager
def database_on(server: PostgreSQL) -> Iterator[str]:
    """A database of a test's own; its URL."""
    name = f"test_{next(_NUMBERS)}"
    ask(server.url, f"CREATE DATABASE {name}")
    yield make_url(server.url).set(database=name).render_as_string(hide_password=False)
    ask(server.url, f"DROP DATABASE {name} (FORCE)")


def ask(url: str, statement: str) -> list[tuple]:
    """What PostgreSQL answers to one statement, outside of any transaction."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        found = connection.execute(statement)
        return found.fetchall() if found.description else []
