"""Receipts of real sales: at their address, as PDF, on the paper of a printer in the network."""

import itertools
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
import requests

from app import create_app
from app.settings import Settings
from app.store.database import Database
from app.store.orders import SqlOrderStore
from app.store.receipt_paper import draw_picture
from app.store.receipts import receipt_of
from app.web.receipt_links import receipt_path, receipt_url
from app.web.receipt_text import receipt_text
from tests.store.paper import Printer, read_paper
from tests.web.server import Screen, Server, Visitor, wait_until

KEYS = itertools.count()
SELLER = {
    "CHECKOUT_BUSINESS_NAME": "싱싱 과일 가게",
    "CHECKOUT_BUSINESS_NUMBER": "123-45-67890",
    "CHECKOUT_BUSINESS_REPRESENTATIVE": "김과일",
    "CHECKOUT_BUSINESS_ADDRESS": "서울특별시 마포구 월드컵북로 123",
    "CHECKOUT_BUSINESS_PHONE": "02-123-4567",
}


class Till:
    """A shop with a printer, and what one needs to sell there and to look into its receipts."""

    def __init__(self, server: Server, printer: Printer) -> None:
        self.server, self.printer = server, printer
        self.settings = Settings.from_env(server.env)
        self.app = create_app(self.settings)

    def order(self) -> int:
        """An order that waits for its payment: two apples and a pear, added by hand."""
        with Screen(self.server.url) as screen:
            wait_until(lambda: screen.latest.get("lane", {}).get("settled"))
            screen.ask("add_item", {"key": "apple", "quantity": 2})
            screen.ask("add_item", {"key": "pear", "quantity": 1})
            screen.sees({"manual:apple": 2, "manual:pear": 1})
            version = screen.cart["version"]
            pay = {"cart_version": version, "method": "cash", "idempotency_key": f"{next(KEYS)}"}
            answer = screen.ask("pay", pay)
            return int(answer["order"]["id"])

    def sell(self) -> int:
        order_id = self.order()
        with Visitor(self.server.url) as clara:
            clara.sign_in("clara")
            path = f"/clerk/orders/{order_id}/confirm"
            paid = clara.post(path, "/clerk", method="cash", received="50000")
            assert paid.status_code == 303, paid.text
            clara.post("/clerk/counter", "/clerk")
        return order_id

    def path(self, order_id: int) -> str:
        with self.app.app_context():
            return receipt_path(order_id)

    def get(self, order_id: int, more: str = "") -> requests.Response:
        return requests.get(self.server.url + self.path(order_id) + more, timeout=10)

    def drawn(self, order_id: int, copy: bool) -> np.ndarray:
        """What should stand on the paper: True where it is black."""
        database = Database(self.settings.database_url)
        receipt = receipt_of(SqlOrderStore(database), order_id)
        database.close()
        with self.app.app_context():
            business, url = self.settings.receipts.business, receipt_url(order_id)
            text = receipt_text(receipt, business, "ko", url, copy)
        return ~np.asarray(draw_picture(text))

    def events(self) -> set[str]:
        """What is in the journal."""
        file = self.settings.database_url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(file)) as database:
            return {event for (event,) in database.execute("SELECT event FROM journal")}

    def printed(self, number: int) -> np.ndarray:
        """What stands on the paper of the receipt that was printed as ``number``, from 0."""
        wait_until(lambda: len(self.printer.receipts) > number)
        black, cuts = read_paper(self.printer.receipts[number])
        assert cuts == 1
        return black


@pytest.fixture(scope="module")
def running_till(tmp_path_factory: pytest.TempPathFactory, film: Path) -> Iterator[Till]:
    with Printer() as printer:
        server = Server(tmp_path_factory.mktemp("till"), film)
        server.env |= SELLER | {
            "CHECKOUT_LANGUAGE": "ko",
            "CHECKOUT_PAYMENTS": "cash,card",
            "CHECKOUT_PRINTER": printer.url,
            "CHECKOUT_PUBLIC_URL": "http://shop.example:8000",
        }
        server.add_user("clara")
        server.start()
        yield Till(server, printer)
        assert server.stop() == 0, server.log


@pytest.fixture
def till(running_till: Till) -> Till:
    running_till.printer.receipts.clear()
    return running_till


@pytest.fixture
def clara(till: Till) -> Iterator[Visitor]:
    with Visitor(till.server.url) as visitor:
        visitor.sign_in("clara")
        yield visitor


def test_each_sale_is_printed_once_dot_by_dot_as_it_was_drawn(till: Till) -> None:
    first, second = till.sell(), till.sell()

    assert np.array_equal(till.printed(0), till.drawn(first, copy=False))
    assert np.array_equal(till.printed(1), till.drawn(second, copy=False))
    assert len(till.printer.receipts) == 2


def test_a_receipt_that_is_printed_again_says_that_it_is_a_copy(till: Till, clara: Visitor) -> None:
    order_id = till.sell()
    original = till.printed(0)
    page = f"/clerk/orders/{order_id}"
    answer = clara.post(f"/clerk/receipts/{order_id}/print", page, page=page)

    assert (answer.status_code, answer.headers["Location"]) == (303, page)
    assert np.array_equal(till.printed(1), till.drawn(order_id, copy=True))
    assert not np.array_equal(till.printed(1), original)


