"""A disk that is full, a database that cannot be written, is gone, and comes back."""

import os
import shutil
import signal
from pathlib import Path

import pytest
from sqlalchemy import text

from app.errors import StoreUnavailable
from app.shop.order import Order, OrderStatus
from app.store.database import Database
from app.store.journal import Journal
from app.store.orders import SqlOrderStore
from app.store.postgresql import OPTIONS, PatientConnection
from tests.postgres import Postgres
from tests.store.selling import cancel, draft, pay, refund, sell

WORDS = "The database does not answer"


@pytest.fixture
def file(sqlite_url: str) -> Path:
    return Path(sqlite_url.removeprefix("sqlite:///"))


def refused(orders: SqlOrderStore, waiting, sold) -> None:
    """Nothing that would write does, and each says so in one line."""
    for act in (
        lambda: orders.create(draft("new")),
        lambda: pay(orders, waiting),
        lambda: cancel(orders, waiting),
        lambda: refund(orders, sold, None),
        lambda: orders.release(sold.id),
    ):
        with pytest.raises(StoreUnavailable, match=WORDS) as told:
            act()
        assert "\n" not in str(told.value)


def unchanged(orders: SqlOrderStore, waiting, sold) -> None:
    assert orders.awaiting() == [waiting]
    assert orders.get(sold.id) == sold
    assert orders.find_by_key("new") is None
    assert orders.payments(waiting.id) == orders.refunds(sold.id) == []


def goes_on(database: Database, waiting) -> None:
    orders = SqlOrderStore(database)
    database.ping()
    assert pay(orders, waiting).status is OrderStatus.PAID
    assert sell(orders, "after").sold
    assert Journal(database).verify() is None


def limit_pages(database: Database, pages: int) -> None:
    """SQLite's own limit on the size of a file: beyond it, it says that the disk is full."""
    with database.reading() as session:
        session.execute(text(f"PRAGMA max_page_count = {pages}"))


def sell_until_refused(orders: SqlOrderStore, made: list[Order]) -> None:
    for n in range(200):  # the last page has room for some
        made.append(orders.create(draft(f"more {n}")))


def test_a_full_disk_stops_sales_and_leaves_nothing_half_written(sqlite):
    orders = SqlOrderStore(sqlite)
    sold, waiting = sell(orders, "a"), orders.create(draft("b"))
    with sqlite.reading() as session:
        pages = session.execute(text("PRAGMA page_count")).scalar()
    limit_pages(sqlite, pages)
    before = len(list(Journal(sqlite).records()))
    made: list[Order] = []
    with pytest.raises(StoreUnavailable, match="full"):
        sell_until_refused(orders, made)
    assert orders.awaiting() == [waiting, *made]
    assert len(list(Journal(sqlite).records())) == before + len(made)
    assert orders.get(sold.id) == sold
    limit_pages(sqlite, 10**6)
    goes_on(sqlite, waiting)


def test_a_read_only_file_stops_sales_and_can_still_be_read(sqlite, file):
    orders = SqlOrderStore(sqlite)
    sold, waiting = sell(orders, "a"), orders.create(draft("b"))
    read_only = Database(f"sqlite:///file:{file}?mode=ro&uri=true")
    with pytest.raises(StoreUnavailable, match="readonly"):
        read_only.ping()
    refused(SqlOrderStore(read_only), waiting, sold)
    unchanged(SqlOrderStore(read_only), waiting, sold)
    read_only.close()
    goes_on(sqlite, waiting)


def test_a_file_that_is_gone_takes_no_sale_with_it_and_is_used_again_when_it_is_back(sqlite, file):
    orders = SqlOrderStore(sqlite)
    sold, waiting = sell(orders, "a"), orders.create(draft("b"))
    away = file.parent / "away"
    away.mkdir()
    for part in file.parent.glob("checkout.sqlite3*"):
        part.rename(away / part.name)
    refused(orders, waiting, sold)
    assert list(file.parent.glob("checkout.sqlite3*")) == []  # no empty one takes its place
    for part in away.iterdir():
        part.rename(file.parent / part.name)
    unchanged(orders, waiting, sold)
    goes_on(sqlite, waiting)


