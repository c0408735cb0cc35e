"""Whole days as the shop's clock counts them, and the moments between which they lie."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from app.errors import InvalidPeriod

MAX_DAYS = 366
YEARS = range(2000, 3000)


@dataclass(frozen=True, slots=True)
class Period:
    """From the first day to the last, both included, 1 to 366 days.

    Days are those of the process's own time zone, which is the shop's. Raises InvalidPeriod.
    """

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.first.year not in YEARS or self.last.year not in YEARS:
            raise InvalidPeriod("Choose days from the year 2000 on.")
        if self.last < self.first:
            raise InvalidPeriod("The last day is before the first.")
        if (self.last - self.first).days >= MAX_DAYS:
            raise InvalidPeriod(f"Choose at most {MAX_DAYS} days.")

    @property
    def start(self) -> datetime:
        """The moment, UTC, at which the first day begins."""
        return beginning(self.first)

    @property
    def end(self) -> datetime:
        """The moment, UTC, at which the last day is over; not in the period any more."""
        return beginning(self.last + timedelta(days=1))

    def days(self) -> list[date]:
        """List the days, oldest first."""
        count = (self.last - self.first).days + 1
        return [self.first + timedelta(days=n) for n in range(count)]


def beginning(day: date) -> datetime:
    """The moment, UTC, at which a day begins where the shop is.

    That is midnight; the first of two, or what comes instead, when the clock is set just then.
    """
    midnight = datetime.combine(day, time())
    moments = (midnight.replace(fold=fold).astimezone() for fold in (0, 1))
    return min(moment.astimezone(UTC) for moment in moments if moment.date() == day)


def today() -> date:
    """The day that it is now where the shop is."""
    return datetime.now().astimezone().date()
