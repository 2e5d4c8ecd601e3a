"""The desk's database by URL: what it keeps, what it refuses, and that it may outlive the server."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from course import Lab
from course.desk.services import Database, KeyReused, Refused, Shop
from course.desk.services.database import turns
from course.lessons import stock, till
from course.lessons.lesson_04 import DutyAsStepWorkflow


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path / 'desk.db'}")
    database.create()
    Shop(database).open()
    return database


def test_the_same_key_is_one_row(database: Database) -> None:
    assert database.insert_once(turns, {"task_id": "a", "turn": 1, "message": "hello"})
    assert not database.insert_once(turns, {"task_id": "a", "turn": 1, "message": "hello"})
    with pytest.raises(KeyReused, match="already holds 'a' with another message. Nothing was changed"):
        database.insert_once(turns, {"task_id": "a", "turn": 1, "message": "good bye"})
    assert [row["message"] for row in database.rows("turns")] == ["hello"]


def test_nul_is_kept_as_every_database_can(database: Database) -> None:
    row = {"task_id": "a", "message": "half\0half"}
    assert database.insert_once(turns, row)
    assert not database.insert_once(turns, row)
    assert database.rows(turns)[0]["message"] == "half\N{REPLACEMENT CHARACTER}half"


def test_what_no_column_can_hold_is_refused_and_not_retried(database: Database) -> None:
    with pytest.raises(Refused, match="cannot hold this row of turns"):
        database.insert_once(turns, {"task_id": "a", "turn": 10**30})
    assert database.rows("turns") == []


@pytest.mark.parametrize("cents", [0, -1, 10**30])
def test_a_refund_has_a_sensible_amount(database: Database, cents: int) -> None:
    with pytest.raises(match="makes no sense. Nothing was paid"):
        till.refund(database, "r", "1042", cents)
    assert database.rows("refunds") == []


def test_the_same_refund_twice_at_once_is_paid_once(database: Database) -> None:
    """Two calls of a model run side by side: the second may come between the first one's look and its payment."""
    with ThreadPoolExecutor(8) as threads:
        paid = list(threads.map(lambda _: till.refund(database, "r", "1042", 100), range(8)))
    assert set(paid) == {"Refund r of 1.00 EUR for order 1042 is paid."}
    assert len(database.rows("refunds")) == 1


def test_plants_are_moved_once_and_only_those_that_are_here(database: Database) -> None:
    shop = Shop(database)
    for _ in range(2):
        assert stock.put_back(database, "back", "1043") == "2 × Ficus put back."
    assert shop.stock("Ficus") == "Ficus: 14 in stock, 29.00 EUR each."
    for _ in range(2):
        assert stock.take_out(database, "out", "1043") == "2 × Ficus taken out."
    assert shop.stock("Ficus") == "Ficus: 12 in stock, 29.00 EUR each."
    with pytest.raises(KeyReused, match="already holds 'back' with another quantity"):
        stock.take_out(database, "back", "1043")
    with pytest.raises(stock.StockRefused, match="Order 1042 is shipped: its plants cannot be put back"):
        stock.put_back(database, "other", "1042")
    with pytest.raises(stock.StockRefused, match="There are too few Calathea in stock. Nothing was moved"):
        stock.take_out(database, "other", "1044")
    with pytest.raises(stock.StockRefused, match="There is no order '9999'"):
        stock.put_back(database, "other", "9999")
    assert [row["quantity"] for row in database.rows("stock_moves")] == [2, -2]


async def test_a_database_that_outlives_the_server_keeps_conversations_apart(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'desk.db'}"
    ids = []
    for message in ("Hello!", "Thank you!"):
        async with await Lab.start(database_url=url, ui=False) as lab:
            chat = await lab.converse(DutyAsStepWorkflow, "ada")
            await chat.send(message)
            ids.append(chat.id)
            assert lab.table("turns").message.tolist() == [message]  # each lab sees its own
            rows = lab.world.services.database.rows("turns")
    assert ids == ["ada-1", "ada-2"]
    assert [row["conversation"] for row in rows] == ids
    assert [row["message"] for row in rows] == ["Hello!", "Thank you!"]


def test_a_lab_of_a_fresh_process_makes_the_lessons_tables_too() -> None:
    code = "from course.lab import world; print('refunds' in world.metadata.tables)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "True\n"
