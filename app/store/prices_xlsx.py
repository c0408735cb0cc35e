"""The price sheet: the only place that reads Excel files.

A sheet is taken as a whole or not at all. A refused one leaves the last good prices in force.
"""

from __future__ import annotations

import io
import logging
import threading
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import openpyxl
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from app.errors import PriceSheetError
from app.shop.catalog import Catalog, Item
from app.shop.money import to_minor

CURRENCY = "KRW"
COLUMNS = ("key", "name_ko", "name_en", "price", "unit", "plu", "tax", "active")
UNITS = ("piece",)
TAXES = ("exempt", "standard")
TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
MAX_PRICE_MINOR = 100_000_000
MAX_TEXT_LENGTH = {"key": 64, "name_ko": 100, "name_en": 100}
MAX_FILE_BYTES = 5_000_000
MAX_UNPACKED_BYTES = 10_000_000  # a real sheet has some 100 kB; a zip bomb has gigabytes
MAX_ROWS = 1000

log = logging.getLogger("checkout.prices")


def read_price_sheet(path: Path) -> Catalog:
    """Read the first worksheet of an Excel file.

    The header row names the columns of ``COLUMNS``, in any order; further columns and empty rows
    are left out. An inactive row may lack a price (it is then 0 and never sold). Raises
    PriceSheetError with the cell's address where there is one.
    """
    data = _read_bytes(path)
    values, formulas = _first_sheet(data, computed=True), _first_sheet(data, computed=False)
    header = _header(values)
    if values.max_row > MAX_ROWS:
        raise PriceSheetError("delete all rows below the last item", f"A{values.max_row}")
    items: dict[str, Item] = {}
    for row_number in range(2, values.max_row + 1):
        row = _Row(values, formulas, header, row_number)
        if not row.is_empty():
            item = _item(row)
            _refuse_twins(row, item, items)
            items[item.key] = item
    if not items:
        raise PriceSheetError("there is no item in the sheet: add one row for each fruit", "A2")
    return Catalog(items, CURRENCY)


def _read_bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            limit = MAX_FILE_BYTES // 1_000_000
            raise PriceSheetError(f"{path.name} is over {limit} MB: keep pictures out of it")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise PriceSheetError(f"{path.name} is missing: put the price sheet back") from error
    except OSError as error:
        raise PriceSheetError(f"{path.name} cannot be read: {error.strerror}") from error


def _first_sheet(data: bytes, computed: bool) -> Worksheet:
    """Open the first worksheet, with the results of its formulas or with the formulas."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(part.file_size for part in archive.infolist()) > MAX_UNPACKED_BYTES:
                raise PriceSheetError("the file unpacks to far too much: save it anew in Excel")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of decorations that openpyxl does not keep
            workbook = openpyxl.load_workbook(io.BytesIO(data), data_only=computed)
        if workbook.worksheets:
            return workbook.worksheets[0]
    except PriceSheetError:
        raise
    except Exception as error:  # openpyxl raises whatever a broken file makes it stumble over
        raise PriceSheetError(
            "this is not a complete Excel file: save it as .xlsx, or wait until it is saved"
        ) from error
    raise PriceSheetError("the file has no worksheet: add one with the prices")


def _header(sheet: Worksheet) -> dict[str, int]:
    """Map each column's name to its number, from 1."""
    header: dict[str, int] = {}
    for number, cell in enumerate(sheet[1], start=1):
        name = str(cell.value or "").strip().lower()
        if name in header:
            raise PriceSheetError(f"there are two columns {name!r}", cell.coordinate)
        if name in COLUMNS:
            header[name] = number
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise PriceSheetError(f"the first row lacks the column {missing[0]!r}", "A1")
    return header


@dataclass(frozen=True, slots=True)
class _Row:
    """One row: its values by column name, and refusals that name the cell."""

    values: Worksheet
    formulas: Worksheet
    header: dict[str, int]
    number: int

    def is_empty(self) -> bool:
        return all(_blank(self.formulas.cell(self.number, n).value) for n in self.header.values())

    def value(self, column: str) -> object:
        """Return a cell's value, None when blank; refuses a formula that was never computed."""
        value = self.values.cell(self.number, self.header[column]).value
        written = self.formulas.cell(self.number, self.header[column])
        if value is None and written.data_type == "f":
            raise self.error(column, "the formula has no result yet: open in Excel and save once")
        if self.values.cell(self.number, self.header[column]).data_type == "e":
            raise self.error(column, f"the formula gives the error {value}: correct it")
        return None if _blank(value) else value

    def text(self, column: str) -> str:
        value = self.value(column)
        if value is None:
            raise self.error(column, f"{column} is empty")
        if not isinstance(value, str):
            raise self.error(column, f"{column} must be text, not {value}")
        text, limit = value.strip(), MAX_TEXT_LENGTH.get(column, 100)
        if len(text) > limit or not text.isprintable():
            raise self.error(column, f"{column} must be one line of at most {limit} characters")
        return text

    def choice(self, column: str, choices: tuple[str, ...]) -> str:
        chosen = self.text(column).lower()
        if chosen not in choices:
            raise self.error(column, f"{column} must be {' or '.join(choices)}, not {chosen!r}")
        return chosen

    def error(self, column: str, reason: str) -> PriceSheetError:
        return PriceSheetError(reason, f"{get_column_letter(self.header[column])}{self.number}")


