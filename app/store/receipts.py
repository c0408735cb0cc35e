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
    payments = [paid for paid in orders.payments(order_id) if paid.outcome == "confirmed"]
    if not order.sold or not payments:
        raise OrderNotFound(f"Order {order.number} is not paid.")
    return Receipt(order, payments[-1], tuple(orders.refunds(order_id)))
