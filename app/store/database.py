"""The database: connections, transactions, migrations and its health."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from app.errors import SettingsError, StoreUnavailable

MIGRATIONS = Path(__file__).parent / "migrations"
SQLITE_PRAGMAS = (
    "PRAGMA busy_timeout = 5000",  # ms; first, since switching to WAL may have to wait
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # a power cut must not undo a sale that a screen showed
    "PRAGMA foreign_keys = ON",
)
MIGRATION_LOCK = 0x66727569  # any number that only this program locks


class Database:
    """One database by its SQLAlchemy URL; nothing is opened before the first use."""

    def __init__(self, url: str | URL) -> None:
        """Prepare the engine; ``postgresql://`` means psycopg 3.

        Raises SettingsError on an address that is none, or without its driver.
        """
        try:
            self._url = with_driver(address(url))
            self.is_sqlite = self._url.get_backend_name() == "sqlite"
            self._engine = create_engine(self._url) if self.is_sqlite else served(self._url)
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"The database needs {error.name}: pip install -r requirements-postgresql.txt"
            ) from error
        except (ArgumentError, ImportError) as error:
            raise _useless(error) from error
        # One kind of transaction takes SQLite's write lock at once, so that what it has read
        # cannot change before it writes.
        self._writer = self._engine.execution_options(sqlite_begin="IMMEDIATE")
        self._file = sqlite_file(self._url)
        # Why the last write failed, one line; "" until one does. StoreWatch ends it.
        self.trouble = ""
        if self.is_sqlite:
            _prepare_sqlite(self._engine)
        if self._file:
            _stay_with_file(self._engine, self._file)

    def migrate(self, revision: str = "head") -> None:
        """Create the tables or bring them up to date; safe to call from several processes.

        revision: where to, up or down; "base" drops everything. Raises StoreUnavailable.
        """
        if self._file:
            self._create_file(self._file)
        with translated(), self._writer.connect() as connection, _rebuilding(connection):
            try:
                with nullcontext() if self.is_sqlite else _alone(connection):
                    _move_to(connection, revision)
            except CommandError as error:
                raise StoreUnavailable(
                    f"The database is not one of this version: {error}"
                ) from error

    def expect(self) -> None:
        """Raise StoreUnavailable when there is no such file; a server says so when it is used."""
        if self._file and not self._file.is_file():
            raise StoreUnavailable(
                f"There is no database at {self._file}: see CHECKOUT_DATABASE_URL."
            )

    def _create_file(self, file: Path) -> None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(f"The database folder cannot be made: {error}") from error
        with suppress(OSError):  # what cannot be made cannot be opened: that error says why
            file.touch()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a session to read with; closed at the end, nothing is kept."""
        with translated(), Session(self._engine) as session:
            yield session

    @contextmanager
    def one_moment(self) -> Iterator[Session]:
        """Open a session whose reads all see the same moment, whatever is sold meanwhile."""
        with self.reading() as session:
            if not self.is_sqlite:  # there a transaction is like that anyway
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a session to write with: committed at the end, rolled back on an error.

        Raises StoreUnavailable when the database fails, IntegrityError when it refuses the values.
        """
        try:
            with translated(), Session(self._writer) as session, session.begin():
                session.connection()  # takes the write lock before the first statement
                yield session
        except StoreUnavailable as error:
            self.trouble = str(error)
            raise

    def ping(self) -> None:
        """Return when the tables are there and can be written, else raise StoreUnavailable."""
        with self.writing() as session:
            session.execute(text("UPDATE orders SET released_at = NULL WHERE id = 0"))

    def revision(self) -> str | None:
        """Return the migration that the database is at; None before the first."""
        with translated(), self._engine.connect() as connection:
            found: str | None = MigrationContext.configure(connection).get_current_revision()
            return found

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


@contextmanager
def translated() -> Iterator[None]:
    """Turn a failure of the database into StoreUnavailable, one line; refused values stay."""
    try:
        yield
    except IntegrityError:
        raise
    except (DBAPIError, PoolTimeout) as error:
        cause = getattr(error, "orig", None) or error
        reason = " ".join(str(cause).split())
        raise StoreUnavailable(f"The database does not answer: {reason}") from error


def address(url: str | URL) -> URL:
    """Read a database's address. Raises SettingsError when it is none."""
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:  # the latter: a port that is no number
        raise _useless(error) from error


def _useless(error: Exception) -> SettingsError:
    return SettingsError(f"The database address cannot be used: {error}")


def with_driver(url: URL) -> URL:
    """Name the driver of a PostgreSQL address that names none: psycopg 3."""
    bare = url.drivername == "postgresql"
    return url.set(drivername="postgresql+psycopg") if bare else url


def served(url: URL) -> Engine:
    """The engine of a PostgreSQL server. Raises ModuleNotFoundError without its driver."""
    from app.store import postgresql  # not every shop has its driver

    engine = create_engine(url, **postgresql.OPTIONS)
    postgresql.stay_patient(engine)
    return engine


def sqlite_file(url: URL) -> Path | None:
    """Return the file of an SQLite address; None for memory, URIs and other databases."""
    name = url.database or ""
    plain = url.get_backend_name() == "sqlite" and not name.startswith((":memory:", "file:"))
    return Path(name).absolute() if name and plain else None


def _move_to(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    steps = [step.revision for step in script.walk_revisions("base", "heads")]  # newest first
    now = MigrationContext.configure(connection).get_current_revision()
    target = steps[0] if revision == "head" else revision
    down = target == "base" or (now in steps and steps.index(target) > steps.index(now))
    (command.downgrade if down else command.upgrade)(config, target)


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Let a PostgreSQL transaction change tables as long as it takes, one process at a time."""
    from app.store import postgresql  # not every shop has its driver

    with postgresql.unhurried(connection):
        connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
        yield


@contextmanager
def _rebuilding(connection: Connection) -> Iterator[None]:
    """Run one transaction in which SQLite may rebuild tables that others refer to.

    Rebuilding drops the old table, which foreign keys would refuse. They cannot be switched off
    inside a transaction; afterwards they are checked as a whole.
    """
    sqlite = connection.dialect.name == "sqlite"
    raw = connection.connection.dbapi_connection
    assert raw is not None
    if sqlite:
        raw.execute("PRAGMA foreign_keys = OFF")
    try:
        with connection.begin():
            yield
            if sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise StoreUnavailable("The database holds rows that refer to nothing.")
    finally:
        if sqlite:
            raw.execute("PRAGMA foreign_keys = ON")


def _stay_with_file(engine: Engine, file: Path) -> None:
    """Never write to a file that was deleted or replaced under an open connection.

    The operating system would go on taking the writes, and every sale in them would be lost.
    """

    @event.listens_for(engine, "do_connect")
    def on_do_connect(_dialect: Any, record: Any, _args: Any, _kwargs: Any) -> None:
        identity = _identity(file)
        if identity is None:
            raise sqlite3.OperationalError("the database file is not there")
        record.info["file"] = identity

    @event.listens_for(engine, "checkout")
    def on_checkout(_connection: Any, record: Any, _proxy: Any) -> None:
        if record.info.get("file") != _identity(file):
            raise DisconnectionError("the database file is another one now")


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _prepare_sqlite(engine: Engine) -> None:
    """Set the pragmas on each connection, and begin transactions ourselves.

    The sqlite3 module would begin one only at the first write, which is too late for a lock.
    """

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in SQLITE_PRAGMAS:
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")
