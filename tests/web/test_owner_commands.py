"""The commands about sales, in this process: `flask --app app sales …`."""

import csv
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result
from openpyxl import load_workbook

from app import create_app
from app.settings import Settings
from app.store.database import Database
from app.store.orders import SqlOrderStore
from tests.store.past import sell_at
from tests.store.selling import refund

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
DAYS = ("--from", "2026-03-01", "--to", "2026-03-02")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        database_url=f"sqlite:///{tmp_path / 'checkout.sqlite3'}",
        secret_key="a key that only the tests know",
        language="en",
    )


@pytest.fixture
def orders(settings: Settings):
    database = Database(settings.database_url)
    database.migrate()
    yield SqlOrderStore(database)
    database.close()


def run(settings: Settings, *arguments: str) -> Result:
    return create_app(settings).test_cli_runner().invoke(args=["sales", *arguments])


def test_a_report_says_what_was_sold_on_some_days(settings, orders):
    sell_at(orders, NOON, {"apple": 2, "pear": 1}, {"apple": 2, "pear": 2}, method="card")
    sell_at(orders, NOON, {"apple": 1}, {"juice": 1})
    refund(orders, sell_at(orders, datetime.now(UTC), {"apple": 1}), None)
    said = run(settings, "report", *DAYS).output
    for line in (
        "2026-03-01 to 2026-03-02, KRW",
        "takings ₩12,200",
        "  sales: 2 sold ₩12,200",
        "  average sale: ₩6,100",
        "  2026-03-02: 2 sold ₩12,200",
        "  card: 1 sold ₩10,000",
        "  standard: 1 sold ₩2,200",
        "  Pear (exempt): 2 sold ₩7,000",
        "  pear: 1 right, 1 missed, 0 too many",
        "  juice taken for apple: 1 orders",
    ):
        assert line in said.splitlines()


def test_without_days_today_is_reported_with_its_refunds(settings, orders):
    refund(orders, sell_at(orders, datetime.now(UTC), {"apple": 2}), {0: 1})
    said = run(settings, "report").output
    assert "  sales: 1 sold ₩3,000, 1 back ₩1,500" in said
    assert "takings ₩1,500" in said


def test_a_day_without_sales_is_reported_as_nothing(settings, orders):
    done = run(settings, "report", *DAYS)
    assert done.exit_code == 0
    assert "takings ₩0" in done.output


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_an_export_is_a_new_file_with_a_row_for_each_line(settings, orders, tmp_path, form):
    order = sell_at(orders, NOON, {"apple": 2, "pear": 1})
    out = tmp_path / f"march.{form}"
    done = run(settings, "export", *DAYS, "--format", form, "--out", str(out))
    assert (done.exit_code, done.output) == (0, f"2 rows in {out}\n")
    if form == "csv":
        rows = list(csv.DictReader(out.read_text("utf-8-sig").splitlines()))
        assert [(row["order"], row["key"]) for row in rows] == [
            (order.number, "apple"),
            (order.number, "pear"),
        ]
    else:
        sheet = load_workbook(out).active
        assert [cell.value for cell in sheet["G"]] == ["key", "apple", "pear"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("report", "--from", "2026-03-02", "--to", "2026-03-01"), "before the first"),
        (("report", "--from", "2024-01-01", "--to", "2026-03-01"), "at most 366"),
        (("report", "--from", "yesterday"), "yesterday"),
        (("report", "--from", "1815-06-18"), "2000"),
        (("export", *DAYS), "--out"),
        (("export", *DAYS, "--out", "{folder}"), "there already"),
        (("export", *DAYS, "--out", "{folder}/none/x.csv"), "cannot be written"),
        (("export", *DAYS, "--out", "{folder}/x", "--format", "pdf"), "pdf"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_line(settings, orders, tmp_path, arguments, says):
    done = run(settings, *(argument.format(folder=tmp_path) for argument in arguments))
    assert done.exit_code == 2
    assert says in done.output
    assert "Traceback" not in done.output


def test_an_export_never_writes_over_a_file(settings, orders, tmp_path):
    out = tmp_path / "sales.csv"
    out.write_text("last year's")
    assert run(settings, "export", "--out", str(out)).exit_code == 2
    assert out.read_text() == "last year's"


def test_an_export_that_fails_leaves_no_file(settings, orders, tmp_path, monkeypatch):
    monkeypatch.setattr("app.store.exports.XLSX_MAX_ROWS", 1)
    sell_at(orders, NOON, {"apple": 1})
    out = tmp_path / "sales.xlsx"
    done = run(settings, "export", *DAYS, "--format", "xlsx", "--out", str(out))
    assert (done.exit_code, "fewer days" in done.output) == (2, True)
    assert not out.exists()