def test_a_file_that_was_replaced_is_used_in_place_of_the_old_one(sqlite, file):
    orders = SqlOrderStore(sqlite)
    sold = sell(orders, "a")
    sqlite.close()
    backup = file.with_suffix(".backup")
    shutil.copyfile(file, backup)
    sell(orders, "lost with the old file")
    backup.replace(file)  # under an open connection
    for part in ("-wal", "-shm"):
        file.with_name(file.name + part).unlink()
    assert orders.get(sold.id) == sold
    assert orders.find_by_key("lost with the old file") is None
    assert sell(orders, "b").sold


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
def test_a_server_that_is_gone_stops_sales_until_it_is_back(postgres, database_url_of_own, how):
    database = Database(database_url_of_own)
    orders = SqlOrderStore(database)
    sold, waiting = sell(orders, "a"), orders.create(draft("b"))
    postgres.stop(how)
    try:
        refused(orders, waiting, sold)
    finally:
        postgres.start()
    unchanged(orders, waiting, sold)
    goes_on(database, waiting)
    database.close()


def test_a_server_that_hangs_stops_sales_until_it_answers(
    postgres, database_url_of_own, monkeypatch
):
    monkeypatch.setattr(PatientConnection, "patience_s", 0.3)
    monkeypatch.setitem(OPTIONS["connect_args"], "connect_timeout", 2)
    database = Database(database_url_of_own)
    orders = SqlOrderStore(database)
    sold, waiting = sell(orders, "a"), orders.create(draft("b"))
    postgres.freeze()
    try:
        with pytest.raises(StoreUnavailable, match=WORDS):
            pay(orders, waiting)
        with pytest.raises(StoreUnavailable, match=WORDS):
            orders.create(draft("new"))
    finally:
        postgres.thaw()
    unchanged(orders, waiting, sold)
    goes_on(database, waiting)
    database.close()


def test_one_connection_that_hangs_is_given_up_for_another(
    postgres, database_url_of_own, monkeypatch
):
    monkeypatch.setattr(PatientConnection, "patience_s", 0.3)
    database = Database(database_url_of_own)
    orders = SqlOrderStore(database)
    waiting = orders.create(draft("b"))
    with database.reading() as session:
        backend = session.execute(text("SELECT pg_backend_pid()")).scalar()
    os.kill(backend, signal.SIGSTOP)
    try:
        goes_on(database, waiting)
    finally:
        os.kill(backend, signal.SIGCONT)
    database.close()


def test_a_server_that_hangs_in_the_middle_of_a_sale_makes_it_whole_or_not_at_all(
    postgres, database_url_of_own, monkeypatch
):
    monkeypatch.setattr(PatientConnection, "patience_s", 0.3)
    database = Database(database_url_of_own)
    stopped: list[int] = []

    def write_and_hang() -> None:
        with database.writing() as session:
            stopped.append(session.execute(text("SELECT pg_backend_pid()")).scalar_one())
            session.execute(text("UPDATE orders SET released_at = NULL WHERE id = 0"))
            os.kill(stopped[0], signal.SIGSTOP)

    with pytest.raises(StoreUnavailable, match=WORDS):
        write_and_hang()
    os.kill(stopped[0], signal.SIGCONT)
    goes_on(database, SqlOrderStore(database).create(draft("b")))
    database.close()


def test_a_server_that_only_reads_stops_sales(postgres, database_url_of_own):
    database = Database(database_url_of_own)
    orders = SqlOrderStore(database)
    sold, waiting = sell(orders, "a"), orders.create(draft("b"))
    name = database_url_of_own.rpartition("/")[2]
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    database.close()  # the setting is for new connections
    with pytest.raises(StoreUnavailable, match="read-only"):
        database.ping()
    refused(orders, waiting, sold)
    unchanged(orders, waiting, sold)
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = off")
    database.close()
    goes_on(database, waiting)
    database.close()


@pytest.fixture
def database_url_of_own(postgres: Postgres) -> str:
    url = postgres.url(postgres.new_database())
    database = Database(url)
    database.migrate()
    database.close()
    return url
