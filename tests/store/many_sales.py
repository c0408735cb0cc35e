"""A year of sales, written straight into the tables: enough to measure reports with."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert

from app.store.database import Database
from app.store.tables import (
    MiscountRow,
    OrderLineRow,
    OrderRow,
    PaymentRow,
    RefundLineRow,
    RefundRow,
)

FRUIT = {
    "apple": 1500,
    "orange": 1200,
    "pear": 3500,
    "watermelon": 18000,
    "durian": 25000,
    "lemon": 900,
    "grapes": 8000,
    "pineapple": 6000,
    "dragon_fruit": 5500,
    "oriental_melon": 2500,
    "melon": 9000,
}
METHODS = ("cash", "card", "card", "qr")
BATCH = 2000
Rows = dict[str, Any]


def fill(database: Database, orders: int, last: datetime, seed: int = 1) -> None:
    """Write that many paid orders, spread over the year before ``last`` (UTC)."""
    random.seed(seed)
    tables = OrderRow, OrderLineRow, MiscountRow, PaymentRow, RefundRow, RefundLineRow
    for first in range(1, orders + 1, BATCH):
        made: list[list[Rows]] = [[] for _ in tables]
        for order_id in range(first, min(first + BATCH, orders + 1)):
            at = last - timedelta(days=365) * (1 - order_id / orders)
            for rows, more in zip(made, sale(order_id, at), strict=True):
                rows += more
        with database.writing() as session:
            for table, rows in zip(tables, made, strict=True):
                if rows:
                    session.execute(insert(table), rows)


def sale(order_id: int, at: datetime) -> tuple[list[Rows], ...]:
    """The rows of one order, of its lines, its payment, and in one of fifty its refund."""
    lines = list(basket(order_id))
    total = sum(line["amount_minor"] for line in lines)
    method = random.choice(METHODS)
    refunded = lines[0]["amount_minor"] if order_id % 50 == 0 else 0
    return (
        [order(order_id, at, method, total, refunded, lines)],
        lines,
        [miscount(line) for line in lines if line["source"] == "manual"],
        [payment(order_id, at, method, total)],
        *refund(order_id, at + timedelta(hours=1), lines[0] if refunded else None),
    )


def basket(order_id: int) -> Iterator[Rows]:
    """One to five kinds; in one of ten orders something was added by hand."""
    for position, key in enumerate(random.sample(list(FRUIT), random.randint(1, 5))):
        quantity, by_hand = random.randint(1, 4), position == 1 and order_id % 10 == 0
        yield {
            "order_id": order_id,
            "position": position,
            "key": key,
            "name_ko": key,
            "name_en": key.replace("_", " ").title(),
            "quantity": quantity,
            "unit_price_minor": FRUIT[key],
            "amount_minor": quantity * FRUIT[key],
            "source": "manual" if by_hand else "camera",
            "tax": "exempt",
        }


def miscount(line: Rows) -> Rows:
    same = {name: line[name] for name in ("order_id", "key")}
    return {**same, "counted": 0, "paid": line["quantity"]}


def order(
    order_id: int, at: datetime, method: str, total: int, refunded: int, lines: list[Rows]
) -> Rows:
    status = "paid" if not refunded else "refunded" if refunded == total else "partly_refunded"
    return {
        "id": order_id,
        "number": f"1-{at:%y%m%d}-{order_id}",
        "lane": "1",
        "status": status,
        "currency": "KRW",
        "total_minor": total,
        "cart_version": order_id,
        "method": method,
        "idempotency_key": f"key {order_id}",
        "camera_counts": {
            line["key"]: line["quantity"] for line in lines if line["source"] == "camera"
        },
        "created_at": at,
        "changed_at": at,
        "changed_by": "kim",
        "released_at": at,
        "day": at.astimezone().date(),
        "day_count": order_id,
        "paid_at": at,
        "refunded_minor": refunded,
    }


def payment(order_id: int, at: datetime, method: str, total: int) -> Rows:
    return {
        "order_id": order_id,
        "method": method,
        "amount_minor": total,
        "confirmed_by": "kim",
        "at": at,
        "approval_number": "",
        "provider_reference": "",
        "outcome": "confirmed",
        "reason": "",
    }


def refund(order_id: int, at: datetime, line: Rows | None) -> tuple[list[Rows], list[Rows]]:
    if line is None:
        return [], []
    given = {
        "id": order_id,
        "order_id": order_id,
        "number": 1,
        "amount_minor": line["amount_minor"],
        "reason": "bruised",
        "actor": "kim",
        "at": at,
        "idempotency_key": f"refund {order_id}",
        "provider_reference": "",
    }
    of_line = {name: line[name] for name in ("order_id", "position", "quantity", "amount_minor")}
    return [given], [{"refund_id": order_id, **of_line}]
