"""Kill many sellers, and compare what they told of with what the database holds."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select, text

from app.store.audit import audit_orders
from app.store.database import Database
from app.store.journal import Journal
from app.store.tables import OrderRow, PaymentRow

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Found:
    """How many sales were told of, paid (also by a seller that died before telling), and begun."""

    told: int
    paid: int
    orders: int


def kill_sellers(url: str, sellers: int, seed: int) -> Found:
    """Let so many sellers work and die; AssertionError when a sale is lost, doubled or half."""
    program = [sys.executable, "-m", "tests.store.crash_nursery", url, str(sellers), str(seed)]
    done = subprocess.run(program, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    told = Counter(done.stdout.split())
    assert len(told) >= sellers
    assert set(told.values()) == {1}
    database = Database(url)
    try:
        found = _compare(database, told)
        assert (Journal(database).verify(), audit_orders(database)) == (None, "")
    finally:
        database.close()
    # Each seller may die between its last sale and telling of it, or amid one order.
    assert found.paid - found.told <= sellers
    assert found.orders - found.paid <= sellers
    return found


def _compare(database: Database, told: Counter[str]) -> Found:
    wanted = select(OrderRow.idempotency_key, OrderRow.status, PaymentRow.order_id)
    with database.reading() as session:
        rows = session.execute(wanted.outerjoin(PaymentRow)).all()
        if database.is_sqlite:
            assert session.execute(text("PRAGMA integrity_check")).scalar() == "ok"
    orders = Counter(key for key, _, _ in rows if key != "the first")
    assert max(orders.values()) == 1, "an order is there twice, or was paid twice"
    assert all((status == "paid") == (payment is not None) for _, status, payment in rows)
    paid = {key for key, status, _ in rows if status == "paid"} & orders.keys()
    assert told.keys() <= paid, "a sale that was told of is not there"
    return Found(len(told), len(paid), len(orders))
