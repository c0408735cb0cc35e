"""Finds what a receipt is made of."""

from __future__ import annotations

from app.errors import OrderNotFound
from app.shop.receipt import Receipt
from app.store.orders import SqlOrderStore


def receipt_of(orders: SqlOrderStore, order_id: int) -> Receipt:
    """Read an order with its payment and refunds.

    Raises OrderNotFound, also for an order that was not paid: there is no receipt before the money.
    """
    order = orders.get(order_id)
    paid = orders.payment(order_id)
    if not order.sold or paid is None:
        raise OrderNotFound(f"Order {order.number} is not paid.")
    return Receipt(order, paid, tuple(orders.refunds(order_id)))
