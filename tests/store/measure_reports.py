"""Measure reports over a year of sales, on SQLite and on PostgreSQL.

    python -m tests.store.measure_reports [--orders 100000] [--database both] [--times 5]

Fills an empty database, then prints the median and the slowest time of each question in seconds,
and the processor time that this process spent on it.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import text

from app.shop.period import Period, today
from app.store.database import Database
from app.store.exports import WRITERS, exported
from app.store.orders import SqlOrderStore
from app.store.reports import reports
from tests.postgres import Postgres
from tests.store.many_sales import fill

Questions = dict[str, Callable[[], object]]


@contextmanager
def sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/checkout.sqlite3"


@contextmanager
def postgresql() -> Iterator[str]:
    server = Postgres()
    try:
        server.start()
        yield server.url(server.new_database())
    finally:
        server.remove()


DATABASES = {"sqlite": sqlite, "postgresql": postgresql}


def questions(database: Database) -> Questions:
    """What an owner or a clerk asks, by its name."""
    now, orders = today(), SqlOrderStore(database)
    number = orders.of_day(now - timedelta(days=30), None, 1)[0].number

    def report(first: date) -> Callable[[], object]:
        return lambda: reports(database, Period(first, now), "KRW")

    def export(first: date, form: str) -> Callable[[], object]:
        return lambda: take_away(database, Period(first, now), form)

    return {
        "report of today": report(now),
        "report of 31 days": report(now - timedelta(days=30)),
        "report of 366 days": report(now - timedelta(days=365)),
        "orders of a day, first page": lambda: orders.of_day(now, None, 50),
        "order by its number": lambda: orders.find(number),
        "export of 7 days, CSV": export(now - timedelta(days=6), "csv"),
        "export of 7 days, XLSX": export(now - timedelta(days=6), "xlsx"),
        "export of 366 days, CSV": export(now - timedelta(days=365), "csv"),
    }


def take_away(database: Database, period: Period, form: str) -> None:
    with exported(database, period) as (_, rows):
        WRITERS[form](rows, io.BytesIO())


def measure(url: str, orders: int, times: int) -> None:
    database = Database(url)
    database.migrate()
    began = time.monotonic()
    fill(database, orders, datetime.now(UTC))
    print(f"{orders} orders written in {time.monotonic() - began:.0f} s")
    with database.writing() as session:
        session.execute(text("ANALYZE"))  # as PostgreSQL's autovacuum does within a minute
    print(f"{'':<30}{'median':>9}{'slowest':>9}{'processor':>10}")
    for name, ask in questions(database).items():
        spent, busy_s = [], time.process_time()
        for _ in range(times):
            began = time.monotonic()
            ask()
            spent.append(time.monotonic() - began)
        busy_s = (time.process_time() - busy_s) / times
        print(f"{name:<30}{statistics.median(spent):>9.3f}{max(spent):>9.3f}{busy_s:>10.3f}")
    database.close()


def main() -> None:
    p = argparse.ArgumentParser(prog="python -m tests.store.measure_reports", description=__doc__)
    p.add_argument("--orders", type=int, default=100_000)
    p.add_argument("--database", choices=[*DATABASES, "both"], default="both")
    p.add_argument("--times", type=int, default=5)
    args = p.parse_args()
    chosen = DATABASES if args.database == "both" else {args.database: DATABASES[args.database]}
    for name, made in chosen.items():
        print(name)
        with made() as url:
            measure(url, args.orders, args.times)


if __name__ == "__main__":
    main()
