from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.errors import IllegalTransition, InvalidPayment, InvalidRefund, OrderNotFound
from app.shop.order import OrderStatus
from app.shop.payment import Cash, Payment, Proof, failed
from app.store.database import Database
from app.store.orders import SqlOrderStore
from tests.store.selling import (
    cancel,
    draft,
    expire,
    now,
    number,
    overdue_draft,
    pay,
    payment,
    refund,
    sell,
)

PAID, CANCELLED, EXPIRED = OrderStatus.PAID, OrderStatus.CANCELLED, OrderStatus.EXPIRED
PARTLY, REFUNDED = OrderStatus.PARTLY_REFUNDED, OrderStatus.REFUNDED
ENDS = (CANCELLED, EXPIRED)
BY_KIM = Payment("clerk", 6500, "kim", now())


def test_an_order_comes_back_as_it_was_stored(orders):
    wanted = draft()
    stored = orders.create(wanted)
    assert stored == replace(wanted, id=stored.id, number=number(1))
    assert orders.get(stored.id) == stored
    assert orders.find_by_key("key") == stored
    assert orders.find(stored.number) == stored
    assert stored.created_at.tzinfo is UTC


def test_a_moment_of_another_zone_is_kept_in_utc(orders):
    seoul = datetime(2026, 11, 22, 12, 0, tzinfo=timezone(timedelta(hours=9)))
    stored = orders.create(replace(draft(), created_at=seoul))
    assert orders.get(stored.id).created_at.isoformat() == "2026-11-22T03:00:00+00:00"


def test_the_same_key_gives_the_same_order(orders):
    first = orders.create(draft())
    assert orders.create(draft()) == first
    assert orders.create(draft("other")).number == number(2)


def test_what_is_not_there_is_not_found(orders):
    assert orders.find_by_key("key") is None
    assert orders.unfinished("1") is None
    assert orders.awaiting() == []
    for act in (
        orders.get,
        lambda n: orders.confirm(n, BY_KIM),
        lambda n: orders.end(n, CANCELLED, "kim"),
    ):
        with pytest.raises(OrderNotFound):
            act(5)


def test_a_move_is_kept_with_who_made_it(orders):
    order = orders.create(draft())
    paid = orders.confirm(order.id, payment(order))
    assert orders.get(order.id) == paid
    assert (paid.status, paid.changed_by) == (PAID, "kim")
    assert paid.paid_at == paid.changed_at >= paid.created_at


@pytest.mark.parametrize("last", [pay, cancel])
@pytest.mark.parametrize("then", [pay, cancel, expire])
def test_a_finished_order_is_never_finished_again(orders, last, then):
    order = orders.create(draft())
    finished = last(orders, order)
    with pytest.raises(IllegalTransition):
        then(orders, order)
    assert orders.get(order.id) == finished


@pytest.mark.parametrize("status", [status for status in OrderStatus if status not in ENDS])
def test_an_order_ends_cancelled_or_expired_and_in_no_other_way(orders, status):
    order = orders.create(draft())
    with pytest.raises(IllegalTransition):
        orders.end(order.id, status, "kim")
    assert orders.get(order.id) == order


def test_the_newest_order_of_a_lane_is_unfinished_until_it_is_released(orders):
    orders.create(draft("old"))
    order = orders.create(draft())
    orders.create(draft("elsewhere", lane="2"))
    assert orders.unfinished("1") == order
    paid = pay(orders, order)
    assert orders.unfinished("1") == paid
    orders.release(order.id)
    released = orders.get(order.id).released_at
    assert orders.unfinished("1") is None
    orders.release(order.id)
    assert orders.get(order.id).released_at == released


def test_a_cancelled_order_is_finished(orders):
    order = orders.create(draft())
    cancel(orders, order)
    assert orders.unfinished("1") is None


def test_the_clerk_sees_the_waiting_orders_of_all_lanes_oldest_first(orders):
    first, second, third = (orders.create(draft(key, lane)) for key, lane in ("a1", "b2", "c1"))
    pay(orders, third)
    assert orders.awaiting() == [first, second]


def test_orders_survive_closing_and_reopening(database_url, orders, database):
    paid = pay(orders, orders.create(draft()))
    database.close()
    again = Database(database_url)
    again.migrate()
    assert SqlOrderStore(again).get(paid.id) == paid
    again.close()


def test_an_overdue_order_expires_and_can_no_longer_be_paid(orders):
    order = orders.create(overdue_draft())
    with pytest.raises(IllegalTransition):
        pay(orders, order)
    expired = expire(orders, order)
    assert orders.get(order.id) == expired
    assert (expired.status, expired.paid_at) == (EXPIRED, None)
    assert orders.payments(order.id) == []


def test_an_order_in_time_does_not_expire(orders):
    order = orders.create(draft())
    with pytest.raises(IllegalTransition):
        expire(orders, order)


# Numbers


def test_each_lane_counts_its_own_orders_of_the_day(orders):
    made = [orders.create(draft(key, lane)).number for key, lane in ("a1", "b2", "c1", "d2")]
    assert made == [number(1), number(1, "2"), number(2), number(2, "2")]


def test_the_count_begins_anew_each_day(orders):
    yesterday = now() - timedelta(days=1)
    first = orders.create(replace(draft("old"), created_at=yesterday))
    second = orders.create(draft("new"))
    assert first.number.endswith("-0001")
    assert second.number == number(1)
    assert first.number != second.number


# Payments


