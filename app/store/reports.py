"""What was sold in some days: sums that the database works out, on SQLite and PostgreSQL alike.

A sale counts when its money came (``orders.paid_at``), money back when it was given
(``refunds.at``): a refund of yesterday's sale lowers today's takings and leaves yesterday's report
as it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Executable,
    Select,
    and_,
    extract,
    func,
    literal_column,
    select,
)
from sqlalchemy.orm import Session

from app.shop.catalog import name_in
from app.shop.period import Period
from app.store.camera_report import CameraReport, camera_report
from app.store.database import Database
from app.store.tables import OrderLineRow, OrderRow, PaymentRow, RefundLineRow, RefundRow

QUARTER_S = 15 * 60  # in every time zone hours begin with a quarter of an hour of UTC

K = TypeVar("K", bound=Hashable)
Conditions = tuple[ColumnElement[bool], ...]


@dataclass(frozen=True, slots=True)
class Sums:
    """How often money came and went back, and how much; minor units."""

    sales: int = 0
    sales_minor: int = 0
    refunds: int = 0
    refunds_minor: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.sales + other.sales,
            self.sales_minor + other.sales_minor,
            self.refunds + other.refunds,
            self.refunds_minor + other.refunds_minor,
        )

    @property
    def net_minor(self) -> int:
        """What is left of the sales; negative when more was given back."""
        return self.sales_minor - self.refunds_minor

    @property
    def average_minor(self) -> int:
        """The average sale, rounded to whole minor units, halves up; 0 without a sale."""
        return (2 * self.sales_minor + self.sales) // (2 * self.sales) if self.sales else 0


@dataclass(frozen=True, slots=True)
class SoldFruit:
    """One kind of fruit in one tax class; ``pieces`` counts fruits instead of sales.

    name_ko, name_en: of several that it was sold under, the last in the order of letters.
    """

    key: str
    tax: str
    name_ko: str
    name_en: str
    pieces: Sums

    def name(self, language: str) -> str:
        """Name in ``language`` ("ko", else English)."""
        return name_in(language, self.name_ko, self.name_en)


@dataclass(frozen=True, slots=True)
class Report:
    """The sums of a period in one currency.

    by_hour: hours of the day, 0…23, all days together. by_day: every day of the period. by_method:
    how the money came; a refund stands with the method that its order was paid by. fruits: what
    brought most first. Hours and days hold zeros when nothing was sold, the others nothing.
    """

    period: Period
    currency: str
    by_hour: Mapping[int, Sums]
    by_day: Mapping[date, Sums]
    by_method: Mapping[str, Sums]
    fruits: tuple[SoldFruit, ...]
    camera: CameraReport

    @property
    def total(self) -> Sums:
        """The sums of the whole period."""
        return sum(self.by_day.values(), Sums())

    @property
    def by_tax(self) -> dict[str, Sums]:
        """The sums of each tax class, counted in pieces."""
        return folded(((fruit.tax, fruit.pieces) for fruit in self.fruits), {})


def reports(database: Database, period: Period, currency: str) -> list[Report]:
    """Report a period, once for each currency that moved in it.

    currency: what to report when none did. Raises StoreUnavailable.
    """
    with database.one_moment() as session:
        moved = _currencies(session, period) or [currency]
        return [_report(session, period, each) for each in moved]


def folded(pairs: Iterable[tuple[K, Sums]], start: Mapping[K, Sums]) -> dict[K, Sums]:
    """Add up the sums of each key, beginning with ``start``."""
    sums = dict(start)
    for key, more in pairs:
        sums[key] = sums.get(key, Sums()) + more
    return sums


def _report(session: Session, period: Period, currency: str) -> Report:
    sold = (*_within(OrderRow.paid_at, period), OrderRow.currency == currency)
    refunded = (*_within(RefundRow.at, period), OrderRow.currency == currency)
    quarters = _by_quarter(session, sold, refunded)
    fruits = _fruits(session, sold, refunded)
    pieces: Counter[str] = Counter()
    for fruit in fruits:
        pieces[fruit.key] += fruit.pieces.sales
    hours, days = dict.fromkeys(range(24), Sums()), dict.fromkeys(period.days(), Sums())
    return Report(
        period,
        currency,
        by_hour=folded(((at.hour, sums) for at, sums in quarters), hours),
        by_day=folded(((at.date(), sums) for at, sums in quarters), days),
        by_method=_by_method(session, sold, refunded),
        fruits=fruits,
        camera=camera_report(session, sold, pieces),
    )


def _within(moment: Any, period: Period) -> Conditions:
    return moment >= period.start, moment < period.end


def _currencies(session: Session, period: Period) -> list[str]:
    sold = select(OrderRow.currency).where(*_within(OrderRow.paid_at, period))
    refunded = (
        select(OrderRow.currency)
        .join(RefundRow, RefundRow.order_id == OrderRow.id)
        .where(*_within(RefundRow.at, period))
    )
    return sorted(session.scalars(sold.union(refunded)))


def _by_quarter(
    session: Session, sold: Conditions, refunded: Conditions
) -> list[tuple[datetime, Sums]]:
    """List the sums of each quarter of an hour, by its beginning on the shop's clock."""

    def quarter(moment: Any) -> ColumnElement[int]:
        seconds = extract("epoch", moment)
        length: ColumnElement[int] = literal_column(str(QUARTER_S))
        return (seconds - seconds % length).label("quarter")

    sales = select(quarter(OrderRow.paid_at), func.count(), func.sum(OrderRow.total_minor))
    refunds = _from_refunds(quarter(RefundRow.at), func.count(), func.sum(RefundRow.amount_minor))
    pairs = _pairs(
        session,
        sales.where(*sold).group_by("quarter"),
        refunds.where(*refunded).group_by("quarter"),
    )
    return [(datetime.fromtimestamp(int(epoch_s)), sums) for (epoch_s,), sums in pairs]


