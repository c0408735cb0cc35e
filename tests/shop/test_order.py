from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest

from app.errors import IllegalTransition
from app.shop.cart import Cart
from app.shop.order import ALLOWED, Order, OrderStatus, order_from, order_number
from app.shop.payment import ByClerk, ByTransfer
from tests.shop.fakes import CATALOG

LEGAL = {
    ("open", "awaiting_payment"),
    ("open", "cancelled"),
    ("awaiting_payment", "paid"),
    ("awaiting_payment", "cancelled"),
    ("paid", "partly_refunded"),
    ("paid", "refunded"),
    ("partly_refunded", "partly_refunded"),
    ("partly_refunded", "refunded"),
}
EXPIRES_AT = datetime(2026, 11, 22, 12, 3, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def order_of(cart: Cart) -> Order:
    return order_from(cart.snapshot("1", 7, CATALOG), CATALOG, cart, ByClerk(), "key")


def in_status(status: OrderStatus) -> Order:
    now = datetime.now(UTC)
    return Order("1", status, "KRW", 0, (), 1, "clerk", "key", now, now)


@pytest.mark.parametrize(("before", "after"), list(product(OrderStatus, OrderStatus)))
def test_an_order_makes_the_allowed_moves_and_no_other(before, after):
    if (before.value, after.value) in LEGAL:
        moved = in_status(before).move(after, "kim")
        assert (moved.status, moved.changed_by) == (after, "kim")
    else:
        with pytest.raises(IllegalTransition):
            in_status(before).move(after, "kim")


def test_every_status_has_its_moves():
    assert set(ALLOWED) == set(OrderStatus)


def test_an_order_copies_names_prices_and_what_the_camera_saw():
    order = order_of(Cart().see({"apple": 2}, True).add("pear", 1, CATALOG))
    assert order.status is OrderStatus.AWAITING_PAYMENT
    assert (order.total_minor, order.cart_version, order.camera_counts) == (6500, 7, {"apple": 2})
    apple, pear = order.lines
    assert (apple.name_ko, apple.quantity, apple.unit_price_minor) == ("사과", 2, 1500)
    assert (pear.amount_minor, pear.source, pear.tax) == (3500, "manual", "exempt")


@pytest.mark.parametrize("counts", [{}, {"zebra": 1}, {"apple": 1, "lemon": 1}])
def test_nothing_and_the_unpriced_never_become_an_order(counts):
    with pytest.raises(ValueError, match=r"no order|no price"):
        order_of(Cart().see(counts, True))


@pytest.mark.parametrize(
    "cart",
    [
        Cart().see({"apple": 2}, True),
        Cart().see({"apple": 2}, True).add("apple", 1, CATALOG),
        Cart().see({"apple": 3, "pear": 1}, True).change("camera:apple", 1),
        Cart().see({"apple": 3, "pear": 1}, True).change("camera:pear", 0),
        Cart().see({"apple": 1}, True).change("camera:apple", 4).add("pear", 2, CATALOG),
    ],
)
@pytest.mark.parametrize("later", [{}, {"apple": 1}, {"apple": 3, "pear": 1}, {"pear": 2}])
def test_a_basket_rebuilt_from_its_order_behaves_like_the_first(cart, later):
    rebuilt = order_of(cart).basket()
    assert rebuilt.lines(CATALOG) == cart.lines(CATALOG)
    assert rebuilt.see(later, True).lines(CATALOG) == cart.see(later, True).lines(CATALOG)


def test_the_frozen_basket_looks_as_it_did():
    cart = Cart().see({"apple": 2}, True)
    frozen = order_of(cart).snapshot(8)
    assert frozen.lines == cart.lines(CATALOG)
    assert (frozen.status, frozen.total, frozen.version) == ("awaiting_payment", 3000, 8)


def test_order_numbers_can_be_read_out():
    assert order_number("1", date(2026, 11, 22), 42) == "1-261122-0042"
    assert order_number("north", date(2026, 1, 5), 12345) == "north-260105-12345"


# An order with an end


def waiting_until_noon() -> Order:
    return replace(in_status(OrderStatus.AWAITING_PAYMENT), expires_at=EXPIRES_AT)


def test_an_order_is_overdue_from_its_very_end_on():
    order = waiting_until_noon()
    assert not order.overdue(EXPIRES_AT - SECOND)
    assert order.overdue(EXPIRES_AT)


def test_an_order_that_waits_for_ever_or_is_finished_is_never_overdue():
    assert not in_status(OrderStatus.AWAITING_PAYMENT).overdue(EXPIRES_AT)
    assert not replace(in_status(OrderStatus.PAID), expires_at=EXPIRES_AT).overdue(EXPIRES_AT)


def test_an_overdue_order_cannot_be_paid_but_can_expire_or_be_cancelled():
    order = waiting_until_noon()
    with pytest.raises(IllegalTransition):
        order.move(OrderStatus.PAID, "kim", EXPIRES_AT)
    assert order.move(OrderStatus.EXPIRED, "clock", EXPIRES_AT).status is OrderStatus.EXPIRED
    assert order.move(OrderStatus.CANCELLED, "kim", EXPIRES_AT).status is OrderStatus.CANCELLED


def test_an_order_in_time_can_be_paid_but_not_expire():
    order, in_time = waiting_until_noon(), EXPIRES_AT - SECOND
    with pytest.raises(IllegalTransition):
        order.move(OrderStatus.EXPIRED, "clock", in_time)
    paid = order.move(OrderStatus.PAID, "kim", in_time)
    assert (paid.paid_at, paid.changed_at) == (in_time, in_time)


def test_a_refund_leaves_the_moment_of_payment():
    paid = in_status(OrderStatus.AWAITING_PAYMENT).move(OrderStatus.PAID, "kim")
    back = paid.move(OrderStatus.REFUNDED, "lee")
    assert (back.paid_at, back.changed_by) == (paid.paid_at, "lee")


def test_the_way_to_pay_says_how_long_an_order_waits():
    cart = Cart().see({"apple": 1}, True)
    order = order_from(cart.snapshot("1", 1, CATALOG), CATALOG, cart, ByTransfer(), "key")
    assert order.expires_at == order.created_at + timedelta(minutes=3)
    assert order_of(cart).expires_at is None


@pytest.mark.parametrize("status", ["paid", "partly_refunded", "refunded"])
def test_a_sale_stays_a_sale_on_the_screen_whatever_is_given_back(status):
    order = in_status(OrderStatus(status))
    assert order.sold
    assert order.snapshot(2).status == "paid"