def test_a_payment_is_kept_with_what_proves_it(orders):
    order = orders.create(draft())
    cash = Cash().accept(order.total_minor, Proof(received_minor=10_000), "kim")
    orders.confirm(order.id, cash)
    assert orders.payments(order.id) == [cash]
    assert (cash.received_minor, cash.change_minor) == (10_000, 3500)


def test_a_payment_of_another_amount_pays_nothing(orders):
    order = orders.create(draft())
    with pytest.raises(InvalidPayment):
        orders.confirm(order.id, replace(payment(order), amount_minor=order.total_minor - 1))
    assert orders.get(order.id) == order
    assert orders.payments(order.id) == []


def test_a_failed_try_is_kept_and_the_order_goes_on_waiting(orders):
    order = orders.create(draft())
    declined = failed("portone", order.total_minor, "declined", "ref-1", "portone")
    orders.note_failed(order.id, declined)
    orders.note_failed(order.id, declined)
    assert orders.get(order.id) == order
    orders.confirm(order.id, payment(order, reference="ref-1"))
    assert [kept.outcome for kept in orders.payments(order.id)] == ["failed", "failed", "confirmed"]


def test_a_failed_try_never_pays(orders):
    order = orders.create(draft())
    with pytest.raises(InvalidPayment):
        orders.confirm(order.id, failed("card", order.total_minor, "declined", "", "kim"))
    assert orders.get(order.id) == order


def test_a_provider_s_reference_pays_one_order_only(orders):
    first, second = orders.create(draft("a")), orders.create(draft("b"))
    orders.confirm(first.id, payment(first, reference="ref-1"))
    with pytest.raises(InvalidPayment):
        orders.confirm(second.id, payment(second, reference="ref-1"))
    assert orders.get(second.id) == second
    assert orders.payments(second.id) == []


def test_payments_without_a_reference_do_not_get_in_each_other_s_way(orders):
    assert {sell(orders, key).status for key in "abc"} == {PAID}


# Refunds


def test_a_refund_is_kept_and_the_order_says_how_much_was_given_back(orders):
    order = sell(orders)
    part = refund(orders, order, {0: 1}, "r1")
    assert (orders.get(order.id).status, orders.get(order.id).refunded_minor) == (PARTLY, 1500)
    rest = refund(orders, order, None, "r2")
    assert (orders.get(order.id).status, orders.get(order.id).refunded_minor) == (REFUNDED, 6500)
    assert orders.refunds(order.id) == [part, rest]
    assert part.lines[0].amount_minor == 1500
    assert orders.get(order.id).paid_at == order.paid_at


def test_the_same_wish_refunds_once(orders):
    order = sell(orders)
    assert refund(orders, order, {0: 1}) == refund(orders, order, {0: 1})
    assert orders.get(order.id).refunded_minor == 1500


def test_a_wish_for_one_order_never_refunds_another(orders):
    first, second = sell(orders, "a"), sell(orders, "b")
    refund(orders, first, None)
    with pytest.raises(InvalidRefund):
        refund(orders, second, None)
    assert orders.get(second.id) == second


@pytest.mark.parametrize("unpaid", [cancel, lambda orders, order: order])
def test_what_was_not_paid_is_not_refunded(orders, unpaid):
    order = unpaid(orders, orders.create(draft()))
    with pytest.raises(IllegalTransition):
        refund(orders, order, None)
    assert orders.refunds(order.id) == []


def test_a_refunded_order_is_over_for_its_lane_only_when_it_is_released(orders):
    order = sell(orders)
    refund(orders, order, {0: 1})
    assert orders.unfinished("1").id == order.id
    orders.release(order.id)
    assert orders.unfinished("1") is None


# The database itself refuses


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE orders SET total_minor = -1",
        "UPDATE orders SET status = 'free'",
        "UPDATE orders SET number = 'another'",
        "UPDATE orders SET idempotency_key = 'other' WHERE id = 1",
        "UPDATE order_lines SET quantity = 0",
        "UPDATE order_lines SET amount_minor = amount_minor - 1",
        "UPDATE order_lines SET unit_price_minor = -1, amount_minor = -quantity",
        "UPDATE order_lines SET source = 'guess'",
        "UPDATE order_lines SET order_id = 99",
        "DELETE FROM order_lines",
        "DELETE FROM orders",
        "UPDATE orders SET total_minor = total_minor + 1",
        "UPDATE orders SET method = 'free'",
        "UPDATE orders SET refunded_minor = total_minor + 1",
        "UPDATE orders SET refunded_minor = -1",
        "UPDATE payments SET amount_minor = 1",
        "DELETE FROM payments",
        "INSERT INTO payments (order_id, method, amount_minor, confirmed_by, at, approval_number,"
        " provider_reference, outcome, reason) SELECT order_id, method, amount_minor, confirmed_by,"
        " at, approval_number, 'another', outcome, reason FROM payments",
        "UPDATE refunds SET amount_minor = 1",
        "DELETE FROM refunds",
        "UPDATE refund_lines SET quantity = 2",
        "DELETE FROM refund_lines",
        "UPDATE journal SET actor = 'nobody'",
        "UPDATE journal SET number = number + 1",
        "DELETE FROM journal",
        "INSERT INTO journal SELECT lane, number + 100, at, actor, event, details, previous_hash,"
        " hash FROM journal",
        "INSERT INTO users VALUES (1, 'kim', 'x', 'king', '2026-11-22')",
    ],
)
def test_the_database_refuses_what_must_never_be(orders, database, statement):
    refund(orders, sell(orders), {0: 1})
    orders.create(draft("other"))
    with pytest.raises(IntegrityError), database.writing() as session:
        session.execute(text(statement))
