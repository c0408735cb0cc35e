"""Price sheets as people and programs make them."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from openpyxl import Workbook

HEADER = ["key", "name_ko", "name_en", "price", "unit", "plu", "tax", "active"]
APPLE = ["apple", "사과", "Apple", 1500, "piece", "4131", "exempt", True]
PEAR = ["pear", "배", "Pear", 3500, "piece", "4408", "exempt", True]


def save(path: Path, *rows: list, header: list = HEADER) -> Path:
    """Write a sheet with a header and rows."""
    workbook = Workbook()
    for row in (header, *rows):
        workbook.active.append(row)
    workbook.save(path)
    return path


def apple_with(column: str, value: object) -> list:
    """Return the apple's row with one cell replaced."""
    row = list(APPLE)
    row[HEADER.index(column)] = value
    return row


def cell_of(column: str, row: int = 2) -> str:
    """Return a cell's address in a sheet with the usual header."""
    return f"{'ABCDEFGH'[HEADER.index(column)]}{row}"


def with_cached_result(path: Path, result: str) -> Path:
    """Give the one formula in a file the result that Excel would have stored beside it."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    text = parts[sheet].decode()
    text, found = re.subn(r"(</f>)<v\s*/>|(</f>)<v></v>", rf"</f><v>{result}</v>", text)
    assert found == 1, text
    parts[sheet] = text.encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path