def _by_method(session: Session, sold: Conditions, refunded: Conditions) -> dict[str, Sums]:
    method = PaymentRow.method
    paid = and_(PaymentRow.order_id == OrderRow.id, PaymentRow.outcome == "confirmed")
    sales = select(method, func.count(), func.sum(OrderRow.total_minor))
    refunds = _from_refunds(method, func.count(), func.sum(RefundRow.amount_minor))
    pairs = _pairs(
        session,
        sales.select_from(OrderRow).join(PaymentRow, paid).where(*sold).group_by(method),
        refunds.join(PaymentRow, paid).where(*refunded).group_by(method),
    )
    sums = folded(((name, each) for (name,), each in pairs), {})
    return dict(sorted(sums.items(), key=lambda item: (-item[1].sales_minor, item[0])))


def _fruits(session: Session, sold: Conditions, refunded: Conditions) -> tuple[SoldFruit, ...]:
    line, back = OrderLineRow, RefundLineRow
    kind = (line.key, line.tax, line.name_ko, line.name_en)
    of_line = and_(line.order_id == back.order_id, line.position == back.position)
    sales = select(*kind, func.sum(line.quantity), func.sum(line.amount_minor))
    refunds = _from_refunds(*kind, func.sum(back.quantity), func.sum(back.amount_minor))
    refunds = refunds.join(back, back.refund_id == RefundRow.id).join(line, of_line)
    pairs = _pairs(
        session,
        sales.join(OrderRow, OrderRow.id == line.order_id).where(*sold).group_by(*kind),
        refunds.where(*refunded).group_by(*kind),
    )
    names = {key: (name_ko, name_en) for (key, _, name_ko, name_en), _ in sorted(pairs, key=_name)}
    sums = folded((((key, tax), each) for (key, tax, _, _), each in pairs), {})
    fruits = [SoldFruit(key, tax, *names[key], each) for (key, tax), each in sums.items()]
    return tuple(sorted(fruits, key=lambda fruit: (-fruit.pieces.sales_minor, fruit.key)))


def _name(pair: tuple[tuple[str, ...], Sums]) -> tuple[str, ...]:
    return pair[0]


def _from_refunds(*columns: Any) -> Select[*tuple[Any, ...]]:
    return select(*columns).select_from(RefundRow).join(OrderRow, OrderRow.id == RefundRow.order_id)


def _pairs(
    session: Session, sales: Executable, refunds: Executable
) -> list[tuple[tuple[Any, ...], Sums]]:
    """Run both selects: all columns but the last two are a key, these are a count and an amount."""
    sold = [(row[:-2], Sums(int(row[-2]), int(row[-1]))) for row in session.execute(sales)]
    back = [(row[:-2], Sums(0, 0, int(row[-2]), int(row[-1]))) for row in session.execute(refunds)]
    return sold + back
