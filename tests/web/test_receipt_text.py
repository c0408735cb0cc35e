"""The words of a receipt, for orders of every kind."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from flask import Flask

from app import create_app
from app.errors import OrderNotFound
from app.receipt_settings import ReceiptSettings
from app.settings import Settings
from app.shop.order import OrderStatus
from app.shop.payment import Payment
from app.shop.receipt import Business, Receipt
from app.shop.refund import RefundRequest
from app.store.database import Database
from app.store.journal import Journal
from app.store.notes import Notes
from app.store.orders import SqlOrderStore
from app.store.receipt_paper import Pair, ReceiptText
from app.web.receipt_desk import ReceiptDesk
from app.web.receipt_text import receipt_text
from tests.shop.test_receipt import APPLE, JUICE, NOW, receipt, refunded
from tests.store.selling import draft, sell

SHOP = Business("싱싱 과일", "123-45-67890", "김과일", "서울", "02-1")


@pytest.fixture(autouse=True)
def app() -> Iterator[Flask]:
    app = create_app(Settings(secret_key="a key that only the tests know"))
    with app.app_context():
        yield app


def said(pairs: tuple[Pair, ...]) -> dict[str, str]:
    return {pair.left: pair.right for pair in pairs}


def english(sold: Receipt, business: Business = SHOP) -> ReceiptText:
    return receipt_text(sold, business, "en")


def paid_with(payment: Payment) -> dict[str, str]:
    return said(english(replace(receipt(APPLE), payment=payment)).payment)


def test_exempt_goods_are_marked_and_summed_apart() -> None:
    text = english(receipt(APPLE, JUICE))

    assert [line.name for line in text.lines] == ["* Apple", "Juice"]
    assert said(text.totals) == {
        "Goods without VAT": "₩4,500",
        "Taxed goods before VAT": "₩6,000",
        "VAT 10%": "₩600",
        "Total": "₩11,100",
    }
    assert text.notes == ("* no VAT on this fruit",)


def test_a_line_has_its_quantity_its_price_and_its_amount() -> None:
    line = receipt_text(receipt(APPLE), SHOP, "ko").lines[0]

    assert (line.name, line.count, line.amount) == ("* 사과", "3 × 1,500원", "4,500원")


def test_who_sells_stands_on_top_and_what_is_not_set_is_left_out() -> None:
    assert receipt_text(receipt(APPLE), SHOP, "ko").seller == (
        *("싱싱 과일", "사업자등록번호 123-45-67890", "대표자 김과일", "서울", "전화 02-1"),
    )
    assert english(receipt(APPLE), Business(phone="02-1")).seller == ("Telephone 02-1",)
    assert english(receipt(APPLE), Business()).seller == ()


def test_the_time_is_the_shops_and_utc() -> None:
    paid_at = datetime(2026, 12, 31, 23, 59, 58, tzinfo=timezone(timedelta(hours=9)))
    sold = receipt(APPLE)
    facts = said(english(replace(sold, order=replace(sold.order, paid_at=paid_at))).facts)

    assert facts["UTC"] == "2026-12-31 14:59:58"
    assert facts["Paid on"] == f"{paid_at.astimezone():%Y-%m-%d %H:%M:%S}"


@pytest.mark.parametrize(
    ("payment", "expected"),
    [
        (
            Payment("cash", 4500, "kim", NOW, received_minor=5000, change_minor=500),
            {"Paid by": "Cash", "Cash received": "₩5,000", "Change": "₩500"},
        ),
        (
            Payment("cash", 4500, "kim", NOW, received_minor=4500, change_minor=0),
            {"Paid by": "Cash", "Cash received": "₩4,500", "Change": "₩0"},
        ),
        (
            Payment("card", 4500, "kim", NOW, approval_number="30012345"),
            {"Paid by": "Card", "Approval number": "30012345"},
        ),
        (
            Payment("qr", 4500, "provider", NOW, provider_reference="tx-1"),
            {"Paid by": "QR code", "Payment number": "tx-1"},
        ),
        (Payment("tokens", 4500, "kim", NOW), {"Paid by": "tokens"}),
    ],
)
def test_how_it_was_paid(payment: Payment, expected: dict[str, str]) -> None:
    assert paid_with(payment) == expected


def test_each_refund_and_what_is_left_stand_below() -> None:
    sold = refunded(refunded(receipt(APPLE, JUICE), {0: 2}), {1: 1})
    first, second, left = map(said, english(sold).refunds)

    assert (first["Refund 1"], first["Apple × 2"]) == ("-₩3,000", "-₩3,000")
    assert (second["Refund 2"], second["Juice × 1"]) == ("-₩3,300", "-₩3,300")
    assert left == {
        "Goods without VAT": "₩1,500",
        "Taxed goods before VAT": "₩3,000",
        "VAT 10%": "₩300",
        "Total after refunds": "₩4,800",
    }


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (OrderStatus.PAID, None),
        (OrderStatus.PARTLY_REFUNDED, "partly refunded"),
        (OrderStatus.REFUNDED, "refunded"),
    ],
)
def test_a_refunded_order_says_so_on_top(status: OrderStatus, state: str | None) -> None:
    sold = receipt(APPLE)
    text = english(replace(sold, order=replace(sold.order, status=status)))

    assert said(text.facts).get("State") == state


def test_neither_the_clerk_nor_the_reason_of_a_refund_is_anywhere() -> None:
    text = str(english(refunded(receipt(APPLE), {0: 1})))

    assert "kim" not in text
    assert "bruised" not in text


def test_a_copy_says_that_it_is_one() -> None:
    titles = [
        receipt_text(receipt(APPLE), SHOP, language, copy=copy).title
        for language in ("ko", "en")
        for copy in (False, True)
    ]

    assert titles == ["영수증", "영수증 (재발행)", "Receipt", "Receipt (copy)"]


@pytest.fixture
def database(tmp_path: Path, migrated_file: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{shutil.copy(migrated_file, tmp_path)}")
    yield database
    database.close()


@pytest.fixture
def orders(database: Database) -> SqlOrderStore:
    return SqlOrderStore(database)


@pytest.fixture
def desk(orders: SqlOrderStore, database: Database) -> ReceiptDesk:
    notes = Notes(Journal(database), "1")
    return ReceiptDesk(ReceiptSettings(SHOP), orders, notes, changed=lambda: None)


def test_a_desk_reads_the_order_its_payment_and_its_refunds(
    desk: ReceiptDesk, orders: SqlOrderStore
) -> None:
    order = sell(orders)
    orders.refund(order.id or 0, RefundRequest("bruised", "r", {0: 1}), "kim")
    text = desk.text(order.id or 0, "en")

    assert said(text.facts)["Order number"] == order.number
    assert [line.count for line in text.lines] == ["2 × ₩1,500", "1 × ₩3,500"]
    assert said(text.refunds[-1])["Total after refunds"] == "₩5,000"


def test_there_is_no_receipt_of_an_order_that_nobody_paid(
    desk: ReceiptDesk, orders: SqlOrderStore
) -> None:
    waiting = orders.create(draft())

    with pytest.raises(OrderNotFound):
        desk.text(waiting.id or 0, "en")
    with pytest.raises(OrderNotFound):
        desk.text(99, "en")
    with pytest.raises(OrderNotFound):
        desk.print_again(waiting.id or 0, "kim")


def test_without_a_korean_font_the_paper_is_in_english_and_says_why(
    desk: ReceiptDesk, orders: SqlOrderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = sell(orders)
    monkeypatch.setattr("app.web.receipt_desk.korean_fonts", lambda: None)
    paper, screen = desk.paper_text(order.id or 0, "ko"), desk.text(order.id or 0, "ko")

    assert paper.title == "Receipt"
    assert "no Korean letters" in paper.notes[-1]
    assert [line.name for line in paper.lines] == ["* Apple", "* Pear"]
    assert screen.title == "영수증"


def test_a_shop_without_a_printer_owes_no_paper(desk: ReceiptDesk, orders: SqlOrderStore) -> None:
    order = sell(orders)
    desk.print_again(order.id or 0, "kim")
    desk.start()
    desk.stop()

    assert desk.printer_state() is None
    assert desk.owed() == 0
