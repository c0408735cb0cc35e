"""Whether the orders say the same as the journal: what was paid and what was given back.

The journal's own chain proves that it was not changed; this finds an order that was.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.shop.order import SOLD, OrderStatus
from app.store.database import Database
from app.store.tables import JournalRow, OrderRow

FETCHED_AT_ONCE = {"yield_per": 1000}


@dataclass(frozen=True, slots=True)
class _Order:
    """What the orders' table says of one order."""

    number: str
    lane: str
    status: str
    total_minor: int
    refunded_minor: int
    paid_at: datetime | None

    @property
    def sold(self) -> bool:
        return self.status in SOLD


@dataclass(frozen=True, slots=True)
class _Told:
    """What the journal says, by an order's number; ``began_at`` (ISO 8601, UTC) by lane."""

    payments: Counter[str] = field(default_factory=Counter)
    paid_minor: Counter[str] = field(default_factory=Counter)
    refunded_minor: Counter[str] = field(default_factory=Counter)
    began_at: dict[str, str] = field(default_factory=dict)


def audit_orders(database: Database) -> str:
    """Name the first order that is not as the journal tells it; "" when all are.

    Orders that were paid before their lane kept a journal are taken as they are. All is read as of
    one moment, also while sales go on. Raises StoreUnavailable.
    """
    with database.one_moment() as session:
        told, fault = _told(session), ""
        missing = dict.fromkeys(told.payments)
        for order in _orders(session):
            missing.pop(order.number, None)
            fault = fault or _fault(order, told)
    lost = next(iter(missing), None)
    return fault or (f"order {lost} is paid in the journal, but not there" if lost else "")


def _fault(order: _Order, told: _Told) -> str:
    number, payments = order.number, told.payments[order.number]
    if order.sold and not payments and _is_older(order, told):
        return ""
    if payments != order.sold:
        return f"order {number} is {order.status}, the journal has {payments} payments of it"
    if payments and told.paid_minor[number] != order.total_minor:
        return f"order {number} is not about the amount that the journal says"
    given_minor = told.refunded_minor[number]
    if given_minor != order.refunded_minor:
        return f"order {number} has another amount refunded than the journal says"
    if given_minor and (given_minor == order.total_minor) != (order.status == OrderStatus.REFUNDED):
        return f"order {number} is {order.status}, the journal says otherwise"
    return ""


def _is_older(order: _Order, told: _Told) -> bool:
    """Whether an order was paid before its lane kept a journal."""
    began_at = told.began_at.get(order.lane)
    if order.paid_at is None or began_at is None:
        return order.paid_at is not None
    return order.paid_at < datetime.fromisoformat(began_at)


def _told(session: Session) -> _Told:
    told = _Told()
    began = select(JournalRow.lane, func.min(JournalRow.at)).group_by(JournalRow.lane)
    told.began_at.update((lane, at) for lane, at in session.execute(began))
    money = JournalRow.event.in_(("order_paid", "order_refunded"))
    wanted = select(JournalRow.event, JournalRow.details).where(money)
    for event, text in session.execute(wanted.execution_options(**FETCHED_AT_ONCE)):
        details = json.loads(text)
        number = details["order"]
        if event == "order_paid":
            told.payments[number] += 1
            told.paid_minor[number] += details["total_minor"]
        else:
            told.refunded_minor[number] += details["amount_minor"]
    return told


def _orders(session: Session) -> list[_Order]:
    columns = [getattr(OrderRow, name) for name in _Order.__dataclass_fields__]
    rows = session.execute(select(*columns).order_by(OrderRow.id))
    return [_Order(*row) for row in rows]