def _blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _item(row: _Row) -> Item:
    key, active = row.text("key"), _active(row)
    return Item(
        key=key,
        name_ko=row.text("name_ko"),
        name_en=row.text("name_en"),
        price_minor=_price_minor(row, active),
        unit=row.choice("unit", UNITS),
        plu=_plu(row),
        tax=row.choice("tax", TAXES),
        active=active,
    )


def _active(row: _Row) -> bool:
    value = row.value("active")
    truth = TRUTHS.get(str(value).strip().lower()) if not isinstance(value, float) else None
    if truth is None:
        raise row.error("active", f"active must be TRUE or FALSE, not {value or 'empty'}")
    return truth


def _price_minor(row: _Row, active: bool) -> int:
    value = row.value("price")
    if value is None:
        if active:
            raise row.error("price", "the price is empty: type one, or set active to FALSE")
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise row.error(
            "price", f"the price must be a number, not {value!r}: type digits only, like 3500"
        )
    try:
        price_minor = to_minor(value, CURRENCY)
    except ValueError as error:
        raise row.error("price", f"the price cannot be used: {error}") from error
    if not 0 < price_minor <= MAX_PRICE_MINOR:
        raise row.error("price", f"the price must be from 1 to {MAX_PRICE_MINOR}, not {value}")
    return price_minor


def _plu(row: _Row) -> str:
    """Return the code as digits; a cell that Excel took for a number is as good as text."""
    value = row.value("plu")
    if value is None:
        return ""
    code = str(value).strip()
    if isinstance(value, float | bool) or not (
        code.isascii() and code.isdigit() and len(code) < 14
    ):
        raise row.error("plu", f"the PLU must be digits, not {value!r}")
    return code


def _refuse_twins(row: _Row, item: Item, items: dict[str, Item]) -> None:
    if item.key in items:
        raise row.error("key", f"{item.key!r} is in the sheet twice: remove one row")
    twin = next((other for other in items.values() if item.plu and other.plu == item.plu), None)
    if twin:
        raise row.error("plu", f"PLU {item.plu} is already the code of {twin.key!r}")


class PriceWatcher:
    """Keeps the catalog in step with the price sheet: a saved change is live within a second.

    catalog: the last good one, empty before the first. problem: why the sheet as it is now is not
    in force, else None. Both may be read from any thread.
    """

    def __init__(
        self, path: Path, on_catalog: Callable[[Catalog], None], interval_s: float = 0.5
    ) -> None:
        self.catalog = Catalog(currency=CURRENCY)
        self.problem: PriceSheetError | None = None
        self._path, self._on_catalog, self._interval_s = path, on_catalog, interval_s
        self._stamp: tuple[int, int, int] | None = None
        self._seen = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Read the sheet once, then watch it in a thread; a bad sheet does not stop the start."""
        if self._thread is None:
            self.check()
            self._thread = threading.Thread(target=self._run, name="prices", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def check(self) -> None:
        """Look at the file once, and take it over if it changed since the last look."""
        stamp = self._stat()
        if self._seen and stamp == self._stamp:
            return
        self._seen, self._stamp = True, stamp
        version = self.catalog.version
        try:
            catalog = read_price_sheet(self._path)
        except PriceSheetError as error:
            self._seen = not isinstance(error.__cause__, OSError)  # a locked file: soon again
            if str(error) != str(self.problem):
                log.warning("price_sheet_refused last_good_version=%d reason=%s", version, error)
            self.problem = error
            return
        except Exception:  # whatever a file brings: old prices must not hold without a word
            log.exception("price_sheet_failed")
            self.problem = PriceSheetError("this sheet cannot be used: the log says why")
            return
        self.problem = None
        self.catalog = replace(catalog, version=version + 1)
        log.info("price_sheet_read version=%d items=%d", version + 1, len(catalog.items))
        self._on_catalog(self.catalog)

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            try:
                self.check()
            except Exception:  # a watcher that dies would leave old prices without a word
                log.exception("price_sheet_failed")

    def _stat(self) -> tuple[int, int, int] | None:
        """Return what tells one saved file from the next, None when there is none."""
        with suppress(OSError):
            stat = self._path.stat()
            return stat.st_mtime_ns, stat.st_size, stat.st_ino
        return None
