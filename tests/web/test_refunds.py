"""The clerk finds an order and gives money back, with forms on the real server."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import requests

from app.shop.order import Order, OrderStatus
from app.store.database import Database
from app.store.journal import Journal
from app.store.orders import SqlOrderStore
from tests.store.past import order_at, sell_at
from tests.store.selling import at_once
from tests.web.server import Server, Visitor, field

APPLES, PEAR = 0, 1


@pytest.fixture
def orders(running: Server) -> Iterator[SqlOrderStore]:
    """The server's own database, from beside it."""
    database = Database(running.env["CHECKOUT_DATABASE_URL"])
    yield SqlOrderStore(database)
    assert Journal(database).verify() is None
    database.close()


@pytest.fixture
def order(orders: SqlOrderStore) -> Order:
    return sell_at(orders, datetime.now(UTC), {"apple": 2, "pear": 1})


@pytest.fixture
def clerk(running: Server) -> Iterator[Visitor]:
    with Visitor(running.url) as visitor:
        visitor.sign_in("clara")
        yield visitor


def address(order: Order) -> str:
    return f"/clerk/orders/{order.id}"


def ask(clerk: Visitor, order: Order, page: str | None = None, **fields: object):
    """Send the refund form of the order's page, as it was when the clerk saw it."""
    html = page or clerk.get(address(order)).text
    names = ("csrf_token", "idempotency_key", "refunds_seen")
    data = {name: field(html, name) for name in names} | {"reason": "bruised"} | fields
    url = f"{clerk.url}{address(order)}/refund"
    return clerk.session.post(url, data, allow_redirects=False, timeout=20)


def alert(answer: requests.Response) -> str:
    found = re.search(r'role="alert">([^<]*)</p>', answer.text)
    assert found
    return found[1]


def test_some_fruits_of_a_line_are_refunded(clerk, orders, order):
    answer = ask(clerk, order, **{"what": "lines", "quantity-0": 1, "quantity-1": 0})
    assert answer.status_code == 303
    (given,) = orders.refunds(order.id)
    assert (given.amount_minor, given.actor, given.reason) == (1500, "clara", "bruised")
    page = clerk.session.get(clerk.url + answer.headers["Location"], timeout=10).text
    assert "now give back ₩1,500" in page
    assert "Left of what was paid: ₩5,000" in page
    assert "1 left, each ₩1,500" in page


def test_all_that_is_left_is_refunded_exactly(clerk, orders, order):
    ask(clerk, order, **{"what": "lines", "quantity-0": 1})
    assert ask(clerk, order, what="all").status_code == 303
    assert [given.amount_minor for given in orders.refunds(order.id)] == [1500, 5000]
    assert orders.get(order.id).status is OrderStatus.REFUNDED
    page = clerk.get(address(order)).text
    assert "Give money back" not in page
    assert ">Refunded<" in page


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        ({"what": "lines", "quantity-0": 3}, 409, "more than was paid"),
        ({"what": "lines", "quantity-7": 1}, 409, "Choose how many"),
        ({"what": "lines", "quantity-0": 0}, 409, "Choose how many"),
        ({"what": "lines"}, 409, "Choose how many"),
        ({}, 409, "Choose how many"),
        ({"what": "lines", "quantity-0": "-1"}, 400, "not understood"),
        ({"what": "lines", "quantity-0": "many"}, 400, "not understood"),
        ({"what": "all", "reason": " "}, 409, "Give the reason"),
        ({"what": "all", "reason": "x" * 201}, 409, "Give the reason"),
        ({"what": "all", "reason": "a\nb"}, 400, "not understood"),
        ({"what": "all", "provider_reference": "x" * 101}, 400, "not understood"),
        ({"what": "all", "idempotency_key": ""}, 400, "not understood"),
        ({"what": "all", "refunds_seen": "1"}, 409, "in the meantime"),
        ({"what": "all", "refunds_seen": ""}, 400, "not understood"),
    ],
)
def test_a_refund_that_must_not_be_is_refused_in_a_sentence(
    clerk, orders, order, fields, status, says
):
    answer = ask(clerk, order, **fields)
    assert answer.status_code == status
    assert says in alert(answer)
    assert order.number in answer.text
    assert orders.refunds(order.id) == []


def test_a_double_click_refunds_once(clerk, orders, order):
    page = clerk.get(address(order)).text
    for _ in range(2):
        assert ask(clerk, order, page, **{"what": "lines", "quantity-0": 1}).status_code == 303
    assert [given.amount_minor for given in orders.refunds(order.id)] == [1500]


def test_two_clerks_at_once_refund_once(running, orders, order):
    """Each sees the untouched order and gives back one of its two apples."""
    clerks = [Visitor(running.url) for _ in range(4)]
    for clerk in clerks:
        clerk.sign_in("clara")
    pages = [clerk.get(address(order)).text for clerk in clerks]
    wish = {"what": "lines", "quantity-0": 1}
    answers = at_once(4, lambda n: ask(clerks[n], order, pages[n], **wish))
    assert Counter(answer.status_code for answer in answers) == {303: 1, 409: 3}
    refused = [alert(answer) for answer in answers if answer.status_code == 409]
    assert all("before you give money back" in sentence for sentence in refused)
    assert [given.amount_minor for given in orders.refunds(order.id)] == [1500]
    for clerk in clerks:
        clerk.session.close()


