from dataclasses import replace

import pytest

from app.shop.cart import Cart
from app.shop.miscount import Miscount, miscounts
from app.shop.order import Order, order_from
from app.shop.payment import ByClerk
from tests.shop.fakes import CATALOG


def order_of(cart: Cart) -> Order:
    return order_from(cart.snapshot("1", 7, CATALOG), CATALOG, cart, ByClerk(), "key")


SEEN = Cart().see({"apple": 2, "pear": 1}, True)


@pytest.mark.parametrize(
    ("cart", "expected"),
    [
        (SEEN, []),
        (SEEN.change("camera:apple", 3), [Miscount("apple", 2, 3)]),
        (SEEN.change("camera:apple", 1), [Miscount("apple", 2, 1)]),
        (SEEN.change("camera:pear", 0), [Miscount("pear", 1, 0)]),
        (SEEN.add("apple", 2, CATALOG), [Miscount("apple", 2, 4)]),
        (Cart().add("pear", 1, CATALOG), [Miscount("pear", 0, 1)]),
        (
            SEEN.change("camera:pear", 0).add("apple", 1, CATALOG),
            [Miscount("apple", 2, 3), Miscount("pear", 1, 0)],
        ),
        (SEEN.change("camera:apple", 1).add("apple", 1, CATALOG), []),
    ],
)
def test_a_miscount_is_where_the_paid_basket_differs_from_the_counted_one(cart, expected):
    assert miscounts(order_of(cart)) == expected


def test_an_order_paid_without_a_camera_was_all_missed():
    order = replace(order_of(SEEN), camera_counts={})
    assert miscounts(order) == [Miscount("apple", 0, 2), Miscount("pear", 0, 1)]
