from pathlib import Path

import pytest

from app.store.database import Database


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'shop' / 'checkout.sqlite3'}"


@pytest.fixture
def database(url: str):
    database = Database(url)
    database.migrate()
    yield database
    database.close()
