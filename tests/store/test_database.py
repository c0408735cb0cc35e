import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from app.errors import SettingsError, StoreUnavailable
from app.store.database import Database
from app.store.tables import Base


def pragma(database: Database, name: str) -> object:
    with database.reading() as session:
        return session.execute(text(f"PRAGMA {name}")).scalar()


def test_sqlite_survives_a_power_cut_and_waits_for_its_turn(database):
    assert pragma(database, "journal_mode") == "wal"
    assert pragma(database, "synchronous") == 2  # FULL
    assert pragma(database, "foreign_keys") == 1
    assert pragma(database, "busy_timeout") == 5000


def test_the_migration_makes_exactly_the_tables_that_the_code_uses(database):
    with database.reading() as session:
        connection = session.connection()
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        wanted = {c.name for t in Base.metadata.tables.values() for c in t.constraints} - {None}
        checks = inspect(connection).get_multi_check_constraints()
        assert {check["name"] for of_table in checks.values() for check in of_table} == wanted


def test_migrating_again_changes_nothing_and_leaves_the_log_alone(database):
    level, handlers = logging.getLogger().level, list(logging.getLogger().handlers)
    database.migrate()
    database.ping()
    assert (logging.getLogger().level, logging.getLogger().handlers) == (level, handlers)
    assert not logging.getLogger("checkout.shop").disabled


def test_making_a_database_object_touches_no_file(url, tmp_path):
    Database(url).close()
    assert list(tmp_path.iterdir()) == []


def test_before_the_migration_the_store_is_not_ready(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'x.sqlite3'}")
    with pytest.raises(StoreUnavailable, match="no such table"):
        database.ping()
    database.close()


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


def test_a_database_of_a_later_version_is_left_alone(database):
    with database.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreUnavailable, match="not one of this version"):
        database.migrate()


@pytest.mark.parametrize("address", ["", "nonsense", "nosuchdatabase://x"])
def test_an_address_that_is_none_is_a_setting_s_mistake(address):
    with pytest.raises(SettingsError):
        Database(address)


def test_a_database_that_somebody_else_holds_is_unavailable_not_a_traceback(database, url):
    path = url.removeprefix("sqlite:///")
    with database.reading() as session:
        session.execute(text("PRAGMA busy_timeout = 50"))  # ms, so that the test need not wait 5 s
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            database.ping()
        other.execute("ROLLBACK")
    database.ping()


def test_an_error_inside_a_transaction_leaves_nothing_behind(database):
    def fail_halfway() -> None:
        with database.writing() as session:
            session.execute(text("DELETE FROM alembic_version"))
            raise KeyError("halfway")

    with pytest.raises(KeyError):
        fail_halfway()
    database.migrate()
    database.ping()


def test_closing_folds_the_write_ahead_log_into_the_file(url):
    database = Database(url)
    database.migrate()
    database.close()
    folder = Path(url.removeprefix("sqlite:///")).parent
    assert [path.name for path in folder.iterdir()] == ["checkout.sqlite3"]
