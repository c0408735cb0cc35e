"""The daily closing: what a lane took since its last one, as a record of the journal itself."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.store.database import Database
from app.store.journal import Details, Journal
from app.store.tables import JournalHeadRow, JournalRow

EVENT = "day_closed"
COUNTED = {
    "order_paid": "sold",
    "order_refunded": "refunded",
    "order_cancelled": "cancelled",
    "order_expired": "expired",
}


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums in one currency, minor units: what was sold and what was given back, apart.

    sold, refunded, cancelled, expired: how many times that happened to an order.
    """

    sold: int
    refunded: int
    cancelled: int
    expired: int
    sales_minor: int
    refunds_minor: int
    sales_by_method_minor: dict[str, int]
    sales_by_tax_minor: dict[str, int]
    refunds_by_tax_minor: dict[str, int]

    @property
    def net_minor(self) -> int:
        """What is left of the sales."""
        return self.sales_minor - self.refunds_minor


@dataclass(frozen=True, slots=True)
class Closing:
    """One closing of a lane.

    number: 1 for the lane's first. first, last: the numbers of the journal's records that it sums
    up; last < first when there are none. totals: by currency. record, hash: its own number and
    hash in the journal; the hash, kept elsewhere, vouches for everything before.
    """

    lane: str
    number: int
    first: int
    last: int
    totals: dict[str, Totals]
    record: int
    hash: str


def close_day(database: Database, lane: str, actor: str) -> Closing:
    """Sum up the lane's journal since its last closing and write the sums into it.

    Nothing comes between: a sale is in this closing or in the next. Raises StoreUnavailable.
    """
    with database.writing() as session:
        Journal.wait_for_turn(session, lane)
        before, number = _last_closing(session, lane)
        totals = add_up(_events_since(session, lane, before))
        head = session.get_one(JournalHeadRow, lane)
        first, last = before + 1, head.number
        details = {
            "closing": number + 1,
            "first": first,
            "last": last,
            "totals": {currency: asdict(sums) for currency, sums in totals.items()},
        }
        record = Journal.append(session, lane, actor, EVENT, details)
        return Closing(lane, number + 1, first, last, totals, record.number, record.hash)


def add_up(events: Iterable[tuple[str, Details]]) -> dict[str, Totals]:
    """Sum up (event, details) of journal records by currency; other events are left out."""
    by_currency: dict[str, list[tuple[str, Any]]] = {}
    for event, details in events:
        if event in COUNTED:
            by_currency.setdefault(str(details["currency"]), []).append((event, details))
    return {currency: _totals(of_it) for currency, of_it in sorted(by_currency.items())}


def _totals(events: list[tuple[str, Any]]) -> Totals:
    counts = Counter(event for event, _ in events)
    sales = [details for event, details in events if event == "order_paid"]
    refunds = [details for event, details in events if event == "order_refunded"]
    by_method: Counter[str] = Counter()
    for sale in sales:
        by_method[sale["method"]] += sale["total_minor"]
    return Totals(
        **{field: counts[event] for event, field in COUNTED.items()},
        sales_minor=sum(sale["total_minor"] for sale in sales),
        refunds_minor=sum(refund["amount_minor"] for refund in refunds),
        sales_by_method_minor=dict(by_method),
        sales_by_tax_minor=_by_tax(sales),
        refunds_by_tax_minor=_by_tax(refunds),
    )


def _by_tax(records: list[Any]) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for record in records:
        sums.update(record["tax"])
    return dict(sums)


def _last_closing(session: Session, lane: str) -> tuple[int, int]:
    """Return the record's number and the closing's own number of the last one; 0, 0: none yet."""
    closings = select(JournalRow).where(JournalRow.lane == lane, JournalRow.event == EVENT)
    row = session.scalar(closings.order_by(JournalRow.number.desc()).limit(1))
    return (row.number, json.loads(row.details)["closing"]) if row else (0, 0)


def _events_since(session: Session, lane: str, number: int) -> Iterable[tuple[str, Details]]:
    """The events that count, with their details; what else is in the journal is not read."""
    wanted = select(JournalRow.event, JournalRow.details).where(
        JournalRow.lane == lane, JournalRow.number > number, JournalRow.event.in_(COUNTED)
    )
    rows = wanted.order_by(JournalRow.number).execution_options(yield_per=1000)
    for event, details in session.execute(rows):
        yield event, json.loads(details)