def test_a_refund_of_a_card_payment_keeps_the_number_of_its_cancellation(clerk, orders):
    order = sell_at(orders, datetime.now(UTC), {"apple": 1}, method="card")
    assert "Number of the cancellation" in clerk.get(address(order)).text
    ask(clerk, order, what="all", provider_reference=" C-4711 ")
    assert orders.refunds(order.id)[0].provider_reference == "C-4711"
    assert "C-4711" in clerk.get(address(order)).text


def test_cash_needs_no_number_to_go_back(clerk, order):
    assert "Number of the cancellation" not in clerk.get(address(order)).text


def test_an_unpaid_order_has_nothing_to_refund(clerk, orders):
    order = order_at(orders, datetime.now(UTC), {"apple": 1})
    page = clerk.get(address(order)).text
    assert "Waiting for payment" in page
    assert "Give money back" not in page
    sold = clerk.get(address(sell_at(orders, datetime.now(UTC), {"apple": 1}))).text
    assert ask(clerk, order, sold, what="all").status_code == 409
    assert orders.refunds(order.id) == []


def test_a_refund_is_in_the_journal(clerk, orders, order, running):
    ask(clerk, order, what="all", reason="it was =rotten=")
    records = running.command("journal", "export", "--lane", "9").stdout.splitlines()
    assert '"event":"order_refunded"' in records[-1]
    assert '"actor":"clara"' in records[-1]
    assert f'"order":"{order.number}"' in records[-1]
    assert '"reason":"it was =rotten="' in records[-1]


@pytest.mark.parametrize("before", ["", " "])
def test_an_order_is_found_by_its_number(clerk, order, before):
    answer = clerk.get("/clerk/orders", params={"find": before + order.number})
    assert answer.url == clerk.url + address(order)


def test_an_order_is_found_by_its_receipt(clerk, order):
    path = re.search(r'href="(/receipt/[^"]+)"', clerk.get(address(order)).text)
    assert path
    token = path[1].removeprefix("/receipt/")
    for words in (f"https://shop.example{path[1]}", f"{path[1]}/pdf", token):
        answer = clerk.get("/clerk/orders", params={"find": words})
        assert answer.url == clerk.url + address(order)


@pytest.mark.parametrize("words", ["1-991231-0001", "/receipt/forged.token", "?", "%", "x" * 100])
def test_an_order_that_is_not_there_is_not_found(clerk, words):
    answer = clerk.get("/clerk/orders", params={"find": words})
    assert answer.status_code == 404
    assert alert(answer) == "This order does not exist."


def test_the_orders_of_a_day_are_listed_newest_first_in_pages(clerk, orders):
    then = datetime(2024, 5, 6, 9, 0, tzinfo=UTC)
    made = [sell_at(orders, then + timedelta(minutes=n), {"apple": 1}) for n in range(52)]
    first = clerk.get("/clerk/orders?day=2024-05-06").text
    numbers = re.findall(r'class="go"[^>]*>([^<]+)<', first)
    assert numbers == [order.number for order in reversed(made[2:])]
    older = re.search(r'href="([^"]*before=\d+)"', first)
    assert older
    rest = clerk.get(older[1].replace("&amp;", "&")).text
    assert re.findall(r'class="go"[^>]*>([^<]+)<', rest) == [made[1].number, made[0].number]
    assert "before=" not in rest


def test_a_day_without_orders_says_so(clerk):
    assert "No orders on 2001-02-03." in clerk.get("/clerk/orders?day=2001-02-03").text


@pytest.mark.parametrize("query", ["day=today", "day=2026-13-01", "day=20260301", "before=x"])
def test_a_day_that_is_none_is_refused(clerk, query):
    answer = clerk.get(f"/clerk/orders?{query}")
    assert answer.status_code == 400
    assert "not understood" in answer.text


def test_an_order_that_does_not_exist_has_no_page(clerk):
    answer = clerk.get("/clerk/orders/987654321")
    assert answer.status_code == 404
    assert "This order does not exist." in answer.text


def test_strangers_see_no_orders_and_refund_none(running, orders, order):
    with Visitor(running.url) as stranger:
        for path in ("/clerk/orders", address(order)):
            answer = stranger.get(path, allow_redirects=False)
            assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
        answer = stranger.post(f"{address(order)}/refund", what="all", reason="mine")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
        assert stranger.get(f"{address(order)}/refund").status_code == 405
    assert orders.refunds(order.id) == []


def test_a_refund_from_elsewhere_is_refused(clerk, orders, order):
    page = clerk.get(address(order)).text
    assert ask(clerk, order, page, what="all", csrf_token="forged").status_code == 400
    assert orders.refunds(order.id) == []


def test_what_clerks_write_is_shown_as_text(clerk, order):
    ask(clerk, order, what="all", reason="<script>alert(1)</script>")
    assert "&lt;script&gt;alert(1)" in clerk.get(address(order)).text


def test_the_language_is_changed_on_the_page_of_an_order(clerk, order):
    changed = clerk.post("/language", address(order), language="ko", page=address(order))
    assert changed.headers["Location"] == address(order)
    assert "환불하기" in clerk.get(address(order)).text
