"""After the store failed the checkout follows it: what it did may be done, its answer lost."""

from contextlib import suppress
from datetime import timedelta

import pytest

from app.errors import CartFrozen, OrderNotFound, StoreUnavailable
from app.shop.checkout import Checkout
from app.shop.order import Order, OrderStatus
from app.shop.payment import ByTransfer, Payment, methods_by_name
from tests.shop.fakes import CATALOG, MemoryOrders


class Forgetful(MemoryOrders):
    """Does what it is asked to, but when ``mute`` nobody hears of it."""

    mute = False

    def _said(self, order: Order) -> Order:
        if self.mute:
            raise StoreUnavailable("The database does not answer.")
        return order

    def create(self, order: Order) -> Order:
        return self._said(super().create(order))

    def confirm(self, order_id: int, payment: Payment) -> Order:
        return self._said(super().confirm(order_id, payment))

    def end(self, order_id: int, status: OrderStatus, actor: str) -> Order:
        return self._said(super().end(order_id, status, actor))


@pytest.fixture
def orders() -> Forgetful:
    return Forgetful()


@pytest.fixture
def checkout(orders: Forgetful) -> Checkout:
    checkout = Checkout("1", CATALOG, orders)
    checkout.add_item("pear", 2)
    return checkout


def pay(checkout: Checkout) -> Order:
    return checkout.pay(checkout.snapshot().version, "clerk", "wish")


def test_a_payment_whose_confirmation_got_lost_is_shown_as_paid(checkout, orders):
    order, told = pay(checkout), []
    checkout.subscribe(lambda cart, order: told.append((cart.status, order.status)))
    orders.mute = True
    with pytest.raises(StoreUnavailable):
        checkout.confirm(order.id, "kim")
    assert (checkout.snapshot().status, told) == ("awaiting_payment", [])

    checkout.catch_up()
    assert checkout.current_order().status is OrderStatus.PAID
    assert told == [("paid", OrderStatus.PAID)]
    checkout.catch_up()
    assert len(told) == 1


def test_a_cancelling_whose_answer_got_lost_opens_the_basket(checkout, orders):
    order = pay(checkout)
    orders.mute = True
    with pytest.raises(StoreUnavailable):
        checkout.cancel(order.id)
    checkout.catch_up()
    assert (checkout.snapshot().status, checkout.current_order()) == ("open", None)


def test_an_order_whose_answer_got_lost_is_shown_for_a_decision(checkout, orders):
    orders.mute = True
    with pytest.raises(StoreUnavailable):
        pay(checkout)
    assert checkout.snapshot().status == "open"
    checkout.catch_up()
    assert checkout.snapshot().status == "awaiting_payment"
    orders.mute = False
    assert checkout.cancel(checkout.current_order().id).status is OrderStatus.CANCELLED
    assert [line.quantity for line in checkout.snapshot().lines] == [2]


def test_an_order_that_really_was_not_made_leaves_the_basket_open(checkout):
    checkout.catch_up()
    assert (checkout.snapshot().status, checkout.current_order()) == ("open", None)


def test_a_sale_that_ended_before_is_not_shown_again(checkout, orders):
    checkout.confirm(pay(checkout).id, "kim")
    checkout.counter_cleared()
    checkout.catch_up()
    assert checkout.current_order() is None


def test_a_store_that_still_fails_says_so(checkout, orders):
    pay(checkout)
    orders.broken = True
    with pytest.raises(StoreUnavailable):
        checkout.catch_up()
    assert checkout.snapshot().status == "awaiting_payment"


def test_a_second_wish_to_pay_finds_the_order_whose_answer_got_lost(checkout, orders):
    orders.mute = True
    with pytest.raises(StoreUnavailable):
        pay(checkout)
    orders.mute = False

    with pytest.raises(CartFrozen):
        checkout.pay(checkout.snapshot().version, "clerk", "another wish")
    assert len(orders.orders) == 1
    assert checkout.current_order().idempotency_key == "wish"
    assert checkout.snapshot().status == "awaiting_payment"


@pytest.mark.parametrize(
    "look",
    [
        lambda checkout, _: checkout.catch_up(),
        lambda checkout, _: checkout.expire(),
        lambda checkout, order: checkout.cancel(order.id),
        lambda checkout, order: checkout.confirm(order.id, "kim"),
    ],
)
def test_an_order_that_vanished_with_its_database_frees_the_basket(orders, look):
    methods = methods_by_name(ByTransfer("qr", timedelta(minutes=-1)))
    checkout = Checkout("1", CATALOG, orders, methods=methods)
    checkout.add_item("pear", 2)
    order = checkout.pay(checkout.snapshot().version, "qr", "wish")
    orders.orders.clear()  # an older backup was put in the file's place

    with suppress(OrderNotFound):
        look(checkout, order)
    assert (checkout.snapshot().status, checkout.current_order()) == ("open", None)
    assert checkout.snapshot().quantity("manual:pear") == 2


def test_a_paid_order_that_vanished_is_shown_until_its_goods_have_left(checkout, orders):
    order = pay(checkout)
    checkout.confirm(order.id, "kim")
    orders.orders.clear()
    checkout.catch_up()
    assert checkout.snapshot().status == "paid"
