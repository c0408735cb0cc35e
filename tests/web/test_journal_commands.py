"""``flask --app app journal …`` on both databases."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import text

from app import create_app
from app.settings import Settings
from app.store.database import Database
from app.store.orders import SqlOrderStore
from tests.store.selling import refund, sell
from tests.store.test_journal import tampering


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def app(database_url: str) -> Flask:
    return create_app(Settings(database_url=database_url, secret_key="k" * 16))


def journal(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["journal", *arguments])


def test_an_untouched_journal_is_verified_lane_by_lane(app, database):
    orders = SqlOrderStore(database)
    sell(orders, "a", "1")
    sell(orders, "b", "2")
    done = journal(app, "verify")
    assert done.exit_code == 0
    first, second = done.output.splitlines()
    assert first.startswith("lane 1: 2 records, the last ")
    assert second.startswith("lane 2: 2 records, the last ")


def test_an_empty_journal_is_said_to_be_empty(app):
    done = journal(app, "verify")
    assert (done.exit_code, done.output) == (0, "The journal is empty.\n")


def test_the_first_bad_record_is_named_with_exit_code_1(app, database):
    orders = SqlOrderStore(database)
    sell(orders, "a")
    sell(orders, "b")
    with tampering(database) as connection:
        connection.execute(text("UPDATE journal SET actor = 'lee' WHERE number IN (3, 4)"))
    done = journal(app, "verify")
    assert done.exit_code == 1
    assert done.output == "lane 1, record 3: its values are not the ones that were written\n"


def test_an_order_that_says_otherwise_than_the_journal_is_named_with_exit_code_1(app, database):
    order = sell(SqlOrderStore(database))
    with database.writing() as session:
        session.execute(text("UPDATE orders SET status = 'cancelled'"))
    done = journal(app, "verify")
    assert done.exit_code == 1
    assert done.output.startswith(f"order {order.number} is cancelled, the journal has 1 payments")


def test_the_export_is_one_json_line_per_record(app, database, tmp_path: Path):
    orders = SqlOrderStore(database)
    refund(orders, sell(orders, "a", "1"), None)
    sell(orders, "b", "2")
    file = tmp_path / "journal.jsonl"
    assert journal(app, "export", "--output", str(file)).exit_code == 0
    records = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(record["lane"], record["event"]) for record in records] == [
        ("1", "order_awaiting_payment"),
        ("1", "order_paid"),
        ("1", "order_refunded"),
        ("2", "order_awaiting_payment"),
        ("2", "order_paid"),
    ]
    only = journal(app, "export", "--lane", "2").output.splitlines()
    assert [json.loads(line) for line in only] == records[3:]


def test_closing_a_day_prints_what_was_taken_and_the_hash_to_keep(app, database):
    orders = SqlOrderStore(database)
    refund(orders, sell(orders), {0: 1})
    done = journal(app, "close-day", "--by", "otto")
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert lines[:-1] == [
        "lane 1, closing 1",
        "records 1 to 3",
        "sold 1: ₩6,500",
        "refunds 1: ₩1,500",
        "left: ₩5,000",
        "by qr: ₩6,500",
        "tax exempt: ₩6,500",
    ]
    assert lines[-1].startswith("record 4, hash ")
    assert journal(app, "close-day").output.splitlines()[:2] == ["lane 1, closing 2", "empty"]


def test_a_new_account_is_in_the_journal(app):
    made = app.test_cli_runner().invoke(
        args=["users", "add", "otto", "--role", "owner", "--password-stdin"], input="p" * 12 + "\n"
    )
    assert made.exit_code == 0
    record = json.loads(journal(app, "export").output)
    assert (record["event"], record["details"]) == ("user_added", {"role": "owner", "user": "otto"})


def test_a_database_that_cannot_be_opened_is_one_line_and_exit_code_2(tmp_path: Path):
    (tmp_path / "file").touch()
    url = f"sqlite:///{tmp_path / 'file' / 'checkout.sqlite3'}"
    app = create_app(Settings(database_url=url, secret_key="k" * 16))
    done = journal(app, "verify")
    assert done.exit_code == 2
    assert "There is no database at" in done.output
    assert "Traceback" not in done.output


def test_a_lane_that_is_not_there_is_refused_and_nothing_written(app, database):
    sell(SqlOrderStore(database), "a", "1")
    for command in ("close-day", "export"):
        done = journal(app, command, "--lane", "tpyo")
        assert done.exit_code == 2
        assert "There is no lane 'tpyo': there are 1." in done.output
    assert len(journal(app, "export").output.splitlines()) == 2


def test_an_export_never_writes_over_a_file(app, tmp_path: Path):
    file = tmp_path / "journal.jsonl"
    file.write_text("kept")
    done = journal(app, "export", "--output", str(file))
    assert (done.exit_code, file.read_text()) == (2, "kept")
    assert "is there already" in done.output


def test_half_an_export_does_not_stay(app, database, tmp_path: Path, monkeypatch):
    sell(SqlOrderStore(database), "a", "1")
    monkeypatch.setattr("app.store.journal.Record.exported", lambda _: disk_full())
    file = tmp_path / "journal.jsonl"
    done = journal(app, "export", "--output", str(file))
    assert (done.exit_code, file.exists()) == (2, False)
    assert "cannot be written: No space left on device" in done.output


def disk_full() -> None:
    raise OSError(28, "No space left on device")
