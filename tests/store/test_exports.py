"""Exports, read back by the programs' own readers; no cell is ever a formula."""

import csv
import io
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from app.errors import InvalidPeriod
from app.shop.catalog import Catalog
from app.shop.period import Period, today
from app.store import exports
from app.store.exports import HEADER, Row, exported, harmless, write_csv, write_xlsx
from tests.store.past import APPLE, CATALOG, DOLLARS, living_in, order_at, sell_at
from tests.store.selling import refund

NOON = datetime(2026, 3, 2, 12, 0, 30, 999, tzinfo=UTC)
MARCH = Period(date(2026, 3, 1), date(2026, 3, 31))
UNTIL_NOW = Period(today() - timedelta(days=365), today())
ROW = Row(
    *(date(2026, 3, 2), time(12, 0, 30), "2026-03-02T12:00:30+00:00", "sale", "9-260302-0001"),
    *("9", "apple", "사과", "Apple", 2, 1500, 3000, "KRW", "exempt", "cash", "camera", "kim", ""),
)


def rows_of(database, period=MARCH) -> list[Row]:
    with exported(database, period) as (count, rows):
        found = list(rows)
    assert count == len(found)
    return found


def as_csv(rows: list[Row]) -> list[list[str]]:
    file = io.BytesIO()
    write_csv(rows, file)
    return list(csv.reader(io.StringIO(file.getvalue().decode("utf-8-sig"), newline="")))


def as_sheet(rows: list[Row]):
    file = io.BytesIO()
    write_xlsx(rows, file)
    return load_workbook(file).active


def test_each_line_sold_is_a_row(database, orders):
    order = sell_at(orders, NOON, {"apple": 2}, {"apple": 2, "juice": 1})
    apples, juice = rows_of(database)
    assert apples == replace(ROW, order=order.number)
    assert (juice.key, juice.tax, juice.source, juice.amount) == (
        *("juice", "standard", "manual", 2200),
    )


def test_a_refund_is_a_row_with_less_than_nothing(database, orders):
    order = sell_at(orders, NOON, {"apple": 2}, method="card")
    refund(orders, order, {0: 1})
    sold, back = rows_of(database, UNTIL_NOW)
    assert (back.kind, back.quantity, back.amount, back.unit_price) == ("refund", -1, -1500, 1500)
    assert (back.order, back.method, back.by, back.reason) == (
        *(order.number, "card", "kim", "bruised"),
    )
    assert (back.day, sold.day) == (today(), date(2026, 3, 2))
    assert sold.amount + back.amount == order.total_minor - 1500


def test_rows_follow_each_other_in_time(database, orders):
    for days in (3, 1, 2):
        order = sell_at(orders, datetime.now(UTC) - timedelta(days=days), {"apple": 1, "pear": 1})
    refund(orders, order, None)
    sell_at(orders, datetime.now(UTC), {"juice": 1})
    moments = [(row.utc, row.key) for row in rows_of(database, UNTIL_NOW)]
    assert [key for _, key in moments] == [*["apple", "pear"] * 4, "juice"]
    assert [utc for utc, _ in moments] == sorted(utc for utc, _ in moments)


def test_nothing_unpaid_is_exported(database, orders):
    order_at(orders, NOON, {"apple": 1})
    assert rows_of(database) == []
    assert as_csv([]) == [HEADER]
    assert [cell.value for cell in as_sheet([])[1]] == HEADER


def test_amounts_are_whole_units_of_their_currency(database, orders):
    sell_at(orders, NOON, {"apple": 2}, catalog=DOLLARS)
    (row,) = rows_of(database)
    assert (str(row.unit_price), str(row.amount), row.currency) == ("15.00", "30.00", "USD")
    assert as_csv([row])[1][HEADER.index("amount")] == "30.00"
    assert as_sheet([row]).cell(2, HEADER.index("amount") + 1).value == 30


