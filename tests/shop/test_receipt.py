from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.shop.order import Order, OrderLine, OrderStatus
from app.shop.payment import Payment
from app.shop.receipt import Receipt, Taxes, taxes_in
from app.shop.refund import Refund, RefundRequest, refund_from

NOW = datetime(2026, 11, 22, 7, 5, 9, tzinfo=UTC)
APPLE = OrderLine("apple", "사과", "Apple", 3, 1500, 4500, "camera", "exempt")
JUICE = OrderLine("juice", "주스", "Juice", 2, 3300, 6600, "manual", "standard")


def receipt(*lines: OrderLine, refunds: tuple[Refund, ...] = ()) -> Receipt:
    total = sum(line.amount_minor for line in lines)
    order = Order("1", OrderStatus.PAID, "KRW", total, lines, 7, "cash", "k", NOW, NOW, id=1)
    return Receipt(order, Payment("cash", total, "kim", NOW), refunds)


def refunded(sold: Receipt, quantities: Mapping[int, int]) -> Receipt:
    request = RefundRequest("bruised", "r", quantities)
    refund = refund_from(sold.order, sold.refunds, request, "kim", NOW)
    return replace(sold, refunds=(*sold.refunds, refund))


@pytest.mark.parametrize(
    ("taxed", "supply", "vat"),
    [
        (0, 0, 0),
        (1, 1, 0),
        (5, 5, 0),  # 0.4545 …
        (6, 5, 1),  # 0.5454 …
        (11, 10, 1),
        (9900, 9000, 900),
        (10000, 9091, 909),
        (3500, 3182, 318),
        (99999, 90908, 9091),
    ],
)
def test_the_vat_in_a_price_is_an_eleventh_rounded_to_the_nearest(
    taxed: int, supply: int, vat: int
) -> None:
    assert taxes_in([("standard", taxed)]) == Taxes(0, supply, vat)


@given(st.lists(st.tuples(st.sampled_from(["exempt", "standard"]), st.integers(0, 10**12))))
def test_the_three_parts_are_the_total_exactly(amounts: list[tuple[str, int]]) -> None:
    taxes = taxes_in(amounts)

    assert taxes.exempt_minor + taxes.supply_minor + taxes.vat_minor == sum(a for _, a in amounts)
    assert taxes.exempt_minor == sum(amount for tax, amount in amounts if tax == "exempt")
    assert abs(11 * taxes.vat_minor - taxes.taxed_minor) <= 5.5


def test_the_vat_of_the_sum_is_rounded_not_the_sum_of_rounded_vats() -> None:
    assert taxes_in([("standard", 5), ("standard", 5)]) == Taxes(0, 9, 1)


def test_exempt_and_taxed_goods_stand_apart() -> None:
    assert receipt(APPLE, JUICE).taxes == Taxes(4500, 6000, 600)


def test_a_tax_class_that_nobody_knows_is_no_receipt() -> None:
    with pytest.raises(KeyError):
        _ = receipt(replace(APPLE, tax="reduced")).taxes


def test_without_refunds_all_is_left() -> None:
    sold = receipt(APPLE, JUICE)

    assert (sold.left_minor, sold.taxes_left) == (11100, sold.taxes)


def test_a_refund_leaves_what_was_kept_with_its_taxes() -> None:
    sold = refunded(receipt(APPLE, JUICE), {0: 2, 1: 1})

    assert sold.left_minor == 1500 + 3300
    assert sold.taxes_left == Taxes(1500, 3000, 300)
    assert sold.taxes == Taxes(4500, 6000, 600)


def test_a_whole_refund_leaves_nothing() -> None:
    sold = refunded(refunded(receipt(APPLE, JUICE), {0: 1}), {0: 2, 1: 2})

    assert (sold.left_minor, sold.taxes_left) == (0, Taxes(0, 0, 0))


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=5))
def test_what_is_left_is_its_taxes_exactly(pieces: list[tuple[int, int]]) -> None:
    lines = [
        OrderLine(f"k{n}", "가", "A", bought, 333, bought * 333, "camera", tax)
        for n, (bought, _) in enumerate(pieces)
        for tax in ["standard" if n % 2 else "exempt"]
    ]
    back = {n: min(bought, given_back) for n, (bought, given_back) in enumerate(pieces)}
    back = {n: quantity for n, quantity in back.items() if quantity}
    sold = receipt(*lines)
    sold = refunded(sold, back) if back else sold

    left = sold.taxes_left
    assert left.exempt_minor + left.taxed_minor == sold.left_minor
