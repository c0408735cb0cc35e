"""A report's charts, in the reader's language."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from babel.numbers import format_compact_decimal

from app.shop.money import exponent, format_minor
from app.store.reports import Report, Sums
from app.web.charts import Chart, Value, column_chart


@dataclass(frozen=True, slots=True)
class Charts:
    """The takings by hour of the day and by day; None where there would be nothing to compare.

    hours: those that the first chart shows, from the first with a sale to the last.
    """

    hours: range
    by_hour: Chart | None
    by_day: Chart | None


def charts(report: Report, language: str) -> Charts:
    """Draw a report's sums; sales as they were made, refunds do not lower a column."""
    busy = [hour for hour, sums in report.by_hour.items() if sums != Sums()]
    hours = range(min(busy), max(busy) + 1) if busy else range(0)
    by_hour = [(f"{hour}", f"{hour:02d}:00", report.by_hour[hour]) for hour in hours]
    by_day = [(f"{day.month}/{day.day}", f"{day}", sums) for day, sums in report.by_day.items()]
    return Charts(
        hours,
        _chart(by_hour, report.currency, language) if busy else None,
        _chart(by_day, report.currency, language) if busy and len(by_day) > 1 else None,
    )


def _chart(parts: Iterable[tuple[str, str, Sums]], currency: str, language: str) -> Chart:
    def compact(amount_minor: int) -> str:
        whole = Decimal(amount_minor).scaleb(-exponent(currency))
        return str(format_compact_decimal(whole, locale=language, fraction_digits=1))

    values = [
        Value(label, sums.sales_minor, f"{name}: {_money(sums, currency, language)}")
        for label, name, sums in parts
    ]
    return column_chart(values, compact)


def _money(sums: Sums, currency: str, language: str) -> str:
    return format_minor(sums.sales_minor, currency, language)
