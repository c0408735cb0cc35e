"""What was sold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from app.shop.order import OrderStatus
from app.store.database import Database
from app.store.tables import OrderRow


@dataclass(frozen=True, slots=True)
class Sale:
    """One paid order; total_minor in minor units of ``currency``, paid_at in UTC."""

    number: str
    total_minor: int
    currency: str
    method: str
    paid_at: datetime
    confirmed_by: str


def sales_since(database: Database, since: datetime) -> list[Sale]:
    """All sales paid at or after ``since`` (with a time zone), newest first.

    Raises StoreUnavailable.
    """
    columns = (
        OrderRow.number,
        OrderRow.total_minor,
        OrderRow.currency,
        OrderRow.method,
        OrderRow.changed_at,
        OrderRow.changed_by,
    )
    paid = (OrderRow.status == OrderStatus.PAID.value, OrderRow.changed_at >= since)
    with database.reading() as session:
        rows = session.execute(select(*columns).where(*paid).order_by(OrderRow.id.desc()))
        return [Sale(*row) for row in rows]
