"""``flask --app app backup`` as a person or cron runs it."""

from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import text

from app import create_app
from app.settings import Settings
from app.store.database import Database
from app.store.journal import Journal
from app.store.orders import SqlOrderStore
from tests.store.selling import sell
from tests.store.test_journal import tampering


@pytest.fixture
def app(sqlite_url: str) -> Flask:
    return create_app(Settings(database_url=sqlite_url, secret_key="k" * 16))


@pytest.fixture
def shop(sqlite_url: str):
    database = Database(sqlite_url)
    database.migrate()
    sell(SqlOrderStore(database))
    yield database
    database.close()


def backup(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["backup", *arguments])


def test_a_backup_prints_the_record_to_keep_elsewhere(app, shop, tmp_path):
    file = tmp_path / "b"
    done = backup(app, "--out", str(file))
    [head] = Journal(shop).heads()
    assert done.exit_code == 0
    assert done.output == (
        f"{file} holds the whole database.\nlane 1: 2 records, the last {head.hash}\n"
    )
    assert file.exists()


def test_a_changed_journal_is_named_and_the_backup_kept(app, shop, tmp_path):
    with tampering(shop) as session:
        session.execute(text("UPDATE journal SET actor = 'nobody' WHERE number = 2"))
    done = backup(app, "--out", str(tmp_path / "b"))
    assert done.exit_code == 1
    assert "lane 1, record 2: " in done.output
    assert (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("name", "reason"), [("there", "is there already"), ("no/such/folder/b", "No such file")]
)
def test_what_cannot_be_written_is_one_line(app, shop, tmp_path: Path, name: str, reason: str):
    (tmp_path / "there").write_text("last year")
    done = backup(app, "--out", str(tmp_path / name))
    assert done.exit_code == 2
    assert reason in done.output.splitlines()[-1]
    assert (tmp_path / "there").read_text() == "last year"


def test_a_shop_without_a_database_has_nothing_to_back_up(app, tmp_path):
    done = backup(app, "--out", str(tmp_path / "b"))
    assert done.exit_code == 2
    assert "There is no database file to copy" in done.output
    assert not (tmp_path / "b").exists()


def test_a_backup_needs_to_know_where_to(app):
    assert backup(app).exit_code == 2
