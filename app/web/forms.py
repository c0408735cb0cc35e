"""Reads what browsers send; whatever is not as agreed is an InvalidInput, never a traceback."""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.errors import InvalidInput

MAX_TEXT_LENGTH = 100
WHOLE_PATTERN = re.compile(r"\d{1,15}", re.ASCII)


def text(data: Mapping[str, object], name: str) -> str:
    """A short text: 1 to 100 printable characters."""
    value = data.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT_LENGTH:
        raise InvalidInput(f"'{name}' must be 1 to {MAX_TEXT_LENGTH} characters")
    if not value.isprintable():
        raise InvalidInput(f"'{name}' must be printable characters only")
    return value


def whole(data: Mapping[str, object], name: str) -> int:
    """A whole number, 0 or more: an int, or in a form its digits."""
    value = data.get(name)
    if isinstance(value, str) and WHOLE_PATTERN.fullmatch(value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise InvalidInput(f"'{name}' must be a whole number, 0 or more")
