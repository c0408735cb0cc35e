"""Fields of a JSON file that somebody else wrote: the right type, or a DataError naming them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from model.data.dataset import DataError, read_text


def read_json(path: Path) -> object:
    """A JSON file's content; DataError with line and column when it is none."""
    try:
        return json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{path}: not a JSON file that can be read ({error})") from error


def field(item: object, key: str, where: str) -> object:
    """A field of an object that must be there."""
    if not isinstance(item, dict) or key not in item:
        raise DataError(f"{where}: needs an object with '{key}'")
    return item[key]


def elements(item: object, key: str, where: str) -> Iterator[tuple[object, str]]:
    """The elements of a list in a field, each with what errors call it."""
    found = field(item, key, where)
    if not isinstance(found, list):
        raise DataError(f"{where}: '{key}' must be a list")
    return ((element, f"{where}: {key}[{number}]") for number, element in enumerate(found))


def text(item: object, key: str, where: str) -> str:
    """A field that must be text and not empty."""
    found = field(item, key, where)
    if not isinstance(found, str) or not found:
        raise DataError(f"{where}: '{key}' must be text, got {found!r}")
    return found


def number(item: object, key: str, where: str) -> float:
    """A field that must be a number."""
    return numbers({key: [field(item, key, where)]}, key, 1, where)[0]


def numbers(item: object, key: str, count: int, where: str) -> list[float]:
    """A field that must be a list of so many numbers."""
    found = field(item, key, where)
    if not isinstance(found, list) or len(found) != count or not all(map(_is_number, found)):
        raise DataError(f"{where}: '{key}' must be {count} number(s), got {found!r}")
    return [float(value) for value in found]


def size(item: object, width_key: str, height_key: str, where: str) -> tuple[int, int]:
    """Two fields that must be a picture's width and height in pixels."""
    found = number(item, width_key, where), number(item, height_key, where)
    if not all(value >= 1 and value.is_integer() for value in found):
        raise DataError(f"{where}: '{width_key}' and '{height_key}' must be pixels, got {found}")
    return int(found[0]), int(found[1])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
