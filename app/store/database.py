"""The database: connections, transactions, migrations and its health."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
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


class Database:
    """One database by its SQLAlchemy URL; nothing is opened before the first use."""

    def __init__(self, url: str) -> None:
        """Prepare the engine. Raises SettingsError on an address that is none."""
        try:
            self._url = make_url(url)
            self._engine = create_engine(self._url)
        except (ArgumentError, ImportError) as error:
            raise SettingsError(f"The database address cannot be used: {error}") from error
        # One kind of transaction takes SQLite's write lock at once, so that what it has read
        # cannot change before it writes.
        self._writer = self._engine.execution_options(sqlite_begin="IMMEDIATE")
        if self._url.get_backend_name() == "sqlite":
            _prepare_sqlite(self._engine)

    def migrate(self) -> None:
        """Create the tables or bring them up to date; safe to call from several processes."""
        if self._url.get_backend_name() == "sqlite" and self._url.database:
            self._create_folder(Path(self._url.database).parent)
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        with translated(), self._writer.begin() as connection:
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise StoreUnavailable(
                    f"The database is not one of this version: {error}"
                ) from error

    def _create_folder(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(f"The database folder cannot be made: {error}") from error

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a session to read with; closed at the end, nothing is kept."""
        with translated(), Session(self._engine) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a session to write with: committed at the end, rolled back on an error.

        Raises StoreUnavailable when the database fails, IntegrityError when it refuses the values.
        """
        with translated(), Session(self._writer) as session, session.begin():
            session.connection()  # takes the write lock before the first statement
            yield session

    def ping(self) -> None:
        """Return when the tables are there and can be written, else raise StoreUnavailable."""
        with self.writing() as session:
            session.execute(text("SELECT 1 FROM orders WHERE id = 0"))

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
