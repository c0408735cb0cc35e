"""Money as whole numbers of the smallest unit; no float ever holds an amount."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

# How many digits follow the point (ISO 4217), and the sign in front of the amount.
EXPONENTS = {"KRW": 0, "JPY": 0, "USD": 2, "EUR": 2}
SIGNS = {"KRW": "₩", "JPY": "¥", "USD": "$", "EUR": "€"}
NOTES_MINOR = {  # with which people pay, smallest first
    "KRW": (1000, 5000, 10_000, 50_000),
    "JPY": (1000, 5000, 10_000),
    "USD": (100, 500, 1000, 2000, 5000, 10_000),
    "EUR": (500, 1000, 2000, 5000, 10_000),
}
KOREAN_UNITS = {"KRW": "원", "JPY": "엔"}


def exponent(currency: str) -> int:
    """Digits after the point of a currency; ValueError for one that is not in the table."""
    if currency not in EXPONENTS:
        raise ValueError(f"unknown currency {currency!r}: use one of {', '.join(EXPONENTS)}")
    return EXPONENTS[currency]


def to_minor(value: int | float | Decimal, currency: str) -> int:
    """Turn a price as people write it (3500, 1.25) into minor units.

    A float counts as the number of 15 digits that a spreadsheet shows for it. Raises ValueError
    when the value is not finite or has more digits after the point than the currency.
    """
    digits = exponent(currency)
    try:
        scaled = Decimal(f"{value:.15g}" if isinstance(value, float) else value).scaleb(digits)
        whole = int(scaled.to_integral_exact())
    except (InvalidOperation, OverflowError, ValueError) as error:
        raise ValueError(f"{value} is not an amount of {currency}") from error
    if whole != scaled:
        raise ValueError(f"{currency} has {digits} digits after the point, not {value}")
    return whole


def likely_cash(total_minor: int, currency: str) -> list[int]:
    """Guess what is laid down for a total: the total itself, then round sums; minor units."""
    rounded = {-(-total_minor // note) * note for note in NOTES_MINOR[currency]}
    return sorted({total_minor} | rounded)[:5]


def to_major_text(amount_minor: int, currency: str) -> str:
    """Write an amount for machines: "3500", "12.30"; the currency's digits after a point."""
    return f"{Decimal(amount_minor).scaleb(-exponent(currency)):.{exponent(currency)}f}"


def format_minor(amount_minor: int, currency: str, language: str) -> str:
    """Write an amount for people: "3,500원" in Korean ("ko"), "₩3,500" in any other language."""
    digits = exponent(currency)
    number = f"{Decimal(abs(amount_minor)).scaleb(-digits):,.{digits}f}"
    minus = "-" if amount_minor < 0 else ""
    if language == "ko" and currency in KOREAN_UNITS:
        return f"{minus}{number}{KOREAN_UNITS[currency]}"
    return f"{minus}{SIGNS[currency]}{number}"
