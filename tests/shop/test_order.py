from datetime import UTC, datetime
from itertools import product

import pytest

from app.errors import IllegalTransition
from app.shop.cart import Cart
from app.shop.order import ALLOWED, Order, OrderStatus, order_from, order_number
from tests.shop.fakes import CATALOG

LEGAL = {
    ("open", "awaiting_payment"),
    ("open", "cancelled"),
    ("awaiting_payment", "paid"),
    ("awaiting_payment", "cancelled"),
}


def order_of(cart: Cart) -> Order:
    return order_from(cart.snapshot("1", 7, CATALOG), CATALOG, cart, "counter", "key")


def in_status(status: OrderStatus) -> Order:
    now = datetime.now(UTC)
    return Order("1", status, "KRW", 0, (), 1, "counter", "key", now, now)


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
    assert order_number("1", 42) == "1-000042"
    assert order_number("north", 1_234_567) == "north-1234567"
