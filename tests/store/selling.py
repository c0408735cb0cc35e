"""Orders to sell, and the usual ways in which they go on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from app.errors import CheckoutError
from app.shop.cart import Cart
from app.shop.order import Order, OrderStatus, order_from, order_number
from app.shop.payment import ByClerk, ByTransfer, Payment, PaymentMethod, Proof
from app.shop.refund import Refund, RefundRequest
from app.store.orders import SqlOrderStore
from tests.shop.fakes import CATALOG

TWO_APPLES_AND_A_PEAR_MINOR = 6500


def draft(key: str = "key", lane: str = "1", method: PaymentMethod | None = None) -> Order:
    cart = Cart().see({"apple": 2}, True).add("pear", 1, CATALOG)
    return order_from(cart.snapshot(lane, 7, CATALOG), CATALOG, cart, method or ByClerk(), key)


def overdue_draft(key: str = "key") -> Order:
    long_ago = timedelta(seconds=-1)
    return draft(key, method=ByTransfer(valid_for=long_ago))


def number(count: int, lane: str = "1") -> str:
    return order_number(lane, datetime.now().date(), count)


def payment(order: Order, by: str = "kim", reference: str = "") -> Payment:
    proof = Proof(provider_reference=reference)
    return ByTransfer().accept(order.total_minor, proof, by)


def pay(orders: SqlOrderStore, order: Order, by: str = "kim") -> Order:
    return orders.confirm(order.id or 0, payment(order, by))


def cancel(orders: SqlOrderStore, order: Order, by: str = "kim") -> Order:
    return orders.end(order.id or 0, OrderStatus.CANCELLED, by)


def expire(orders: SqlOrderStore, order: Order) -> Order:
    return orders.end(order.id or 0, OrderStatus.EXPIRED, "clock")


def sell(orders: SqlOrderStore, key: str = "key", lane: str = "1") -> Order:
    return pay(orders, orders.create(draft(key, lane)))


def refund(
    orders: SqlOrderStore, order: Order, quantities: dict[int, int] | None, key: str = "r"
) -> Refund:
    return orders.refund(order.id or 0, RefundRequest("bruised", key, quantities), "kim")


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Run ``work(n)`` in many threads at the same moment; answers or errors, in any order."""
    results: list[Any] = []
    start = threading.Barrier(count)

    def run(n: int) -> None:
        start.wait()
        try:
            results.append(work(n))
        except CheckoutError as error:
            results.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def now() -> datetime:
    return datetime.now(UTC)
