"""The report against what a person would add up, on both databases."""

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

from app.shop.miscount import miscounts
from app.shop.order import Order, OrderStatus
from app.shop.period import Period, today
from app.shop.refund import Refund
from app.store.camera_report import Mistaken, SeenFruit
from app.store.reports import Report, Sums, reports
from tests.store.past import CATALOG, DOLLARS, living_in, order_at, sell_at
from tests.store.selling import refund

DAY = date(2026, 3, 2)
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ONE_DAY = Period(DAY, DAY)
NOTHING = Sums()


def report(database, period=ONE_DAY) -> Report:
    (only,) = reports(database, period, "KRW")
    return only


def test_days_without_a_sale_hold_zeros(database):
    empty = report(database, Period(DAY, DAY + timedelta(days=1)))
    assert (empty.currency, empty.total, empty.total.average_minor) == ("KRW", NOTHING, 0)
    assert empty.by_day == {DAY: NOTHING, DAY + timedelta(days=1): NOTHING}
    assert empty.by_hour == dict.fromkeys(range(24), NOTHING)
    assert (empty.by_method, empty.by_tax, empty.fruits, empty.camera.fruits) == ({}, {}, (), ())


def test_a_day_is_summed_up_by_hour_method_fruit_and_tax(database, orders):
    sell_at(orders, NOON, {"apple": 2})
    sell_at(orders, NOON + timedelta(minutes=59), {"apple": 1, "juice": 2}, method="card")
    sell_at(orders, NOON + timedelta(hours=1), {"pear": 1})
    found = report(database)
    assert found.total == Sums(3, 3000 + 5900 + 3500)
    assert found.total.average_minor == 4133
    assert found.by_hour[12] == Sums(2, 8900)
    assert found.by_hour[13] == Sums(1, 3500)
    assert found.by_method == {"cash": Sums(2, 6500), "card": Sums(1, 5900)}
    assert found.by_tax == {"exempt": Sums(4, 8000), "standard": Sums(2, 4400)}
    assert [(fruit.key, fruit.tax, fruit.pieces) for fruit in found.fruits] == [
        ("apple", "exempt", Sums(3, 4500)),
        ("juice", "standard", Sums(2, 4400)),
        ("pear", "exempt", Sums(1, 3500)),
    ]
    assert (found.fruits[0].name("ko"), found.fruits[0].name("en")) == ("사과", "Apple")


def test_a_refund_lowers_the_day_on_which_it_was_given_and_no_other(database, orders):
    order = sell_at(orders, NOON, {"apple": 2, "pear": 1}, method="card")
    refund(orders, order, {0: 1})
    then, now = report(database), report(database, Period(today(), today()))
    assert then.total == Sums(1, 6500)
    assert now.total == Sums(0, 0, 1, 1500)
    assert now.total.net_minor == -1500
    assert now.by_day == {today(): now.total}
    assert now.by_method == {"card": now.total}
    assert [(fruit.key, fruit.pieces) for fruit in now.fruits] == [("apple", Sums(0, 0, 1, 1500))]
    assert now.camera.fruits == ()


def test_only_orders_whose_money_came_are_sales(database, orders):
    sell_at(orders, NOON, {"apple": 1})
    for status in (OrderStatus.CANCELLED, OrderStatus.EXPIRED):
        order = order_at(orders, NOON, {"pear": 1}, method="qr")
        orders.end(order.id or 0, status, "kim")
    order_at(orders, NOON, {"pear": 1}, {"pear": 2})
    found = report(database)
    assert found.total == Sums(1, 1500)
    assert [fruit.key for fruit in found.fruits] == ["apple"]
    assert found.camera.fruits == (SeenFruit("apple", 1, 0, 0),)


def test_a_day_begins_at_midnight_and_ends_before_the_next(database, orders):
    instant = timedelta(microseconds=1)
    for at in (ONE_DAY.start - instant, ONE_DAY.start, ONE_DAY.end - instant, ONE_DAY.end):
        sell_at(orders, at, {"apple": 1})
    assert report(database).total.sales == 2


def test_each_currency_has_a_report_of_its_own(database, orders):
    sell_at(orders, NOON, {"apple": 1})
    sell_at(orders, NOON, {"pear": 1}, catalog=DOLLARS)
    won, dollars = reports(database, ONE_DAY, "EUR")
    assert (won.currency, won.total, len(won.fruits)) == ("KRW", Sums(1, 1500), 1)
    assert (dollars.currency, dollars.total, dollars.by_method) == (
        *("USD", Sums(1, 3500), {"cash": Sums(1, 3500)}),
    )


