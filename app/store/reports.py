"""What was sold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from app.store.database import Database
from app.store.tables import OrderRow, PaymentRow


@dataclass(frozen=True, slots=True)
class Sale:
    """One paid order, whether or not it was refunded later.

    total_minor: minor units of ``currency``. paid_at: UTC.
    """

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
        PaymentRow.method,
        PaymentRow.at,
        PaymentRow.confirmed_by,
    )
    paid = (PaymentRow.outcome == "confirmed", PaymentRow.at >= since)
    wanted = select(*columns).join(PaymentRow, PaymentRow.order_id == OrderRow.id).where(*paid)
    with database.reading() as session:
        rows = session.execute(wanted.order_by(OrderRow.id.desc()))
        return [Sale(*row) for row in rows]
