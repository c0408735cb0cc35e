import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, inspect, text
from sqlalchemy.exc import IntegrityError

from app.errors import SettingsError, StoreUnavailable
from app.store.database import Database
from app.store.tables import Base


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def scalar(database: Database, statement: str) -> object:
    with database.reading() as session:
        return session.execute(text(statement)).scalar()


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    database = Database(empty_url)
    yield database
    database.close()


# What is promised of a commit


def test_sqlite_survives_a_power_cut_and_waits_for_its_turn(sqlite):
    assert scalar(sqlite, "PRAGMA journal_mode") == "wal"
    assert scalar(sqlite, "PRAGMA synchronous") == 2  # FULL
    assert scalar(sqlite, "PRAGMA foreign_keys") == 1
    assert scalar(sqlite, "PRAGMA busy_timeout") == 5000


def test_postgresql_survives_a_power_cut_and_waits_for_its_turn(postgres, shared_database):
    database = Database(postgres.url(shared_database))
    assert scalar(database, "SHOW fsync") == "on"
    assert scalar(database, "SHOW synchronous_commit") == "on"
    assert scalar(database, "SHOW lock_timeout") == "5s"
    database.close()


def test_foreign_keys_hold_after_a_migration_too(sqlite):
    sqlite.migrate()
    with pytest.raises(IntegrityError), sqlite.writing() as session:
        session.execute(text("INSERT INTO refund_lines VALUES (1, 0, 1, 1, 1)"))


# Migrations


def test_the_migration_makes_exactly_the_tables_that_the_code_uses(database):
    with database.reading() as session:
        connection = session.connection()
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        constraints = {c for table in Base.metadata.tables.values() for c in table.constraints}
        wanted = {c.name for c in constraints if isinstance(c, CheckConstraint)}
        checks = inspect(connection).get_multi_check_constraints()
        assert {check["name"] for of_table in checks.values() for check in of_table} == wanted


def test_migrating_again_changes_nothing_and_leaves_the_log_alone(database):
    level, handlers = logging.getLogger().level, list(logging.getLogger().handlers)
    database.migrate()
    database.ping()
    assert (logging.getLogger().level, logging.getLogger().handlers) == (level, handlers)
    assert not logging.getLogger("checkout.shop").disabled


def test_making_a_database_object_touches_no_file(sqlite_url, tmp_path):
    Database(sqlite_url).close()
    assert list(tmp_path.iterdir()) == []


def test_before_the_migration_the_store_is_not_ready(empty):
    with pytest.raises(StoreUnavailable, match=r"not there|does not exist"):
        empty.ping()


def test_a_database_of_a_later_version_is_left_alone(empty):
    empty.migrate()
    with empty.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreUnavailable, match="not one of this version"):
        empty.migrate()


# Files and addresses that are none


def test_a_file_that_is_no_database_is_named_in_one_line(tmp_path):
    (tmp_path / "notes.txt").write_text("these are notes, not a database\n" * 200)
    database = Database(f"sqlite:///{tmp_path / 'notes.txt'}")
    with pytest.raises(StoreUnavailable) as failed:
        database.migrate()
    assert "not a database" in str(failed.value)
    assert "\n" not in str(failed.value)
    database.close()


def test_a_folder_that_cannot_be_made_is_named_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    database = Database(f"sqlite:///{tmp_path / 'file' / 'x.sqlite3'}")
    with pytest.raises(StoreUnavailable, match="folder cannot be made"):
        database.migrate()


@pytest.mark.parametrize(
    "address", ["", "nonsense", "nosuchdatabase://x", "postgresql://shop@localhost:54x2/shop"]
)
def test_an_address_that_is_none_is_a_setting_s_mistake(address):
    with pytest.raises(SettingsError):
        Database(address)


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg"])
def test_both_ways_to_write_a_postgresql_address_work(postgres, shared_database, scheme):
    address = postgres.url(shared_database).replace("postgresql", scheme, 1)
    database = Database(address)
    database.ping()
    database.close()


def test_without_its_driver_postgresql_asks_for_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(SettingsError, match=r"requirements-postgresql\.txt"):
        Database("postgresql://shop@localhost/shop")


# Transactions


def test_an_error_inside_a_transaction_leaves_nothing_behind(database):
    def fail_halfway() -> None:
        with database.writing() as session:
            session.execute(text("INSERT INTO journal_heads VALUES ('1', 5, '')"))
            raise KeyError("halfway")

    with pytest.raises(KeyError):
        fail_halfway()
    assert scalar(database, "SELECT COUNT(*) FROM journal_heads") == 0


def test_a_database_that_somebody_else_holds_is_unavailable_not_a_traceback(sqlite, sqlite_url):
    with sqlite.reading() as session:
        session.execute(text("PRAGMA busy_timeout = 50"))  # ms, so that the test need not wait 5 s
    with closing(sqlite3.connect(file_of(sqlite_url), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            sqlite.ping()
        other.execute("ROLLBACK")
    sqlite.ping()


def test_closing_folds_the_write_ahead_log_into_the_file(sqlite, sqlite_url):
    sqlite.close()
    assert [path.name for path in file_of(sqlite_url).parent.iterdir()] == ["checkout.sqlite3"]
