"""The owner's page on the real server: any days, with charts, tables and files."""

import csv
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
from openpyxl import load_workbook

from app.shop.period import today
from app.store.database import Database
from app.store.orders import SqlOrderStore
from tests.store.past import sell_at
from tests.store.selling import refund
from tests.web.server import Server, Visitor

MORNING = datetime(2023, 7, 8, 9, 30, tzinfo=UTC)
DAY = "from=2023-07-08&to=2023-07-08"


@pytest.fixture(scope="module")
def sold(running: Server) -> None:
    """Three sales of a day long ago, two kinds of mistakes among them."""
    database = Database(running.env["CHECKOUT_DATABASE_URL"])
    orders = SqlOrderStore(database)
    sell_at(orders, MORNING, {"apple": 2, "pear": 1})
    sell_at(orders, MORNING, {"apple": 1}, {"pear": 1}, method="card")
    sell_at(orders, MORNING + timedelta(hours=4), {"apple": 1}, {"apple": 1, "juice": 1})
    refund(orders, sell_at(orders, datetime.now(UTC), {"pear": 1}), None, "from owner")
    database.close()


@pytest.fixture
def owner(running: Server, sold: None) -> Iterator[Visitor]:
    with Visitor(running.url) as visitor:
        visitor.sign_in("otto")
        yield visitor


def words_of(html: str) -> str:
    """The page as it is read out: without marks, with single spaces."""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def test_a_day_is_shown_with_its_sums(owner):
    words = words_of(owner.get(f"/owner?{DAY}").text)
    for said in (
        "₩13,700 3 sales",
        "Average basket ₩4,567",
        "Tax-exempt ₩11,500",
        "Taxed ₩2,200",
        "09:00 2 ₩10,000",
        "13:00 1 ₩3,700",
        "Cash 2 ₩10,200",
        "Card 1 ₩3,500",
        "Pear 2 ₩7,000",
        "Pear 1 1",
        "Pear taken for Apple × 1",
    ):
        assert said in words
    assert "Sales by day" not in words


def test_a_chart_stands_beside_a_table_of_the_same_sums(owner):
    html = owner.get(f"/owner?{DAY}").text
    chart = re.search(r'<svg class="chart".*?</svg>', html, re.S)
    assert chart
    assert "<title>09:00: ₩10,000</title>" in chart[0]
    assert chart[0].count("<rect") == 5  # nine to thirteen o'clock
    assert re.search(r'role="img" aria-labelledby="(\S+)">\s*<title id="\1">', chart[0])
    assert not re.search(r"<style|\sstyle=|\son\w+=", html)


def test_several_days_are_shown_by_day_too(owner):
    words = words_of(owner.get("/owner?from=2023-07-07&to=2023-07-09").text)
    assert "Sales by day" in words
    assert "2023-07-07 0 ₩0" in words
    assert "2023-07-08 3 ₩13,700" in words


def test_today_is_shown_unless_asked_otherwise_with_its_refunds(owner):
    html = owner.get("/owner").text
    assert f'name="from" type="date" value="{today()}"' in html
    assert re.search(r"Refunds ₩[1-9]", words_of(html))
    assert "The price sheet is valid" in html


def test_days_without_sales_show_zeros_and_no_chart(owner):
    html = owner.get("/owner?from=2001-01-01&to=2001-01-02").text
    assert "₩0 0 sales" in words_of(html)
    assert '<svg class="chart"' not in html


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("from=2023-07-08&to=2023-07-07", "at most 366 days"),
        ("from=2020-01-01&to=2023-07-08", "at most 366 days"),
        ("from=1066-10-14&to=1066-10-14", "at most 366 days"),
        ("from=yesterday", "not understood"),
        ("to=2023-02-30", "not understood"),
    ],
)
@pytest.mark.parametrize("path", ["/owner", "/owner/sales.csv", "/owner/sales.xlsx"])
def test_days_that_are_no_period_are_refused_with_the_page_of_today(owner, path, query, says):
    answer = owner.get(f"{path}?{query}")
    assert answer.status_code == 400
    assert re.search(rf'role="alert">[^<]*{says}', answer.text) or says in answer.text


def test_the_sales_of_the_days_shown_are_taken_away_as_a_file(owner):
    html = owner.get(f"/owner?{DAY}").text
    links = re.findall(r'href="(/owner/sales\.[^"]+)"', html)
    assert len(links) == 2
    excel, comma = (owner.get(link.replace("&amp;", "&")) for link in links)
    rows = list(csv.DictReader(comma.content.decode("utf-8-sig").splitlines()))
    assert [(row["key"], row["amount"]) for row in rows] == [
        ("apple", "3000"),
        ("pear", "3500"),
        ("pear", "3500"),
        ("apple", "1500"),
        ("juice", "2200"),
    ]
    sheet = load_workbook(BytesIO(excel.content)).active
    assert [cell.value for cell in sheet["L"]][1:] == [int(row["amount"]) for row in rows]
    for answer, form in ((excel, "xlsx"), (comma, "csv")):
        name = f"sales-2023-07-08-2023-07-08.{form}"
        assert answer.headers["Content-Disposition"] == f"attachment; filename={name}"
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/owner", "/owner/sales.csv", "/owner/sales.xlsx"])
def test_only_the_owner_sees_the_sums(running, path):
    with Visitor(running.url) as visitor:
        assert visitor.get(path, allow_redirects=False).headers["Location"] == "/login"
        visitor.sign_in("clara")
        assert visitor.get(path).status_code == 403


def test_there_is_no_other_kind_of_file(owner):
    assert owner.get("/owner/sales.pdf").status_code == 404


def test_the_page_speaks_korean(owner):
    words = words_of(owner.get(f"/owner?{DAY}&lang=ko").text)
    for said in ("매출 13,700원", "시간대별 판매", "배 → 사과(으)로 잘못 인식"):
        assert said in words
