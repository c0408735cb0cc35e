"""A copy of the whole database in one file, made while the shop sells, and read again at once."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from app.errors import BackupFailed, CheckoutError
from app.store.audit import audit_orders
from app.store.database import Database, address, sqlite_file
from app.store.dump import dump_to, dumped_rows, read_whole
from app.store.journal import Head, Journal, Record, first_fault

BUSY_S = 5.0


@dataclass(frozen=True, slots=True)
class Backup:
    """What is in a copy: where its journals end, by lane, and what they do not agree with.

    problem: one line; "" when the journals are as they were written.
    """

    heads: list[Head]
    problem: str


def back_up(database_url: str, file: Path) -> Backup:
    """Copy the database as of one moment to a new file, and read the copy.

    SQLite: a database, by its online backup. PostgreSQL: pg_dump's custom format. The copy gets its
    name only when it could be read from beginning to end. Only its owner may read it: it holds the
    hashes of passwords. Raises BackupFailed, also when ``file`` is there; then nothing is left.
    """
    with _one_line(), _new_file(file.absolute()) as draft:
        url = address(database_url)
        copy = _copy_sqlite if url.get_backend_name() == "sqlite" else _dump_postgresql
        return copy(url, draft)


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except BackupFailed:
        raise
    except (OSError, sqlite3.Error, CheckoutError) as error:
        raise BackupFailed(f"No backup was made: {error}") from error


@contextmanager
def _new_file(file: Path) -> Iterator[Path]:
    """Give a draft to write to, which becomes the file only when all went well."""
    if file.exists():
        raise BackupFailed(f"{file} is there already: give the backup another name.")
    draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}.part")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        yield draft
        _sync(draft)
        file.touch(0o600, exist_ok=False)  # replaces nobody's file, not even one made just now
        draft.replace(file)
        _sync(file.parent)
    finally:
        for end in ("", "-journal", "-wal", "-shm"):  # SQLite's own, when it was interrupted
            with suppress(FileNotFoundError):
                draft.with_name(draft.name + end).unlink()


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy_sqlite(url: URL, draft: Path) -> Backup:
    source = sqlite_file(url)
    if source is None or not source.is_file():
        raise BackupFailed(f"There is no database file to copy: {url.database}")
    address = f"{source.as_uri()}?mode=rw"
    with (
        closing(sqlite3.connect(address, timeout=BUSY_S, uri=True)) as shop,
        closing(sqlite3.connect(draft)) as copy,
    ):
        shop.backup(copy)  # in one step: it sees one moment, and no sale waits for a reader
        wrong = copy.execute("PRAGMA integrity_check").fetchone()[0]
        if wrong == "ok" and copy.execute("PRAGMA foreign_key_check").fetchone():
            wrong = "rows refer to others that are not there"
        if wrong != "ok":
            raise BackupFailed(f"No backup was made, the database is damaged: {wrong}")
    return _read_sqlite(draft)


def _read_sqlite(file: Path) -> Backup:
    database = Database(URL.create("sqlite", database=str(file)))
    try:
        journal = Journal(database)
        fault = journal.verify()
        backup = Backup(journal.heads(), str(fault) if fault else audit_orders(database))
    finally:
        database.close()
    with closing(sqlite3.connect(file)) as copy:
        copy.execute("PRAGMA journal_mode = DELETE")  # everything is in the one file
    return backup


def _dump_postgresql(url: URL, draft: Path) -> Backup:
    dump_to(url, draft)
    read_whole(draft)
    heads = [
        Head(row["lane"], int(row["number"]), row["hash"])
        for row in dumped_rows(draft, "journal_heads")
    ]
    records = [
        Record(**row | {"number": int(row["number"])})  # type: ignore[arg-type]
        for row in dumped_rows(draft, "journal")
    ]
    heads.sort(key=lambda head: head.lane)
    records.sort(key=lambda record: (record.lane, record.number))
    fault = first_fault(records, lambda: heads)
    return Backup(heads, str(fault or ""))
