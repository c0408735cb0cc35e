import json

import pytest

from app.store.closing import close_day
from app.store.journal import Journal
from app.store.orders import SqlOrderStore
from tests.store.selling import at_once, cancel, draft, expire, overdue_draft, refund, sell


@pytest.fixture
def orders(database) -> SqlOrderStore:
    return SqlOrderStore(database)


def test_a_closing_adds_up_what_was_sold_and_given_back(database, orders):
    sell(orders, "a")
    refund(orders, sell(orders, "b"), {0: 1})
    cancel(orders, orders.create(draft("c")))
    expire(orders, orders.create(overdue_draft("d")))
    closing = close_day(database, "1", "otto")
    totals = closing.totals["KRW"]
    assert (totals.sold, totals.refunded, totals.cancelled, totals.expired) == (2, 1, 1, 1)
    assert (totals.sales_minor, totals.refunds_minor, totals.net_minor) == (13_000, 1500, 11_500)
    assert totals.sales_by_method_minor == {"qr": 13_000}
    assert totals.sales_by_tax_minor == {"exempt": 13_000}
    assert totals.refunds_by_tax_minor == {"exempt": 1500}
    assert (closing.number, closing.first, closing.last, closing.record) == (1, 1, 9, 10)


def test_the_closing_is_a_record_of_the_journal(database, orders):
    sell(orders)
    closing = close_day(database, "1", "otto")
    *_, last = Journal(database).records()
    assert (last.event, last.actor, last.hash) == ("day_closed", "otto", closing.hash)
    assert json.loads(last.details)["totals"]["KRW"]["sales_minor"] == 6500
    assert Journal(database).verify() is None


def test_the_next_closing_begins_where_the_last_one_ended(database, orders):
    sell(orders, "a")
    first = close_day(database, "1", "otto")
    sell(orders, "b")
    second = close_day(database, "1", "otto")
    assert (second.number, second.first, second.last) == (2, first.record + 1, first.record + 2)
    assert second.totals["KRW"].sales_minor == 6500


def test_a_day_without_sales_closes_empty(database):
    closing = close_day(database, "1", "otto")
    assert (closing.totals, closing.first, closing.last) == ({}, 1, 0)
    again = close_day(database, "1", "otto")
    assert (again.number, again.first, again.last) == (2, 2, 1)


def test_each_lane_closes_for_itself(database, orders):
    sell(orders, "a", "1")
    sell(orders, "b", "2")
    assert close_day(database, "1", "otto").totals["KRW"].sold == 1
    assert close_day(database, "2", "otto").number == 1


def test_every_sale_is_in_exactly_one_closing_though_they_come_at_once(database, orders):
    def work(n: int) -> int:
        if n % 4:
            sell(orders, f"key {n}")
            return 0
        return sum(t.sales_minor for t in close_day(database, "1", "otto").totals.values())

    closed = sum(at_once(8, work))
    rest = close_day(database, "1", "otto").totals
    assert closed + sum(totals.sales_minor for totals in rest.values()) == 6 * 6500
