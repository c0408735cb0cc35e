"""PortOne through the real server, against a local one that speaks its REST interface."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Route, expect

from tests.store.portone_server import API_SECRET, STORE_ID, WEBHOOK_SECRET, PortOneServer, webhook
from tests.web.browsing import launched, opened, shoot_all_sizes
from tests.web.paying import journal, screen_of, wish
from tests.web.server import Screen, Server, Visitor, wait_until

# What the page asks of PortOne's own script; it cannot be had here, so this one takes note.
SCRIPT = """
const asked = document.createElement("pre");
asked.id = "asked";
asked.hidden = true;
document.querySelector("main").append(asked);
window.PortOne = { requestPayment: async (order) => {
  asked.textContent = JSON.stringify(order);
  return { code: "FAILURE", message: "The window was closed." };
} };
"""


@pytest.fixture(scope="module")
def gateway() -> Iterator[PortOneServer]:
    server = PortOneServer()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def paying(
    tmp_path_factory: pytest.TempPathFactory, film: Path, gateway: PortOneServer
) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("portone"), film)
    server.env |= {
        "CHECKOUT_PAYMENTS": "portone,cash",
        "CHECKOUT_PORTONE_STORE_ID": STORE_ID,
        "CHECKOUT_PORTONE_CHANNEL_KEY": "channel-key-1",
        "CHECKOUT_PORTONE_API_SECRET": API_SECRET,
        "CHECKOUT_PORTONE_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "CHECKOUT_PORTONE_API": gateway.url,
    }
    server.add_user("clara")
    server.start()
    yield server
    assert server.stop() == 0, server.log


@pytest.fixture
def screen(paying: Server, gateway: PortOneServer) -> Iterator[Screen]:
    gateway.broken = None
    gateway.asked.clear()
    with screen_of(paying) as screen:
        yield screen


@pytest.fixture
def visitor(paying: Server) -> Iterator[Visitor]:
    with Visitor(paying.url) as visitor:
        yield visitor


def open_window(visitor: Visitor, gateway: PortOneServer) -> str:
    """Open the page of the window; the payment's id, as PortOne was told it beforehand."""
    assert visitor.get("/payments/portone").status_code == 200
    path = next(path for method, path, _ in reversed(gateway.asked) if path.endswith("register"))
    return path.split("/")[2]


def send(server: Server, payment_id: str, **how: Any) -> requests.Response:
    body, headers = webhook(payment_id, **how)
    url = f"{server.url}/payments/portone/webhook"
    return requests.post(url, body, headers=headers, timeout=20)


def test_an_order_is_paid_when_portone_says_so(
    paying: Server, gateway: PortOneServer, screen: Screen, visitor: Visitor
) -> None:
    order = wish(screen, "portone")
    assert order["left_s"] > 590
    payment_id = open_window(visitor, gateway)
    check = f"/payments/{order['id']}/check"

    assert visitor.post(check).status_code == 303
    assert screen.cart["status"] == "awaiting_payment"  # nobody has paid yet
    gateway.pay(payment_id, order["total"])
    assert visitor.post(check).headers["Location"] == "/"

    screen.becomes("paid")
    assert visitor.post(check).headers["Location"] == "/"  # a webhook had been faster
    again = send(paying, payment_id).json()
    assert (again["verdict"], again["repeated"]) == ("paid", True)


def test_a_webhook_makes_the_server_ask(
    paying: Server, gateway: PortOneServer, screen: Screen, visitor: Visitor
) -> None:
    order = wish(screen, "portone")
    payment_id = open_window(visitor, gateway)

    assert send(paying, payment_id).json() == {"ok": True, "order": order["number"]}
    assert screen.cart["status"] == "awaiting_payment"  # the message alone pays nothing
    gateway.pay(payment_id, order["total"])
    assert send(paying, payment_id, key=b"of somebody else").status_code == 401
    assert send(paying, payment_id, age_s=400).status_code == 401
    assert screen.cart["status"] == "awaiting_payment"

    assert send(paying, payment_id).json()["status"] == "paid"
    screen.becomes("paid")


def test_another_amount_goes_back_and_pays_nothing(
    paying: Server, gateway: PortOneServer, screen: Screen, visitor: Visitor
) -> None:
    wish(screen, "portone")
    payment_id = open_window(visitor, gateway)
    gateway.pay(payment_id, 100)

    answer = send(paying, payment_id)

    assert (answer.status_code, answer.json()["verdict"]) == (200, "differs")
    assert gateway.payments[payment_id]["status"] == "CANCELLED"
    assert screen.cart["status"] == "awaiting_payment"
    wait_until(lambda: journal(paying)[-1] == "payment_given_back")


def test_money_that_comes_too_late_goes_back_even_at_the_second_try(
    paying: Server, gateway: PortOneServer, screen: Screen, visitor: Visitor
) -> None:
    order = wish(screen, "portone")
    payment_id = open_window(visitor, gateway)
    screen.ask("cancel", {"order_id": order["id"]})
    gateway.pay(payment_id, order["total"])

    gateway.broken = b"out of order"
    assert send(paying, payment_id).status_code == 503
    gateway.broken = None
    answer = send(paying, payment_id)

    assert (answer.status_code, answer.json()["verdict"]) == (200, "late")
    assert gateway.payments[payment_id]["status"] == "CANCELLED"


def test_a_webhook_about_something_else_is_thanked_for(paying: Server) -> None:
    answer = send(paying, "1-261122-9999-abc")

    assert (answer.status_code, answer.json()) == (200, {"ok": True, "order": None})


def test_a_gateway_that_is_away_is_said_in_one_sentence(
    gateway: PortOneServer, screen: Screen, visitor: Visitor
) -> None:
    order = wish(screen, "portone")
    gateway.broken = b"out of order"

    for answer in (
        visitor.get("/payments/portone"),
        visitor.post(f"/payments/{order['id']}/check"),
    ):
        assert answer.status_code == 503
        assert "The payment service does not answer." in answer.text
    assert screen.cart["status"] == "awaiting_payment"


def test_the_window_is_asked_for_this_order_and_its_amount(
    paying: Server, gateway: PortOneServer, screen: Screen
) -> None:
    order = wish(screen, "portone")

    def script(route: Route) -> None:
        route.fulfill(body=SCRIPT, content_type="text/javascript")

    with launched() as browser, opened(browser, paying.url) as page:
        page.route("https://cdn.portone.io/v2/browser-sdk.js", script)
        expect(page.locator("#waiting h2:visible")).to_have_text("Please pay in the payment window")
        shoot_all_sizes(page, "pay-8-portone")
        page.get_by_role("link", name="Open the payment window").click()
        expect(page.locator("#alert")).to_have_text("The window was closed.")
        asked = page.evaluate("JSON.parse(document.getElementById('asked').textContent)")
        shoot_all_sizes(page, "pay-9-portone-window")
        gateway.pay(asked["paymentId"], order["total"])
        page.get_by_role("button", name="I have paid").click()
        expect(page.locator("#paid")).to_be_visible()

    assert asked == {
        "storeId": STORE_ID,
        "channelKey": "channel-key-1",
        "paymentId": asked["paymentId"],
        "orderName": order["number"],
        "totalAmount": order["total"],
        "currency": "KRW",
        "payMethod": "CARD",
        "redirectUrl": f"{paying.url}/payments/portone",
    }
    assert asked["paymentId"].startswith(f"{order['number']}-")
