"""Sales of other days than today, and a shop in another time zone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

from app.shop.cart import Cart
from app.shop.catalog import Catalog, Item
from app.shop.order import Order, order_from
from app.shop.payment import STANDARD_METHODS, Payment
from app.store.orders import SqlOrderStore

APPLE = Item("apple", "사과", "Apple", 1500)
PEAR = Item("pear", "배", "Pear", 3500)
JUICE = Item("juice", "주스", "Juice", 2200, tax="standard")
CATALOG = Catalog({item.key: item for item in (APPLE, PEAR, JUICE)}, version=1)
DOLLARS = replace(CATALOG, currency="USD")
KEYS = count()


def order_at(
    orders: SqlOrderStore,
    at: datetime,
    counted: Mapping[str, int],
    paid: Mapping[str, int] | None = None,
    method: str = "cash",
    catalog: Catalog = CATALOG,
    lane: str = "9",
) -> Order:
    """Begin an order at a moment; counted: what the camera saw, paid: after correcting it."""
    cart = Cart().see(counted, True)
    for key in {*counted, *(paid or {})}:
        before, after = counted.get(key, 0), (paid or counted).get(key, 0)
        if before and after != before:
            cart = cart.change(f"camera:{key}", after)
        elif after and not before:
            cart = cart.add(key, after, catalog)
    seen, way = cart.snapshot(lane, 1, catalog), STANDARD_METHODS[method]
    return orders.create(order_from(seen, catalog, cart, way, f"past {next(KEYS)}", at))


def sell_at(
    orders: SqlOrderStore,
    at: datetime,
    counted: Mapping[str, int],
    paid: Mapping[str, int] | None = None,
    method: str = "cash",
    catalog: Catalog = CATALOG,
    lane: str = "9",
) -> Order:
    order = order_at(orders, at, counted, paid, method, catalog, lane)
    total = order.total_minor
    cash = {"received_minor": total, "change_minor": 0} if method == "cash" else {}
    money_at = at + timedelta(seconds=5) if method == "qr" else at
    return orders.confirm(order.id or 0, Payment(method, total, "kim", money_at, **cash))


@contextmanager
def living_in(zone: str) -> Iterator[None]:
    """Move this process to another time zone for a while."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = zone
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ")
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()
