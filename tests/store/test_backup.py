"""A backup is made while the shop sells, is read again, replaces nothing, and can be restored."""

import os
import shutil
import sqlite3
import stat
import subprocess
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from app.errors import BackupFailed
from app.store.audit import audit_orders
from app.store.backup import back_up
from app.store.database import Database
from app.store.journal import Journal
from app.store.orders import SqlOrderStore
from tests.postgres import Postgres, binary
from tests.store.selling import draft, refund, sell
from tests.store.test_journal import tampering


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "stick"
    folder.mkdir()
    return folder / "checkout.backup"


def restored(file: Path, url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Database:
    """Do as docs/backup.md says: into a new file, or a new database."""
    if url.startswith("sqlite"):
        shutil.copyfile(file, tmp_path / "restored.sqlite3")
        return Database(f"sqlite:///{tmp_path / 'restored.sqlite3'}")
    server: Postgres = request.getfixturevalue("postgres")
    new = server.url(server.new_database())
    into = ("--exit-on-error", "--no-owner", "--single-transaction", "--dbname", new)
    subprocess.run([binary("pg_restore"), *into, str(file)], check=True, timeout=60)
    return Database(new)


def test_a_restored_backup_holds_every_sale_and_sells_on(
    database, orders, database_url, file, tmp_path, request
):
    sold = sell(orders, "a")
    refund(orders, sold, {0: 1})
    waiting = orders.create(draft("b"))
    Journal(database).record("1", "사장\t\\\n", "odd", {"text": 'tab\t "quote" \\ line\n\x01 과일'})
    made = back_up(database_url, file)
    sell(orders, "sold after the backup", lane="2")

    copy = restored(file, database_url, tmp_path, request)
    again = SqlOrderStore(copy)
    assert (made.heads, made.problem) == (Journal(copy).heads(), "")
    assert list(Journal(copy).records()) == list(Journal(database).records("1"))
    assert again.get(sold.id) == orders.get(sold.id)
    assert again.refunds(sold.id) == orders.refunds(sold.id)
    assert again.awaiting() == [waiting]
    assert again.find_by_key("sold after the backup") is None
    copy.migrate()
    assert sell(again, "sold after restoring").sold
    assert (Journal(copy).verify(), audit_orders(copy)) == (None, "")
    with pytest.raises(Exception, match="journal"), copy.writing() as session:
        session.execute(text("DELETE FROM journal"))  # its triggers came back with it
    copy.close()


def test_a_backup_amid_sales_holds_whole_sales_only(
    database, orders, database_url, file, tmp_path, request
):
    sell(orders, "the first")
    done = threading.Event()

    def sell_on() -> None:
        for n in range(1000):
            if done.is_set():
                return
            sell(orders, f"key {n}")

    thread = threading.Thread(target=sell_on)
    thread.start()
    try:
        made = back_up(database_url, file)
    finally:
        done.set()
        thread.join()

    copy = restored(file, database_url, tmp_path, request)
    assert (made.problem, Journal(copy).verify(), audit_orders(copy)) == ("", None, "")
    assert Journal(copy).heads() == made.heads
    copy.close()


def test_only_its_owner_may_read_a_backup_and_nothing_lies_beside_it(orders, database_url, file):
    sell(orders)
    back_up(database_url, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("name", ["why?.backup", "shop #1 50%20.backup"])
def test_a_backup_may_have_any_name(orders, database_url, tmp_path, name):
    back_up(database_url, tmp_path / name)
    assert (tmp_path / name).stat().st_size > 0


def test_a_database_whose_rows_refer_to_nothing_gives_no_backup(sqlite_url, file):
    database = Database(sqlite_url)
    database.migrate()
    database.close()
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as raw:
        raw.execute("INSERT INTO miscounts VALUES (7, 'pear', 1, 2)")
        raw.commit()
    with pytest.raises(BackupFailed, match="rows refer to others that are not there"):
        back_up(sqlite_url, file)


def test_an_address_that_is_none_gives_no_backup(file):
    with pytest.raises(BackupFailed, match="address cannot be used"):
        back_up("postgresql://shop@localhost:54x2/shop", file)


def test_a_backup_never_replaces_a_file(orders, database_url, file):
    file.write_text("the only backup of last year")
    with pytest.raises(BackupFailed, match="is there already"):
        back_up(database_url, file)
    assert file.read_text() == "the only backup of last year"
    assert len(list(file.parent.iterdir())) == 1


def test_a_backup_of_a_changed_journal_is_kept_and_says_so(database, orders, database_url, file):
    sell(orders, "a")
    sell(orders, "b")
    with tampering(database) as session:
        session.execute(text("UPDATE journal SET actor = 'nobody' WHERE number = 2"))
    made = back_up(database_url, file)
    assert made.problem == "lane 1, record 2: its values are not the ones that were written"
    assert file.exists()


def test_a_folder_that_is_not_there_gets_no_backup(orders, database_url, file):
    with pytest.raises(BackupFailed, match="No such file"):
        back_up(database_url, file.parent / "unplugged" / "x.backup")


def test_a_database_that_is_not_there_gives_no_backup_and_leaves_nothing(empty_url, file):
    url = make_url(empty_url)
    url = url.set(database=f"{url.database}-gone")
    with pytest.raises(BackupFailed):
        back_up(url.render_as_string(hide_password=False), file)
    assert list(file.parent.iterdir()) == []


def test_a_damaged_file_gives_no_backup(sqlite_url, file):
    database = Database(sqlite_url)
    database.migrate()
    for n in range(20):
        sell(SqlOrderStore(database), f"key {n}")
    database.close()
    shop = Path(sqlite_url.removeprefix("sqlite:///"))
    with shop.open("r+b") as raw:
        raw.seek(shop.stat().st_size - 3 * 4096)
        raw.write(os.urandom(3 * 4096))
    with pytest.raises(BackupFailed) as told:
        back_up(sqlite_url, file)
    assert "\n" not in str(told.value)
    assert list(file.parent.iterdir()) == []


def test_a_full_disk_leaves_no_half_a_backup(sqlite_url, file, monkeypatch):
    database = Database(sqlite_url)
    database.migrate()
    database.close()
    real = sqlite3.connect

    def small(name, **options):
        connection = real(name, **options)
        if str(name).startswith(str(file)):
            connection.execute("PRAGMA max_page_count = 10")
        return connection

    monkeypatch.setattr(sqlite3, "connect", small)
    with pytest.raises(BackupFailed, match="full"):
        back_up(sqlite_url, file)
    assert list(file.parent.iterdir()) == []
