"""Reads what browsers send; whatever is not as agreed is an InvalidInput, never a traceback."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from app.errors import InvalidInput, InvalidPayment
from app.shop.money import to_minor

MAX_TEXT_LENGTH = 100
CASH_PATTERN = re.compile(r"\d{1,3}(,\d{3}){1,4}(\.\d{1,2})?|\d{1,15}(\.\d{1,2})?", re.ASCII)
DAY_PATTERN = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
WHOLE_PATTERN = re.compile(r"\d{1,15}", re.ASCII)


def text(data: Mapping[str, object], name: str) -> str:
    """A short text: 1 to 100 printable characters."""
    value = data.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT_LENGTH:
        raise InvalidInput(f"'{name}' must be 1 to {MAX_TEXT_LENGTH} characters")
    if not value.isprintable():
        raise InvalidInput(f"'{name}' must be printable characters only")
    return value


def day(data: Mapping[str, object], name: str, default: date) -> date:
    """A day as date fields send it, YYYY-MM-DD; ``default`` when it is missing or empty."""
    value = data.get(name) or default.isoformat()
    try:
        if not isinstance(value, str) or not DAY_PATTERN.fullmatch(value):
            raise ValueError(value)
        return date.fromisoformat(value)
    except ValueError as error:
        raise InvalidInput(f"'{name}' must be a day, YYYY-MM-DD") from error


def whole(data: Mapping[str, object], name: str) -> int:
    """A whole number, 0 or more: an int, or in a form its digits."""
    value = data.get(name)
    if isinstance(value, str) and WHOLE_PATTERN.fullmatch(value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise InvalidInput(f"'{name}' must be a whole number, 0 or more")


def whole_or_none(data: Mapping[str, object], name: str) -> int | None:
    """A whole number, 0 or more; None where it is not told."""
    return whole(data, name) if name in data else None


def cash(data: Mapping[str, object], name: str, currency: str) -> int | None:
    """An amount as people write it ("10,000", "12.50"), in minor units; None when left empty.

    Raises InvalidPayment with the code ``cash_missing``.
    """
    value = data.get(name)
    written = value.strip() if isinstance(value, str) else ""
    if not written:
        return None
    try:
        if not CASH_PATTERN.fullmatch(written):
            raise ValueError(written)
        return to_minor(Decimal(written.replace(",", "")), currency)
    except ValueError as error:
        raise InvalidPayment(f"'{name}' is no amount of {currency}", "cash_missing") from error
