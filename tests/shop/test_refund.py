from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidRefund
from app.shop.cart import Cart
from app.shop.order import Order, order_from
from app.shop.payment import ByClerk
from app.shop.refund import Refund, RefundRequest, quantities_left, refund_from
from tests.shop.fakes import CATALOG

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
APPLES, PEARS = 0, 1


def order_of(apples: int = 2, pears: int = 1) -> Order:
    cart = Cart().see({"apple": apples}, True).add("pear", pears, CATALOG)
    order = order_from(cart.snapshot("1", 7, CATALOG), CATALOG, cart, ByClerk(), "key")
    return replace(order, id=1)


def give_back(
    order: Order, before: list[Refund], quantities: dict[int, int] | None, reason: str = "bruised"
) -> Refund:
    return refund_from(order, before, RefundRequest(reason, "key", quantities), "kim", NOW)


def test_a_whole_refund_is_exactly_what_was_paid():
    refund = give_back(order_of(), [], None)
    assert (refund.amount_minor, refund.number, refund.actor) == (6500, 1, "kim")
    assert [(line.position, line.quantity) for line in refund.lines] == [(APPLES, 2), (PEARS, 1)]


def test_one_fruit_is_refunded_at_the_price_that_was_paid():
    refund = give_back(order_of(), [], {APPLES: 1})
    assert (refund.amount_minor, len(refund.lines)) == (1500, 1)


def test_a_whole_refund_after_a_partial_one_is_the_rest():
    order = order_of()
    first = give_back(order, [], {APPLES: 1})
    rest = give_back(order, [first], None)
    assert (rest.amount_minor, rest.number) == (5000, 2)
    assert quantities_left(order, [first, rest]) == {}


@pytest.mark.parametrize(
    "quantities", [{APPLES: 3}, {APPLES: 0}, {APPLES: -1}, {2: 1}, {-1: 1}, {APPLES: True}, {}]
)
def test_what_was_not_paid_is_not_refunded(quantities):
    with pytest.raises(InvalidRefund):
        give_back(order_of(), [], quantities)


def test_nothing_is_refunded_twice():
    order = order_of()
    whole = give_back(order, [], None)
    for again in (None, {PEARS: 1}):
        with pytest.raises(InvalidRefund):
            give_back(order, [whole], again)


@pytest.mark.parametrize("reason", ["", "   ", "r" * 201])
def test_a_refund_needs_a_reason_that_can_be_kept(reason):
    with pytest.raises(InvalidRefund):
        give_back(order_of(), [], None, reason)


@pytest.mark.parametrize("key", ["", " ", "k" * 101])
def test_a_refund_needs_an_idempotency_key(key):
    with pytest.raises(InvalidRefund):
        refund_from(order_of(), [], RefundRequest("bruised", key), "kim", NOW)


@given(
    apples=st.integers(1, 20),
    pears=st.integers(1, 20),
    wishes=st.lists(
        st.none() | st.dictionaries(st.integers(-1, 2), st.integers(0, 25), max_size=2), max_size=8
    ),
)
def test_whatever_is_asked_for_no_more_is_given_back_than_was_paid(apples, pears, wishes):
    order, before = order_of(apples, pears), []
    for wish in wishes:
        try:
            before.append(give_back(order, before, wish))
        except InvalidRefund:
            continue
    given = sum(refund.amount_minor for refund in before)
    left = quantities_left(order, before)
    assert all(refund.amount_minor > 0 for refund in before)
    assert given == order.total_minor - sum(
        count * order.lines[position].unit_price_minor for position, count in left.items()
    )
