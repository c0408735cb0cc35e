from collections.abc import Iterator

import pytest

from app.store.database import Database
from app.store.orders import SqlOrderStore


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def orders(database: Database) -> SqlOrderStore:
    return SqlOrderStore(database)


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[Database]:
    database = Database(sqlite_url)
    database.migrate()
    yield database
    database.close()