@pytest.mark.parametrize(
    ("zone", "day", "hour"),
    [
        ("Asia/Seoul", date(2026, 3, 2), 21),
        ("Asia/Kathmandu", date(2026, 3, 2), 17),
        ("Pacific/Auckland", date(2026, 3, 3), 1),
        ("America/St_Johns", date(2026, 3, 2), 8),
    ],
)
def test_hours_and_days_are_those_of_the_shop(database, orders, zone, day, hour):
    sell_at(orders, NOON, {"apple": 1})
    with living_in(zone):
        found = report(database, Period(day - timedelta(days=1), day + timedelta(days=1)))
    assert [(at, sums.sales) for at, sums in found.by_day.items() if sums.sales] == [(day, 1)]
    assert [at for at, sums in found.by_hour.items() if sums.sales] == [hour]


def test_the_hour_that_comes_twice_in_autumn_counts_twice(database, orders):
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    for at in (first, first + timedelta(hours=1)):
        sell_at(orders, at, {"apple": 1})
    with living_in("Europe/Berlin"):
        found = report(database, Period(date(2026, 10, 25), date(2026, 10, 25)))
    assert found.by_hour[2] == found.total == Sums(2, 3000)


def test_the_camera_s_mistakes_are_counted_by_fruit(database, orders):
    sell_at(orders, NOON, {"apple": 2, "pear": 1})
    sell_at(orders, NOON, {"apple": 3}, {"apple": 1})
    sell_at(orders, NOON, {"apple": 1}, {"apple": 1, "pear": 2})
    assert report(database).camera.fruits == (
        SeenFruit("apple", right=4, missed=0, wrong=2),
        SeenFruit("pear", right=1, missed=2, wrong=0),
    )


def test_a_fruit_that_was_never_there_is_a_mistake_too(database, orders):
    sell_at(orders, NOON, {"apple": 1, "pear": 1}, {"apple": 1})
    assert report(database).camera.fruits[0] == SeenFruit("pear", right=0, missed=0, wrong=1)


def test_one_fruit_taken_for_another_is_a_mix_up(database, orders):
    for _ in range(2):
        sell_at(orders, NOON, {"apple": 1}, {"pear": 1})
    sell_at(orders, NOON, {"pear": 2}, {"juice": 1, "pear": 1})
    assert report(database).camera.mistaken == (
        Mistaken(seen="apple", was="pear", orders=2),
        Mistaken(seen="pear", was="juice", orders=1),
    )


def test_of_many_mistakes_in_one_order_nobody_knows_which_was_which(database, orders):
    sell_at(orders, NOON, {"apple": 1}, {"pear": 1, "juice": 1})
    assert report(database).camera.mistaken == ()


@pytest.mark.parametrize(
    ("sums", "average"),
    [
        (Sums(), 0),
        (Sums(2, 5), 3),
        (Sums(3, 4), 1),
        (Sums(3, 5), 2),
        (Sums(1, 1500, 1, 1500), 1500),
    ],
)
def test_the_average_is_of_sales_as_they_were_made(sums, average):
    assert sums.average_minor == average


def test_a_report_is_what_a_person_adds_up(database, orders):
    dice = random.Random(7)
    period = Period(today() - timedelta(days=3), today())
    sold = [random_sale(orders, dice, period) for _ in range(40)]
    given = [refund(orders, order, {0: 1}, f"r{n}") for n, order in enumerate(sold[::4])]
    found = report(database, period)
    assert found.total == added_up(sold, given)
    for method in ("cash", "card", "clerk"):
        chosen = [order for order in sold if order.method == method]
        theirs = [back for back in given if back.order_id in {order.id for order in chosen}]
        assert found.by_method[method] == added_up(chosen, theirs)
    for day in period.days():
        chosen = [order for order in sold if local_day(order) == day]
        assert found.by_day[day] == added_up(chosen, given if day == today() else [])
    assert sum(found.by_hour.values(), NOTHING) == found.total
    assert sum(fruit.pieces.net_minor for fruit in found.fruits) == found.total.net_minor
    assert {fruit.key: fruit.mistakes for fruit in found.camera.fruits} == mistakes(sold)


def random_sale(orders, dice: random.Random, period: Period) -> Order:
    at = period.start + (datetime.now(UTC) - period.start) * dice.random()
    counted = {key: dice.randint(1, 3) for key in dice.sample(list(CATALOG.items), 2)}
    paid = {key: dice.choice([quantity, quantity, 0, 4]) for key, quantity in counted.items()}
    paid["apple"] = paid.get("apple") or 1
    return sell_at(orders, at, counted, paid, dice.choice(["cash", "card", "clerk"]))


def added_up(sold: list[Order], given: list[Refund]) -> Sums:
    sums = (order.total_minor for order in sold), (back.amount_minor for back in given)
    return Sums(len(sold), sum(sums[0]), len(given), sum(sums[1]))


def local_day(order: Order) -> date:
    assert order.paid_at is not None
    return order.paid_at.astimezone().date()


def mistakes(sold: list[Order]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for order in sold:
        counts.update({one.key: abs(one.counted - one.paid) for one in miscounts(order)})
        counts.update({line.key: 0 for line in order.lines})
    return counts
