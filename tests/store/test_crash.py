"""Sellers that are killed at any moment leave whole sales, and all of those they told of."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

from sqlalchemy import select, text

from app.store.audit import audit_orders
from app.store.journal import Journal
from app.store.tables import OrderRow, PaymentRow

ROOT = Path(__file__).parents[2]
SELLERS = 40


def test_killed_sellers_have_lost_and_doubled_nothing(database, database_url):
    program = [sys.executable, "-m", "tests.store.crash_nursery", database_url, str(SELLERS), "1"]
    done = subprocess.run(
        program, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    told = Counter(done.stdout.split())
    assert len(told) >= SELLERS
    assert set(told.values()) == {1}

    with database.reading() as session:
        orders = session.execute(
            select(OrderRow.idempotency_key, OrderRow.status, PaymentRow.order_id).outerjoin(
                PaymentRow, PaymentRow.order_id == OrderRow.id
            )
        ).all()
        if database.is_sqlite:
            assert session.execute(text("PRAGMA integrity_check")).scalar() == "ok"
    assert max(Counter(key for key, _, _ in orders).values()) == 1
    assert all((status == "paid") == (paid is not None) for _, status, paid in orders)
    paid = {key for key, status, _ in orders if status == "paid"}
    assert told.keys() <= paid
    # Each seller may die between its last sale and telling of it, or amid one order.
    assert len(paid - {"the first"}) - len(told) <= SELLERS
    assert len(orders) - len(paid) <= SELLERS
    assert (Journal(database).verify(), audit_orders(database)) == (None, "")
