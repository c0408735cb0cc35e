"""How a checkout uses the ways to pay, lets orders expire and takes down what people change."""

from datetime import timedelta

import pytest

from app.errors import IllegalTransition, InvalidPayment, StoreUnavailable
from app.shop.checkout import ABANDONED_AFTER_S, Checkout
from app.shop.order import Order, OrderStatus
from app.shop.payment import QR_VALID_FOR, Cash, Proof, methods_by_name
from tests.shop.fakes import CATALOG, HandClock, MemoryOrders

QR_S = QR_VALID_FOR.total_seconds()


class Lane:
    """Two apples at rest before a working camera."""

    def __init__(self) -> None:
        self.orders, self.clock, self.notes = MemoryOrders(), HandClock(), []
        self.open()

    def open(self) -> None:
        self.checkout = Checkout(
            *("1", CATALOG, self.orders, self.clock),
            note=lambda actor, event, details: self.notes.append((actor, event, dict(details))),
            now=self.clock.utc,
        )
        self.checkout.camera_state("ok")
        self.checkout.see({"apple": 2}, True)

    def pay(self, method: str) -> Order:
        return self.checkout.pay(self.checkout.snapshot().version, method, method)

    def wait(self, seconds: float) -> None:
        self.clock.now_s += seconds
        self.checkout.expire()


@pytest.fixture
def lane() -> Lane:
    return Lane()


# The ways to pay


def test_cash_needs_what_was_received_and_gives_change(lane):
    order = lane.pay("cash")
    with pytest.raises(InvalidPayment):
        lane.checkout.confirm(order.id, "kim")
    assert lane.checkout.snapshot().status == "awaiting_payment"
    lane.checkout.confirm(order.id, "kim", Proof(received_minor=5000))
    assert lane.orders.payments[order.id].change_minor == 2000


def test_the_clerk_may_take_the_money_in_another_way_than_was_chosen(lane):
    order = lane.pay("card")
    lane.checkout.confirm(order.id, "kim", Proof(received_minor=3000), method="cash")
    assert lane.orders.payments[order.id].method == "cash"
    assert lane.orders.get(order.id).method == "card"


def test_a_way_to_pay_that_the_shop_does_not_take_is_refused(lane):
    order = lane.pay("clerk")
    with pytest.raises(InvalidPayment):
        lane.checkout.confirm(order.id, "kim", method="bitcoin")
    with pytest.raises(InvalidPayment):
        lane.checkout.pay(lane.checkout.snapshot().version, "bitcoin", "key")
    assert lane.orders.get(order.id) == order


def test_a_shop_chooses_its_ways_to_pay(lane):
    checkout = Checkout("1", CATALOG, lane.orders, lane.clock, methods=methods_by_name(Cash()))
    with pytest.raises(InvalidPayment, match="cash"):
        checkout.pay(checkout.snapshot().version, "clerk", "key")


# Expiry


def test_a_qr_payment_that_nobody_makes_expires_after_three_minutes(lane):
    heard = []
    lane.checkout.subscribe(lambda cart, order: heard.append((cart.status, order.status)))
    order = lane.pay("qr")
    lane.wait(QR_S - 1)
    assert lane.checkout.snapshot().status == "awaiting_payment"
    lane.wait(2)
    assert lane.orders.get(order.id).status is OrderStatus.EXPIRED
    assert lane.checkout.snapshot().status == "open"
    assert lane.checkout.snapshot().total == 3000
    assert heard == [("awaiting_payment", "awaiting_payment"), ("open", "expired")]


def test_cash_never_expires(lane):
    lane.pay("cash")
    lane.wait(timedelta(days=3).total_seconds())
    assert lane.checkout.snapshot().status == "awaiting_payment"


def test_a_payment_that_comes_too_late_is_refused(lane):
    order = lane.pay("qr")
    lane.wait(QR_S + 10)
    with pytest.raises(IllegalTransition):
        lane.checkout.confirm(order.id, "bank")
    assert order.id not in lane.orders.payments


def test_an_order_that_expired_while_the_checkout_was_off_expires_at_the_start(lane):
    order = lane.pay("qr")
    lane.clock.now_s += QR_S + 1
    lane.open()
    assert lane.checkout.snapshot().status == "awaiting_payment"
    lane.checkout.expire()
    assert lane.orders.get(order.id).status is OrderStatus.EXPIRED
    assert lane.checkout.snapshot().status == "open"


def test_a_store_that_does_not_answer_is_asked_again_a_second_later(lane, caplog):
    lane.pay("qr")
    lane.orders.broken = True
    lane.wait(QR_S + 1)
    lane.wait(0.5)
    assert caplog.text.count("order_expiry_failed") == 1
    assert lane.checkout.snapshot().status == "awaiting_payment"
    lane.orders.broken = False
    lane.wait(0.6)
    assert lane.checkout.snapshot().status == "open"


def test_without_an_order_nothing_expires(lane):
    before = lane.checkout.snapshot()
    lane.wait(1000)
    assert lane.checkout.snapshot() == before


def test_an_order_that_another_process_finished_is_shown_so(lane):
    heard = []
    order = lane.pay("clerk")
    lane.checkout.subscribe(lambda cart, order: heard.append((cart.status, order.status)))
    lane.orders.end(order.id, OrderStatus.CANCELLED, "other")
    with pytest.raises(IllegalTransition):
        lane.checkout.confirm(order.id, "kim")
    assert lane.checkout.snapshot().status == "open"
    assert heard == [("open", "cancelled")]


# What people change is taken down


def test_each_change_by_hand_is_noted_with_before_and_after(lane):
    lane.checkout.add_item("pear", 2)
    lane.checkout.add_item("pear", 1, "kim")
    lane.checkout.change_line("camera:apple", 1)
    lane.checkout.remove_line("manual:pear")
    assert lane.notes == [
        ("customer", "line_added", {"line": "manual:pear", "from": 0, "to": 2}),
        ("kim", "line_changed", {"line": "manual:pear", "from": 2, "to": 3}),
        ("customer", "line_changed", {"line": "camera:apple", "from": 2, "to": 1}),
        ("customer", "line_removed", {"line": "manual:pear", "from": 3, "to": 0}),
    ]


def test_a_basket_that_was_left_behind_is_noted_once(lane):
    lane.checkout.add_item("pear", 2)
    lane.notes.clear()
    lane.checkout.see({}, True)
    for _ in range(3):
        lane.clock.now_s += ABANDONED_AFTER_S
        lane.checkout.see({}, True)
    assert lane.notes == [("clock", "no_sale", {"lines": {"manual:pear": 2}})]


def test_a_refused_change_is_not_noted(lane):
    for refused in (
        lambda: lane.checkout.add_item("zebra", 1),
        lambda: lane.checkout.remove_line("manual:pear"),
    ):
        with pytest.raises(Exception, match=r"item|line"):
            refused()
    lane.pay("clerk")
    with pytest.raises(Exception, match="being paid"):
        lane.checkout.add_item("pear", 1)
    assert lane.notes == []


def test_a_store_that_fails_in_the_middle_of_a_payment_leaves_it_waiting(lane):
    order = lane.pay("cash")
    lane.orders.broken = True
    with pytest.raises(StoreUnavailable):
        lane.checkout.confirm(order.id, "kim", Proof(received_minor=3000))
    assert lane.checkout.snapshot().status == "awaiting_payment"
    lane.orders.broken = False
    assert lane.checkout.confirm(order.id, "kim", Proof(received_minor=3000)).sold
