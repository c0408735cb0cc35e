from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.shop.money import EXPONENTS, format_minor, to_minor


@pytest.mark.parametrize(
    ("amount_minor", "currency", "language", "text"),
    [
        (0, "KRW", "ko", "0원"),
        (3500, "KRW", "ko", "3,500원"),
        (3500, "KRW", "en", "₩3,500"),
        (1234567890, "KRW", "en", "₩1,234,567,890"),
        (-3500, "KRW", "ko", "-3,500원"),
        (-3500, "KRW", "en", "-₩3,500"),
        (1, "USD", "ko", "$0.01"),
        (123456, "USD", "en", "$1,234.56"),
        (500, "JPY", "ko", "500엔"),
    ],
)
def test_an_amount_is_written_as_people_read_it(amount_minor, currency, language, text):
    assert format_minor(amount_minor, currency, language) == text


@pytest.mark.parametrize(
    ("value", "currency", "minor"),
    [
        (3500, "KRW", 3500),
        (3500.0, "KRW", 3500),
        (0.1 * 3 * 10000, "KRW", 3000),  # 3000.0000000000005 to a computer, 3000 in Excel
        (1.25, "USD", 125),
        (0.29, "USD", 29),
        (Decimal("19.99"), "EUR", 1999),
    ],
)
def test_a_price_becomes_whole_minor_units(value, currency, minor):
    assert to_minor(value, currency) == minor


@pytest.mark.parametrize(
    ("value", "currency"),
    [
        (3500.5, "KRW"),
        (1.255, "USD"),
        (float("nan"), "KRW"),
        (float("inf"), "KRW"),
        (float("-inf"), "USD"),
        (Decimal("sNaN"), "KRW"),
        (1, "XXX"),  # ISO 4217: no currency
    ],
)
def test_what_is_no_amount_is_refused(value, currency):
    with pytest.raises(ValueError, match=r"digits after the point|not an amount|unknown currency"):
        to_minor(value, currency)


@given(st.integers(0, 10**12), st.sampled_from(sorted(EXPONENTS)))
def test_writing_an_amount_loses_nothing(amount_minor, currency):
    text = format_minor(amount_minor, currency, "en")
    assert to_minor(Decimal(text[1:].replace(",", "")), currency) == amount_minor
