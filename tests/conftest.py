"""The databases that tests run on: each test gets an empty one of its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.store.database import Database
from tests.postgres import Postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all tests, started by the first that needs it."""
    server = Postgres()
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture(scope="session")
def shared_database(postgres: Postgres) -> str:
    """The database that one test after the other uses, emptied in between; making one is slow."""
    name = postgres.new_database()
    database = Database(postgres.url(name))
    database.migrate()
    database.close()
    return name


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with all tables and nothing in them, to be copied: making one is slow."""
    file = tmp_path_factory.mktemp("migrated") / "checkout.sqlite3"
    database = Database(f"sqlite:///{file}")
    database.migrate()
    database.close()
    return file


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'shop' / 'checkout.sqlite3'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, sqlite_url: str) -> str:
    """The address of a database without tables; the test runs once on each kind."""
    if request.param == "sqlite":
        return sqlite_url
    server: Postgres = request.getfixturevalue("postgres")
    return server.url(server.new_database())


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, sqlite_url: str, migrated_file: Path) -> str:
    """The address of a database with empty tables; the test runs once on each kind."""
    if request.param == "sqlite":
        file = Path(sqlite_url.removeprefix("sqlite:///"))
        file.parent.mkdir()
        shutil.copyfile(migrated_file, file)
        return sqlite_url
    server: Postgres = request.getfixturevalue("postgres")
    name: str = request.getfixturevalue("shared_database")
    server.empty(name)
    return server.url(name)
