import zipfile
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook
from openpyxl.chart import BarChart

from app.errors import PriceSheetError
from app.shop.catalog import Item
from app.store.prices_xlsx import MAX_FILE_BYTES, MAX_UNPACKED_BYTES, read_price_sheet
from tests.store.sheets import APPLE, HEADER, PEAR, apple_with, cell_of, save, with_cached_result

SHIPPED = Path(__file__).parents[2] / "prices.xlsx"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "prices.xlsx"


def refusal(path: Path) -> PriceSheetError:
    with pytest.raises(PriceSheetError) as refused:
        read_price_sheet(path)
    assert "\n" not in str(refused.value)
    return refused.value


# What is taken


def test_the_shipped_sheet_names_eleven_fruits_with_prices_and_codes():
    catalog = read_price_sheet(SHIPPED)
    assert list(catalog.items) == [
        "apple", "orange", "pear", "watermelon", "durian", "lemon", "grapes", "pineapple",
        "dragon_fruit", "oriental_melon", "melon",
    ]  # fmt: skip
    assert catalog.currency == "KRW"
    assert catalog.get("oriental_melon").name_ko == "참외"
    for item in catalog.sellable():
        assert 100 <= item.price_minor <= 100_000
        assert len(item.plu) == 4
        assert (item.unit, item.tax) == ("piece", "exempt")
    assert len(catalog.sellable()) == 11


def test_a_row_becomes_an_item(path):
    catalog = read_price_sheet(save(path, APPLE, PEAR))
    assert list(catalog.items) == ["apple", "pear"]
    assert catalog.get("apple") == Item("apple", "사과", "Apple", 1500, "piece", "4131", "exempt")


def test_columns_may_come_in_any_order_with_others_between(path):
    order = [7, 3, 0, 5, 1, 6, 2, 4]
    header = [f" {HEADER[n].title()} " for n in order] + ["note", None, "note"]
    row = [APPLE[n] for n in order] + ["from the south", None, 12]
    assert read_price_sheet(save(path, row, header=header)).get("apple").price_minor == 1500


def test_empty_rows_are_skipped(path):
    blank = [None, "  ", None, None, None, "", None, None]
    assert list(read_price_sheet(save(path, blank, APPLE, [], PEAR, blank)).items) == [
        "apple",
        "pear",
    ]


@pytest.mark.parametrize("active", [True, 1, "TRUE", "true", "yes", " Yes ", "1"])
def test_active_can_be_said_in_many_ways(path, active):
    assert read_price_sheet(save(path, apple_with("active", active))).get("apple").active


@pytest.mark.parametrize("inactive", [False, 0, "FALSE", "no", "0"])
def test_an_inactive_item_is_known_and_not_sold(path, inactive):
    catalog = read_price_sheet(save(path, apple_with("active", inactive)))
    assert catalog.get("apple") is None
    assert catalog.known("apple").name_ko == "사과"


def test_an_inactive_item_may_lack_a_price(path):
    row = apple_with("price", None)
    row[-1] = False
    assert read_price_sheet(save(path, row)).sellable() == []


@pytest.mark.parametrize(
    ("column", "value", "read"),
    [
        ("price", 1, 1),
        ("price", 1500.0, 1500),
        ("price", 100_000_000, 100_000_000),
        ("plu", 4131, "4131"),
        ("plu", "04131", "04131"),
        ("plu", None, ""),
        ("unit", "Piece ", "piece"),
        ("tax", "STANDARD", "standard"),
        ("name_ko", " 사과 ", "사과"),
    ],
)
def test_a_value_is_taken_as_it_is_meant(path, column, value, read):
    item = read_price_sheet(save(path, apple_with(column, value))).get("apple")
    assert getattr(item, "price_minor" if column == "price" else column) == read


def test_codes_may_be_lacking_in_many_rows(path):
    pear = [*PEAR[:5], None, *PEAR[6:]]
    assert len(read_price_sheet(save(path, apple_with("plu", None), pear)).items) == 2


# What is refused, with the cell


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("price", None, "empty"),
        ("price", "  ", "empty"),
        ("price", "3,500", "digits only"),
        ("price", "3500", "digits only"),
        ("price", "₩3500", "digits only"),
        ("price", "free", "digits only"),
        ("price", True, "must be a number"),
        ("price", datetime(2026, 11, 22), "must be a number"),
        ("price", 0, "from 1"),
        ("price", -1500, "from 1"),
        ("price", 100_000_001, "from 1"),
        ("price", 1e300, "from 1"),
        ("price", 1500.5, "digits after the point"),
        *((column, "#REF!", "error") for column in HEADER),
        ("key", 7, "must be text"),
        ("key", True, "must be text"),
        ("key", "k" * 65, "at most 64"),
        ("key", "ap\nple", "one line"),
        ("name_ko", None, "empty"),
        ("name_en", 1.5, "must be text"),
        ("name_en", "n" * 101, "at most 100"),
        ("unit", "kg", "piece"),
        ("unit", None, "empty"),
        ("tax", "free", "exempt or standard"),
        ("tax", None, "empty"),
        ("active", None, "TRUE or FALSE"),
        ("active", "maybe", "TRUE or FALSE"),
        ("active", 2, "TRUE or FALSE"),
        ("active", 0.5, "TRUE or FALSE"),
        ("plu", "41A1", "digits"),
        ("plu", 4131.5, "digits"),
        ("plu", True, "digits"),
        ("plu", -4131, "digits"),
        ("plu", "٤١٣١", "digits"),
        ("plu", "4" * 14, "digits"),
    ],
)
def test_a_wrong_cell_is_named(path, column, value, reason):
    error = refusal(save(path, apple_with(column, value)))
    assert error.cell == cell_of(column)
    assert str(error).startswith(f"{error.cell}: ")
    assert reason in error.reason


