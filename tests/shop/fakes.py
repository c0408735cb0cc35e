"""Small stand-ins that behave: a store in memory, a clock that is set by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from app.errors import OrderNotFound, StoreUnavailable
from app.shop.catalog import Catalog, Item
from app.shop.order import Order, OrderStatus, order_number

APPLE = Item("apple", "사과", "Apple", 1500)
PEAR = Item("pear", "배", "Pear", 3500)
LEMON = Item("lemon", "레몬", "Lemon", 900, active=False)
CATALOG = Catalog({item.key: item for item in (APPLE, PEAR, LEMON)}, version=1)


class HandClock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class MemoryOrders:
    """An OrderStore in a dict; ``broken`` makes every method raise StoreUnavailable."""

    def __init__(self) -> None:
        self.orders: dict[int, Order] = {}
        self.broken = False

    def ping(self) -> None:
        if self.broken:
            raise StoreUnavailable("The database does not answer.")

    def create(self, order: Order) -> Order:
        existing = self.find_by_key(order.idempotency_key)
        if existing is not None:
            return existing
        order_id = len(self.orders) + 1
        self.orders[order_id] = replace(
            order, id=order_id, number=order_number(order.lane, order_id)
        )
        return self.orders[order_id]

    def set_status(self, order_id: int, status: OrderStatus, actor: str) -> Order:
        self.orders[order_id] = self.get(order_id).move(status, actor)
        return self.orders[order_id]

    def release(self, order_id: int) -> None:
        self.orders[order_id] = replace(self.get(order_id), released_at=datetime.now(UTC))

    def get(self, order_id: int) -> Order:
        self.ping()
        if order_id not in self.orders:
            raise OrderNotFound(f"There is no order {order_id}.")
        return self.orders[order_id]

    def unfinished(self, lane: str) -> Order | None:
        self.ping()
        newest = [order for order in self.orders.values() if order.lane == lane][-1:]
        waiting = OrderStatus.AWAITING_PAYMENT
        for order in newest:
            if order.status is waiting or (
                order.status is OrderStatus.PAID and order.released_at is None
            ):
                return order
        return None

    def awaiting(self) -> list[Order]:
        self.ping()
        waiting = OrderStatus.AWAITING_PAYMENT
        return [order for order in self.orders.values() if order.status is waiting]

    def find_by_key(self, idempotency_key: str) -> Order | None:
        self.ping()
        orders = self.orders.values()
        return next((o for o in orders if o.idempotency_key == idempotency_key), None)