def test_days_and_times_are_those_of_the_shop(database, orders):
    sell_at(orders, datetime(2026, 3, 2, 20, 30, tzinfo=UTC), {"apple": 1})
    with living_in("Asia/Seoul"):
        (row,) = rows_of(database)
    assert (row.day, row.time) == (date(2026, 3, 3), time(5, 30))
    assert row.utc == "2026-03-02T20:30:00+00:00"


def test_a_sheet_holds_numbers_and_days_as_such():
    sheet = as_sheet([ROW])
    values = {name: sheet.cell(2, column) for column, name in enumerate(HEADER, start=1)}
    assert values["day"].value == datetime(2026, 3, 2)
    assert values["time"].value == time(12, 0, 30)
    assert [values[name].data_type for name in ("quantity", "amount", "name_ko")] == ["n", "n", "s"]
    assert values["name_ko"].value == "사과"


def test_a_file_of_comma_separated_values_says_that_it_is_unicode():
    file = io.BytesIO()
    write_csv([ROW], file)
    assert file.getvalue().startswith(b"\xef\xbb\xbfday,time,")
    assert file.getvalue().endswith(b"\r\n")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("사과", "사과"),
        ("", ""),
        ("3-2=1", "3-2=1"),
        ("=1+1", "'=1+1"),
        ("+82 2 123", "'+82 2 123"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("＝1+1", "'＝1+1"),
        ("  =1+1", "'  =1+1"),
        ("\t=1+1", "' =1+1"),
        ("\r=1+1", "' =1+1"),
        ("\n=1+1", "' =1+1"),
        ("\x00=1+1", "' =1+1"),
        ("\xa0@x", "'\xa0@x"),
        ("a\r\n=1+1", "a  =1+1"),
        ("a\u2028=1", "a =1"),
        ("'=1", "'=1"),
    ],
)
def test_a_text_that_could_be_a_formula_gets_an_apostrophe(text, written):
    assert harmless(text) == written


@settings(deadline=None, max_examples=50)
@given(st.text(st.characters(), max_size=30))
def test_no_text_is_ever_a_formula_and_all_can_be_written(text):
    row = replace(ROW, reason=text, name_en="=" + text)
    written = harmless(text)
    assert not written.lstrip().startswith(("=", "+", "-", "@", "\t", "\r", "\0"))
    assert as_csv([row])[1] == [str(value) for value in exports.cells(row)]
    sheet = as_sheet([row])
    assert [cell.data_type for cell in sheet[2] if cell.value is not None].count("f") == 0
    assert sheet.cell(2, HEADER.index("reason") + 1).value == (written or None)


def test_what_clerks_and_price_sheets_say_is_made_harmless(database, orders):
    wicked = replace(APPLE, name_ko="=cmd|' /C calc'!A0", name_en="@evil")
    catalog = Catalog({**CATALOG.items, "apple": wicked}, version=2)
    sell_at(orders, NOON, {"apple": 1}, catalog=catalog, lane="=9")
    (line,) = as_csv(rows_of(database))[1:]
    found = dict(zip(HEADER, line, strict=True))
    assert found["name_ko"] == "'=cmd|' /C calc'!A0"
    assert (found["name_en"], found["counter"]) == ("'@evil", "'=9")
    assert found["order"].startswith("'=9-260302-")


def test_more_than_a_sheet_holds_is_refused_before_it_is_lost(monkeypatch):
    monkeypatch.setattr(exports, "XLSX_MAX_ROWS", 3)
    write_xlsx([ROW] * 2, io.BytesIO())
    with pytest.raises(InvalidPeriod, match="fewer days"):
        write_xlsx([ROW] * 3, io.BytesIO())


def test_what_is_sold_while_an_export_runs_is_not_in_it(database, orders):
    for _ in range(3):
        sell_at(orders, NOON, {"apple": 1})
    with exported(database, MARCH) as (count, rows):
        first = next(rows)
        sell_at(orders, NOON, {"pear": 1})
        found = [first, *rows]
    assert (count, [row.key for row in found]) == (3, ["apple"] * 3)
    assert len(rows_of(database)) == 4