def test_a_row_without_a_key_is_named(path):
    error = refusal(save(path, APPLE, [None, "배"]))
    assert (error.cell, error.reason) == ("A3", "key is empty")


@pytest.mark.parametrize("key", ["apple", " apple "])
def test_a_key_that_comes_twice_is_refused(path, key):
    error = refusal(save(path, APPLE, [key, *PEAR[1:]]))
    assert error.cell == "A3"
    assert "twice" in error.reason


@pytest.mark.parametrize("plu", ["4131", 4131])
def test_a_code_that_comes_twice_is_refused(path, plu):
    error = refusal(save(path, APPLE, [*PEAR[:5], plu, *PEAR[6:]]))
    assert error.cell == "F3"
    assert "'apple'" in error.reason


@pytest.mark.parametrize("column", HEADER)
def test_a_missing_column_is_named(path, column):
    header = [name if name != column else "something else" for name in HEADER]
    assert repr(column) in refusal(save(path, APPLE, header=header)).reason


def test_a_column_that_comes_twice_is_refused(path):
    error = refusal(save(path, [*APPLE, 99], header=[*HEADER, "Price"]))
    assert error.cell == "I1"


@pytest.mark.parametrize("rows", [(), ([],), ([" "],)])
def test_a_sheet_without_items_is_refused(path, rows):
    assert "no item" in refusal(save(path, *rows)).reason


def test_an_empty_sheet_is_refused(path):
    Workbook().save(path)
    assert "lacks the column" in refusal(path).reason


def test_a_cell_far_below_is_refused_before_a_million_rows_are_read(path):
    workbook = Workbook()
    workbook.active.append(HEADER)
    workbook.active.append(APPLE)
    workbook.active.cell(1_000_000, 1, "x")
    workbook.save(path)
    error = refusal(path)
    assert error.cell == "A1000000"
    assert "delete all rows" in error.reason


# Formulas


@pytest.mark.parametrize("column", ["price", "name_ko", "active", "key"])
def test_a_formula_that_was_never_computed_is_refused_with_advice(path, column):
    error = refusal(save(path, apple_with(column, "=1000+500")))
    assert error.cell == cell_of(column)
    assert "open in Excel and save once" in error.reason


def test_a_formula_with_its_result_is_read(path):
    save(path, apple_with("price", "=1000+500"))
    assert read_price_sheet(with_cached_result(path, "1500")).get("apple").price_minor == 1500


@pytest.mark.parametrize("result", ["1500.5", "-1", "0", "1e400", "nan"])
def test_a_formula_s_result_is_checked_like_a_number(path, result):
    save(path, apple_with("price", "=1000+500"))
    refusal(with_cached_result(path, result))


def test_a_result_is_the_number_that_excel_shows(path):
    save(path, apple_with("price", "=0.1*3*10000"))
    sheet = with_cached_result(path, "3000.0000000000005")
    assert read_price_sheet(sheet).get("apple").price_minor == 3000


# Files that are none


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"key,price\napple,1500\n", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 100]
)
def test_a_file_that_is_no_workbook_is_refused(path, content):
    path.write_bytes(content)
    error = refusal(path)
    assert error.cell is None
    assert "not a complete Excel file" in error.reason


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_a_half_written_file_is_refused(path, part):
    whole = save(path, APPLE, PEAR).read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    assert "not a complete Excel file" in refusal(path).reason


@given(position=st.integers(0, 5000), byte=st.integers(0, 255))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_read_or_refused_and_never_breaks_the_reader(tmp_path, position, byte):
    path = tmp_path / "prices.xlsx"
    data = bytearray(save(path, APPLE, PEAR).read_bytes())
    data[position % len(data)] = byte
    path.write_bytes(bytes(data))
    with suppress(PriceSheetError):
        assert read_price_sheet(path).items


def test_a_zip_of_something_else_is_refused(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello.txt", "hello")
    assert "not a complete Excel file" in refusal(path).reason


def test_a_workbook_with_a_chart_only_is_refused(path):
    workbook = Workbook()
    workbook.create_chartsheet().add_chart(BarChart())
    workbook.remove(workbook.active)
    workbook.save(path)
    assert "no worksheet" in refusal(path).reason


def test_a_file_over_the_limit_is_refused_unread(path):
    path.write_bytes(b"0" * (MAX_FILE_BYTES + 1))
    assert "over 5 MB" in refusal(path).reason


def test_a_zip_bomb_is_refused_unpacked(path):
    save(path, APPLE)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/bomb.xml", b"0" * (MAX_UNPACKED_BYTES + 1))
    assert path.stat().st_size < 100_000
    assert "unpacks to far too much" in refusal(path).reason


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    assert "is missing" in refusal(tmp_path / "prices.xlsx").reason
    assert "cannot be read" in refusal(tmp_path).reason
