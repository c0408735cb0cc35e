from datetime import UTC, date, datetime, timedelta

import pytest

from app.errors import InvalidPeriod
from app.shop.period import MAX_DAYS, Period, beginning
from tests.store.past import living_in

DAY = date(2026, 11, 22)


def test_a_day_lasts_from_midnight_to_midnight_where_the_shop_is():
    with living_in("Asia/Seoul"):
        period = Period(DAY, DAY)
        assert period.start == datetime(2026, 11, 21, 15, tzinfo=UTC)
        assert period.end == datetime(2026, 11, 22, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Asia/Kathmandu", DAY, 24),
        ("America/Santiago", date(2026, 9, 6), 23),  # midnight itself is left out
        ("America/Havana", date(2026, 11, 1), 25),  # midnight comes twice
    ],
)
def test_a_day_on_which_the_clock_is_set_is_shorter_or_longer(zone, day, hours):
    with living_in(zone):
        period = Period(day, day)
        assert period.end - period.start == timedelta(hours=hours)
        assert beginning(day + timedelta(days=1)) == period.end


def test_a_period_has_its_first_and_its_last_day():
    period = Period(date(2024, 2, 27), date(2024, 3, 1))
    assert period.days() == [date(2024, 2, n) for n in (27, 28, 29)] + [date(2024, 3, 1)]
    assert Period(DAY, DAY).days() == [DAY]


def test_a_leap_year_is_the_longest_period():
    first = date(2024, 1, 1)
    assert len(Period(first, date(2024, 12, 31)).days()) == MAX_DAYS
    with pytest.raises(InvalidPeriod, match="at most 366"):
        Period(first, date(2025, 1, 1))


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (DAY, DAY - timedelta(days=1)),
        (date.min, date.min),
        (date.max, date.max),
        (date(1999, 12, 31), date(2000, 1, 1)),
    ],
)
def test_days_that_are_no_period_are_refused(first, last):
    with pytest.raises(InvalidPeriod):
        Period(first, last)
