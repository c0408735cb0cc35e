"""Small stand-ins that behave: a store in memory, a clock that is set by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from app.errors import OrderNotFound, StoreUnavailable
from app.shop.catalog import Catalog, Item
from app.shop.order import Order, OrderStatus, order_number
from app.shop.payment import Payment
from app.shop.refund import Refund, RefundRequest, refund_from

APPLE = Item("apple", "사과", "Apple", 1500)
PEAR = Item("pear", "배", "Pear", 3500)
LEMON = Item("lemon", "레몬", "Lemon", 900, active=False)
CATALOG = Catalog({item.key: item for item in (APPLE, PEAR, LEMON)}, version=1)


STARTED_AT = datetime.now(UTC)


class HandClock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def utc(self) -> datetime:
        return STARTED_AT + timedelta(seconds=self.now_s - 1000.0)


class MemoryOrders:
    """An OrderStore in a dict; ``broken`` makes every method raise StoreUnavailable."""

    def __init__(self) -> None:
        self.orders: dict[int, Order] = {}
        self.payments: dict[int, Payment] = {}
        self.refunds: dict[int, list[Refund]] = {}
        self.broken = False

    def _answer(self) -> None:
        if self.broken:
            raise StoreUnavailable("The database does not answer.")

    def create(self, order: Order) -> Order:
        existing = self.find_by_key(order.idempotency_key)
        if existing is not None:
            return existing
        order_id = len(self.orders) + 1
        number = order_number(order.lane, order.created_at.date(), order_id)
        self.orders[order_id] = replace(order, id=order_id, number=number)
        return self.orders[order_id]

    def confirm(self, order_id: int, payment: Payment) -> Order:
        moved = self.get(order_id).move(OrderStatus.PAID, payment.confirmed_by, payment.at)
        self.payments[order_id] = payment
        self.orders[order_id] = moved
        return moved

    def end(self, order_id: int, status: OrderStatus, actor: str) -> Order:
        at = None if status is OrderStatus.CANCELLED else self.get(order_id).expires_at
        self.orders[order_id] = self.get(order_id).move(status, actor, at)
        return self.orders[order_id]

    def extend(self, order_id: int, valid_for: timedelta, actor: str) -> Order:
        now = self.get(order_id).expires_at or datetime.now(UTC)
        early = now - timedelta(seconds=1)  # it is asked for in time
        self.orders[order_id] = self.get(order_id).extended(valid_for, early)
        return self.orders[order_id]

    def refund(self, order_id: int, request: RefundRequest, actor: str) -> Refund:
        before = self.refunds.setdefault(order_id, [])
        refund = refund_from(self.get(order_id), before, request, actor, datetime.now(UTC))
        before.append(refund)
        return refund

    def release(self, order_id: int) -> None:
        self.orders[order_id] = replace(self.get(order_id), released_at=datetime.now(UTC))

    def get(self, order_id: int) -> Order:
        self._answer()
        if order_id not in self.orders:
            raise OrderNotFound(f"There is no order {order_id}.")
        return self.orders[order_id]

    def unfinished(self, lane: str) -> Order | None:
        self._answer()
        newest = [order for order in self.orders.values() if order.lane == lane][-1:]
        waiting = OrderStatus.AWAITING_PAYMENT
        for order in newest:
            if order.status is waiting or (order.sold and order.released_at is None):
                return order
        return None

    def awaiting(self) -> list[Order]:
        self._answer()
        waiting = OrderStatus.AWAITING_PAYMENT
        return [order for order in self.orders.values() if order.status is waiting]

    def find_by_key(self, idempotency_key: str) -> Order | None:
        self._answer()
        orders = self.orders.values()
        return next((o for o in orders if o.idempotency_key == idempotency_key), None)
