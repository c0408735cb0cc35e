from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.shop.period import Period
from app.store.camera_report import CameraReport
from app.store.reports import Report, Sums
from app.web.charts import MOST_LABELS, MOST_TICKS, Value, column_chart, round_amounts
from app.web.report_charts import charts

DAY = date(2026, 3, 2)


def values(*amounts: int) -> list[Value]:
    return [Value(str(n), amount, f"{n}: {amount}") for n, amount in enumerate(amounts)]


@pytest.mark.parametrize(
    ("highest", "amounts"),
    [
        (0, [0]),
        (1, [0, 1]),
        (4, [0, 1, 2, 3, 4]),
        (5, [0, 2, 4, 6]),
        (100, [0, 50, 100]),
        (101, [0, 50, 100, 150]),
        (1999, [0, 500, 1000, 1500, 2000]),
        (12_345_678, [0, 5_000_000, 10_000_000, 15_000_000]),
    ],
)
def test_amounts_beside_a_chart_are_round(highest, amounts):
    assert round_amounts(highest) == amounts


@settings(deadline=None)
@given(st.integers(1, 10**15))
def test_round_amounts_reach_the_highest_in_few_steps(highest):
    amounts = round_amounts(highest)
    assert amounts[-2] < highest <= amounts[-1]
    assert 2 <= len(amounts) <= MOST_TICKS + 1


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=366))
def test_columns_stand_on_the_floor_side_by_side_inside_the_drawing(amounts):
    chart = column_chart(values(*amounts), str)
    floor = chart.ticks[0].y
    right = chart.left
    for column, amount in zip(chart.columns, amounts, strict=True):
        assert column.x >= right - 0.02
        right = column.x + column.width
        assert column.y + column.height == pytest.approx(floor, abs=0.02)
        assert (column.height == 0) or amount > 0
    assert right <= chart.width
    assert min(column.y for column in chart.columns) >= 0
    assert sum(bool(column.label) for column in chart.columns) <= MOST_LABELS


def test_a_column_of_half_the_amount_is_half_as_high():
    whole, half = column_chart(values(200, 100), str).columns
    assert half.height == pytest.approx(whole.height / 2)


def test_a_chart_of_nothing_has_a_floor_and_no_height():
    chart = column_chart(values(0, 0), str)
    assert [tick.label for tick in chart.ticks] == ["0"]
    assert [column.height for column in chart.columns] == [0, 0]
    assert column_chart([], str).columns == ()


def test_a_narrow_screen_keeps_every_other_label():
    shown = [column for column in column_chart(values(*range(24)), str).columns if column.label]
    assert [column.label for column in shown] == [str(n) for n in range(0, 24, 2)]
    assert [column.spare for column in shown] == [False, True] * 6


def report(days: int, **by_hour: Sums) -> Report:
    period = Period(DAY, DAY + timedelta(days=days - 1))
    hours = dict.fromkeys(range(24), Sums()) | {int(h[1:]): sums for h, sums in by_hour.items()}
    by_day = {day: sum(by_hour.values(), Sums()) for day in period.days()}
    return Report(period, "KRW", hours, by_day, {}, (), CameraReport())


def test_the_hours_shown_are_those_from_the_first_to_the_last_that_were_busy():
    drawn = charts(report(1, h9=Sums(1, 2_000_000), h12=Sums(0, 0, 1, 500)), "ko")
    assert drawn.hours == range(9, 13)
    assert drawn.by_hour is not None
    assert [column.text for column in drawn.by_hour.columns][::3] == [
        *("09:00: 2,000,000원", "12:00: 0원"),
    ]
    assert [tick.label for tick in drawn.by_hour.ticks] == ["0", "50만", "100만", "150만", "200만"]


def test_one_day_needs_no_chart_by_day():
    assert charts(report(1, h9=Sums(1, 1500)), "en").by_day is None
    by_day = charts(report(2, h9=Sums(1, 1500)), "en").by_day
    assert by_day is not None
    assert [column.label for column in by_day.columns] == ["3/2", "3/3"]


def test_days_without_a_sale_draw_nothing():
    drawn = charts(report(7), "en")
    assert (drawn.by_hour, drawn.by_day, list(drawn.hours)) == (None, None, [])