def test_only_people_who_work_here_print_again(till: Till) -> None:
    order_id = till.sell()
    till.printed(0)
    with Visitor(till.server.url) as stranger:
        answer = stranger.post(f"/clerk/receipts/{order_id}/print")

    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert len(till.printer.receipts) == 1


def test_a_printer_that_hangs_holds_up_no_sale_and_the_clerk_prints_again(
    till: Till, clara: Visitor
) -> None:
    till.printer.deaf = True
    stuck = till.sell()
    started_s = time.monotonic()
    waiting = till.sell()
    sold_in_s = time.monotonic() - started_s
    wait_until(lambda: "오래 인쇄하고 있습니다" in clara.get("/clerk").text)

    till.printer.deaf = False
    till.printer.drop()
    till.printed(0)
    card = clara.get("/clerk").text
    assert "영수증 프린터를 확인해 주세요" in card
    assert f"/clerk/receipts/{stuck}/print" in card
    assert f"/clerk/receipts/{waiting}/print" not in card

    clara.post(f"/clerk/receipts/{stuck}/print", "/clerk")
    assert np.array_equal(till.printed(1), till.drawn(stuck, copy=True))
    wait_until(lambda: "영수증 프린터를 확인해 주세요" not in clara.get("/clerk").text)
    assert sold_in_s < 15  # the printer is given 20 s
    assert {"receipt_not_printed", "receipt_copied"} <= till.events()


def test_the_page_says_what_was_sold_and_names_nobody(till: Till) -> None:
    answer = till.get(till.sell(), "?lang=ko")
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", answer.text))

    for expected in (
        *SELLER.values(),
        *("영수증", "* 사과", "2 × 1,500원", "3,000원", "면세 물품 가액", "부가세 10%"),
        *("현금 받음 50,000원", "거스름돈", "UTC 20"),
    ):
        assert expected in page
    assert "clara" not in page
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Robots-Tag"] == "noindex"


def test_the_page_speaks_the_readers_language(till: Till) -> None:
    order_id = till.sell()

    assert "Order number" in till.get(order_id, "?lang=en").text
    assert "주문 번호" in till.get(order_id, "?lang=ko").text


def test_the_pdf_has_the_same_words(till: Till) -> None:
    order_id = till.sell()
    answer = till.get(order_id, "/pdf?lang=en")
    document = pypdfium2.PdfDocument(answer.content)
    words = document[0].get_textpage().get_text_bounded()
    document.close()

    assert answer.headers["Content-Type"] == "application/pdf"
    number = re.search(r"1-\d{6}-\d{4}", words)
    assert number is not None
    assert f"receipt-{number[0]}.pdf" in answer.headers["Content-Disposition"]
    for expected in ("싱싱 과일 가게", "* Apple", "2 × ₩1,500", "Change"):
        assert expected in words


def test_a_refund_is_on_the_receipt_without_the_clerks_reason(till: Till, clara: Visitor) -> None:
    order_id = till.sell()
    clara.post(
        f"/clerk/orders/{order_id}/refund",
        f"/clerk/orders/{order_id}",
        reason="the customer Hong was unhappy",
        what="lines",
        idempotency_key=f"refund-{order_id}",
        refunds_seen=0,
        **{"quantity-0": 1},
    )
    page = till.get(order_id, "?lang=en").text

    assert "partly refunded" in page
    assert "Refund 1" in page
    assert "-₩1,500" in page
    assert "Total after refunds" in page
    assert "Hong" not in page


def test_there_is_no_receipt_before_the_money(till: Till, clara: Visitor) -> None:
    order_id = till.order()
    answers = [till.get(order_id, more).status_code for more in ("", "/pdf")]
    clara.post(f"/clerk/orders/{order_id}/cancel", "/clerk")
    answers.append(till.get(order_id).status_code)
    with Screen(till.server.url) as screen:
        wait_until(lambda: "cart" in screen.latest)
        for line in screen.quantities():
            screen.ask("remove_line", {"id": line})

    assert answers == [404, 404, 404]


def test_nobody_guesses_the_address_of_a_receipt(till: Till) -> None:
    order_id = till.sell()
    path = till.path(order_id)
    token = path.removeprefix("/receipt/")
    other = Settings(secret_key="another key of another shop")
    with create_app(other).app_context():
        forged = receipt_path(order_id)
    last = "A" if token[-2] != "A" else "B"

    assert till.get(order_id).status_code == 200
    for wrong in (str(order_id), token[:-2] + last + token[-1], token[:5], forged[9:], "%00"):
        for more in ("", "/pdf", "/code.svg"):
            answer = requests.get(f"{till.server.url}/receipt/{wrong}{more}", timeout=10)
            assert answer.status_code == 404, wrong


def test_the_screen_is_told_where_the_receipt_is_only_once_paid(till: Till) -> None:
    with Screen(till.server.url) as screen:
        order_id = till.sell()
        wait_until(lambda: screen.cart["status"] == "open" and not screen.quantities())
        told = [data for event, data in list(screen.heard.queue) if event == "order"]

    for order in told:
        paid = order["status"] == "paid"
        path = till.path(order_id) if paid else None
        assert order["receipt"] == path
        assert order["receipt_code"] == (f"{path}/code.svg" if path else None)
    assert "paid" in [order["status"] for order in told]
