"""A provider's messages and more time to pay, in the database."""

from datetime import timedelta

import pytest

from app.errors import IllegalTransition, InvalidPayment, OrderNotFound
from app.shop.order import Order, OrderStatus
from app.shop.payment import ByTransfer, Payment, Proof, failed
from app.store.database import Database
from app.store.journal import Journal
from app.store.orders import SqlOrderStore
from tests.store.selling import at_once, draft, now, overdue_draft, pay

THREE_MINUTES = timedelta(minutes=3)


def waiting(orders: SqlOrderStore, key: str = "key") -> Order:
    return orders.create(draft(key, method=ByTransfer()))


def told(order: Order, event: str, reference: str = "") -> Payment:
    proof = Proof(provider_reference=reference, provider_event=event)
    return ByTransfer().accept(order.total_minor, proof, "bank")


def no_money(order: Order, event: str) -> Payment:
    return failed("qr", order.total_minor, "no money", "", "bank", event)


def events(database: Database) -> list[str]:
    return [record.event for record in Journal(database).records()]


def test_more_time_begins_anew_and_is_written_down(orders, database):
    order = waiting(orders)

    extended = orders.extend(order.id, timedelta(minutes=9), "customer")

    assert extended == orders.get(order.id)
    assert extended.expires_at - now() > timedelta(minutes=8)
    assert events(database)[-1] == "order_extended"
    assert Journal(database).verify() is None


def test_what_is_overdue_ended_or_endless_gets_no_more_time(orders):
    paid, endless = pay(orders, waiting(orders, "paid")), orders.create(draft("endless"))
    late = orders.create(overdue_draft("late"))

    for order in (paid, endless, late):
        with pytest.raises(IllegalTransition):
            orders.extend(order.id, THREE_MINUTES, "customer")
    with pytest.raises(OrderNotFound):
        orders.extend(999, THREE_MINUTES, "customer")


def test_a_message_that_brought_money_is_found_again(orders):
    order = waiting(orders)
    orders.confirm(order.id, told(order, "evt-1", "tx-1"))

    order_id, found = orders.find_event("evt-1")
    assert (order_id, found.outcome, found.provider_reference) == (order.id, "confirmed", "tx-1")
    assert orders.find_event("evt-2") is None
    assert orders.find_event("") is None


def test_one_message_pays_one_order(orders):
    first, second = waiting(orders, "a"), waiting(orders, "b")
    orders.confirm(first.id, told(first, "evt-1"))

    with pytest.raises(InvalidPayment) as refused:
        orders.confirm(second.id, told(second, "evt-1"))

    assert refused.value.code == "reference_used"
    assert orders.get(second.id).status is OrderStatus.AWAITING_PAYMENT


def test_a_message_without_money_is_noted_once_however_often_it_comes(orders, database):
    order = waiting(orders)

    assert (
        at_once(8, lambda n: orders.note_failed(order.id, no_money(order, "evt-1"))) == [None] * 8
    )

    assert [try_.reason for try_ in orders.payments(order.id)] == ["no money"]
    assert events(database).count("payment_failed") == 1
    assert Journal(database).verify() is None


def test_tries_without_a_message_are_all_kept(orders):
    order = waiting(orders)
    orders.note_failed(order.id, no_money(order, ""))
    orders.note_failed(order.id, no_money(order, ""))

    assert len(orders.payments(order.id)) == 2
