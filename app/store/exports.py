"""Sales to take away: one row for each line that was sold or given back, as CSV or XLSX.

No cell is a formula: text that a spreadsheet program could take for one gets an apostrophe in front
(OWASP, "CSV Injection"; ASVS 5.0, 1.2.10). Numbers are written as numbers, also negative ones.
"""

from __future__ import annotations

import csv
import heapq
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, date, time
from decimal import Decimal
from typing import Any, BinaryIO

from openpyxl import Workbook
from sqlalchemy import Select, and_, func, literal, select
from sqlalchemy.orm import Session

from app.errors import InvalidPeriod
from app.shop.money import exponent
from app.shop.period import Period
from app.store.database import Database
from app.store.tables import OrderLineRow, OrderRow, PaymentRow, RefundLineRow, RefundRow

FETCHED_AT_ONCE = 1000
XLSX_MAX_ROWS = 1_048_576  # of a sheet, its header included
FORMULA = tuple("=+-@＝＋－＠")  # the wide ones too: some programs take them for the same
UNWRITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")

Cell = str | int | Decimal | date | time


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a sale, or of a refund with negative quantity and amount.

    day, time: on the shop's clock. utc: the same moment, ISO 8601. unit_price, amount: in whole
    units of the currency, as people write them. source: "camera" or "manual". by: who confirmed
    the payment or gave the money back.
    """

    day: date
    time: time
    utc: str
    kind: str  # "sale" or "refund"
    order: str
    counter: str
    key: str
    name_ko: str
    name_en: str
    quantity: int
    unit_price: int | Decimal
    amount: int | Decimal
    currency: str
    tax: str
    method: str
    source: str
    by: str
    reason: str


HEADER = [field.name for field in fields(Row)]


@contextmanager
def exported(database: Database, period: Period) -> Iterator[tuple[int, Iterator[Row]]]:
    """Count the rows of a period and walk them, oldest first; never all of them in memory.

    Raises StoreUnavailable, also while walking.
    """
    with database.one_moment() as session:
        parts = [_sold(period), _given_back(period)]
        count = sum(_count(session, part) for part in parts)
        walks = [_walk(session, part) for part in parts]
        merged = heapq.merge(*walks, key=lambda found: (found.at, found.id, found.position))
        yield count, (_row(found) for found in merged)


def write_csv(rows: Iterable[Row], file: BinaryIO) -> None:
    """Write RFC 4180 in UTF-8, with the mark by which spreadsheet programs know it."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    writer = csv.writer(text)
    writer.writerow(HEADER)
    writer.writerows(cells(row) for row in rows)
    text.detach()  # flushes, and leaves the file to its owner


def write_xlsx(rows: Iterable[Row], file: BinaryIO) -> None:
    """Write a workbook of one sheet; InvalidPeriod when that cannot hold them."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("sales")
    sheet.freeze_panes = "A2"
    sheet.append(HEADER)
    with closing(sheet):  # also when it fails: a half-written sheet stays open for ever
        for number, row in enumerate(rows, start=2):
            if number > XLSX_MAX_ROWS:
                raise InvalidPeriod("That is more than a sheet holds: choose fewer days, or CSV.")
            sheet.append(cells(row))
    book.save(file)


WRITERS: Mapping[str, Callable[[Iterable[Row], BinaryIO], None]] = {
    "csv": write_csv,
    "xlsx": write_xlsx,
}


def cells(row: Row) -> list[Cell]:
    """List a row's values, its texts made harmless."""
    values = (getattr(row, name) for name in HEADER)
    return [harmless(value) if isinstance(value, str) else value for value in values]


def harmless(text: str) -> str:
    """Return a text that is one line and no formula; the same text if it is that already."""
    line = UNWRITABLE.sub(" ", text)
    return f"'{line}" if line.lstrip().startswith(FORMULA) else line


def _sold(period: Period) -> Select[Any]:
    line, kind = OrderLineRow, literal("sale").label("kind")
    amounts = (line.quantity, line.amount_minor, PaymentRow.confirmed_by.label("by"))
    wanted = _lines(kind, OrderRow.paid_at, OrderRow.id, *amounts, literal("").label("reason"))
    return _ordered(wanted, OrderRow.paid_at, period, OrderRow.id)


def _given_back(period: Period) -> Select[Any]:
    given, line = RefundRow, RefundLineRow
    kind, of_line = literal("refund").label("kind"), OrderLineRow
    quantity, amount = (
        (-line.quantity).label("quantity"),
        (-line.amount_minor).label("amount_minor"),
    )
    wanted = _lines(
        kind, given.at, given.id, quantity, amount, given.actor.label("by"), given.reason
    )
    joined = wanted.join(
        line, and_(line.order_id == of_line.order_id, line.position == of_line.position)
    ).join(given, given.id == line.refund_id)
    return _ordered(joined, given.at, period, given.id)


def _lines(kind: Any, at: Any, id_: Any, *more: Any) -> Select[Any]:
    line = OrderLineRow
    paid = and_(PaymentRow.order_id == OrderRow.id, PaymentRow.outcome == "confirmed")
    of_line = (line.position, line.key, line.name_ko, line.name_en, line.unit_price_minor)
    of_order = (OrderRow.number, OrderRow.lane, OrderRow.currency)
    return (
        select(
            *(kind, at.label("at"), id_.label("id"), *of_line, line.tax, line.source),
            *(*of_order, PaymentRow.method, *more),
        )
        .select_from(line)
        .join(OrderRow, OrderRow.id == line.order_id)
        .join(PaymentRow, paid)
    )


def _ordered(wanted: Select[Any], at: Any, period: Period, id_: Any) -> Select[Any]:
    within = wanted.where(at >= period.start, at < period.end)
    return within.order_by(at, id_, OrderLineRow.position)


def _count(session: Session, wanted: Select[Any]) -> int:
    return session.scalar(select(func.count()).select_from(wanted.order_by(None).subquery())) or 0


def _walk(session: Session, wanted: Select[Any]) -> Iterator[Any]:
    return iter(session.execute(wanted.execution_options(yield_per=FETCHED_AT_ONCE)))


def _row(found: Any) -> Row:
    local = found.at.astimezone()
    return Row(
        day=local.date(),
        time=local.time().replace(microsecond=0),
        utc=found.at.astimezone(UTC).isoformat(timespec="seconds"),
        kind=found.kind,
        order=found.number,
        counter=found.lane,
        unit_price=_whole_units(found.unit_price_minor, found.currency),
        amount=_whole_units(found.amount_minor, found.currency),
        **{name: getattr(found, name) for name in COPIED},
    )


COPIED = (
    *("key", "name_ko", "name_en", "quantity", "currency"),
    *("tax", "method", "source", "by", "reason"),
)


def _whole_units(amount_minor: int, currency: str) -> int | Decimal:
    digits = exponent(currency)
    return Decimal(amount_minor).scaleb(-digits) if digits else amount_minor
