"""Giving a customer more time to pay, and what cash is likely to be laid down."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import IllegalTransition, OrderNotFound, StoreUnavailable
from app.shop.checkout import Checkout
from app.shop.money import NOTES_MINOR, likely_cash, to_major_text, to_minor
from app.shop.order import Order, OrderStatus
from app.shop.payment import ByTransfer, Cash, methods_by_name
from tests.shop.fakes import CATALOG, HandClock, MemoryOrders

THREE_MINUTES_S = 180.0


class Shop:
    def __init__(self, method: str = "qr") -> None:
        self.orders, self.clock = MemoryOrders(), HandClock()
        methods = methods_by_name(Cash(), ByTransfer())
        self.checkout = Checkout(
            *("1", CATALOG, self.orders, self.clock), methods=methods, now=self.clock.utc
        )
        self.checkout.add_item("pear", 2)
        self.order = self.checkout.pay(self.checkout.snapshot().version, method, "wish")

    def after(self, seconds: float) -> Order | None:
        self.clock.now_s += seconds
        self.checkout.expire()
        return self.checkout.current_order()


def test_without_more_time_the_order_ends_after_three_minutes():
    shop = Shop()
    assert shop.after(THREE_MINUTES_S - 1) is not None
    assert shop.after(1) is None
    assert shop.checkout.snapshot().status == "open"


def test_more_time_is_told_to_every_screen():
    shop = Shop()
    told = []
    shop.checkout.subscribe(lambda cart, order: told.append((cart.version, order)))

    extended = shop.checkout.extend(shop.order.id)

    assert extended.expires_at > shop.order.expires_at
    assert told == [(shop.checkout.snapshot().version, extended)]
    assert shop.checkout.current_order() == extended


def test_an_extended_order_ends_later_and_may_be_extended_again():
    shop = Shop()
    for _ in range(12):  # WCAG 2.2, 2.2.1 asks for ten times
        assert shop.after(THREE_MINUTES_S / 2) is not None
        shop.checkout.extend(shop.order.id)
    assert shop.after(THREE_MINUTES_S * 20) is None
    assert shop.orders.get(shop.order.id).status is OrderStatus.EXPIRED


def test_what_waits_for_ever_gets_no_more_time():
    shop = Shop("cash")
    with pytest.raises(IllegalTransition):
        shop.checkout.extend(shop.order.id)


def test_only_the_order_that_waits_here_gets_more_time():
    shop = Shop()
    with pytest.raises(OrderNotFound):
        shop.checkout.extend(99)
    shop.checkout.cancel(shop.order.id)
    with pytest.raises(OrderNotFound):
        shop.checkout.extend(shop.order.id)


def test_a_store_that_does_not_answer_gives_no_time():
    shop = Shop()
    shop.orders.broken = True
    with pytest.raises(StoreUnavailable):
        shop.checkout.extend(shop.order.id)
    assert shop.checkout.current_order() == shop.order


@pytest.mark.parametrize(
    ("total_minor", "currency", "likely"),
    [
        (6500, "KRW", [6500, 7000, 10_000, 50_000]),
        (7000, "KRW", [7000, 10_000, 50_000]),
        (50_000, "KRW", [50_000]),
        (12_300, "KRW", [12_300, 13_000, 15_000, 20_000, 50_000]),
        (1205, "USD", [1205, 1300, 1500, 2000, 5000]),
    ],
)
def test_likely_cash_is_the_total_and_round_sums_above(total_minor, currency, likely):
    assert likely_cash(total_minor, currency) == likely


@given(st.integers(1, 10**9), st.sampled_from(sorted(NOTES_MINOR)))
def test_likely_cash_always_does(total_minor, currency):
    likely = likely_cash(total_minor, currency)
    assert likely[0] == total_minor
    assert likely == sorted(set(likely))
    assert len(likely) <= 5


@given(st.integers(0, 10**12), st.sampled_from(sorted(NOTES_MINOR)))
def test_an_amount_for_machines_is_read_again(amount_minor, currency):
    assert to_minor(Decimal(to_major_text(amount_minor, currency)), currency) == amount_minor
