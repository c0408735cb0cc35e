"""Paying over the real server: codes, time, a provider's messages, cash and cards."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.web.paying import SECRET, confirmed, journal, screen_of, tell, wish
from tests.web.server import ROOT, Screen, Server, Visitor, field, wait_until

DOCS = ROOT / "docs" / "payments.md"


@pytest.fixture
def screen(paying: Server) -> Iterator[Screen]:
    with screen_of(paying) as screen:
        yield screen


@pytest.fixture
def clerk(paying: Server) -> Iterator[Visitor]:
    with Visitor(paying.url) as visitor:
        assert visitor.sign_in("clara").status_code == 303
        yield visitor


def test_a_code_is_there_for_the_order_that_waits_and_for_no_other(
    paying: Server, screen: Screen
) -> None:
    order = wish(screen, "qr")
    assert 170 <= order["left_s"] <= 180

    code = requests.get(paying.url + order["code_url"], timeout=10)
    assert (code.status_code, code.headers["Content-Type"]) == (200, "image/svg+xml")
    assert "<svg" in code.text
    assert "style" not in code.text
    other = requests.get(f"{paying.url}/payments/999/qr.svg", timeout=10)
    assert other.status_code == 404

    screen.ask("cancel", {"order_id": order["id"]})
    assert requests.get(paying.url + order["code_url"], timeout=10).status_code == 404


def test_a_code_is_shown_and_extended_without_javascript(paying: Server, screen: Screen) -> None:
    assert screen.ask("add_item", {"key": "pear", "quantity": 2})["ok"]
    wait_until(lambda: screen.latest["lane"]["pay"]["allowed"])
    with Visitor(paying.url) as plain:
        page = plain.get().text
        assert re.findall(r'type="radio" name="method" value="(\w+)"', page) == [
            "cash",
            "card",
            "qr",
        ]
        wish = {name: field(page, name) for name in ("cart_version", "idempotency_key")}
        assert plain.post("/pay", method="qr", **wish).status_code == 303
        waiting = plain.get().text
    code = re.search(
        r'<img class="code"[^>]* src="(/payments/\d+/qr.svg)"[^>]*alt="[^"]+">', waiting
    )
    assert code, waiting
    assert requests.get(paying.url + code[1], timeout=10).ok
    assert re.search(r'id="left"[^>]*>2:5\d<|id="left"[^>]*>3:00<', waiting)


@pytest.mark.parametrize("method", ["cash", "card", "clerk"])
def test_what_waits_for_a_clerk_has_no_code_and_no_end(screen: Screen, method: str) -> None:
    order = wish(screen, method)

    assert (order["method"], order["left_s"], order["code_url"]) == (method, None, None)
    refused = screen.ask("more_time", {"order_id": order["id"]})
    assert refused["code"] == "illegal_transition"


def test_a_way_that_the_shop_does_not_offer_is_refused(screen: Screen) -> None:
    asked = {"cart_version": 1, "method": "portone", "idempotency_key": "not-offered"}
    assert screen.ask("pay", asked)["code"] == "invalid_payment"


def test_more_time_is_told_to_every_screen(paying: Server, screen: Screen) -> None:
    order = wish(screen, "qr")
    with Screen(paying.url) as other:
        wait_until(lambda: "order" in other.latest)
        time.sleep(1.1)
        assert screen.ask("more_time", {"order_id": order["id"]})["order"]["left_s"] == 180
        wait_until(lambda: other.latest["order"]["left_s"] >= 179)
    with Visitor(paying.url) as plain:  # without JavaScript
        assert plain.post("/payments/extend", order_id=order["id"]).status_code == 303
        assert plain.post("/payments/extend", order_id=999).status_code == 404
    assert journal(paying).count("order_extended") == 2


def about_money(events: list[str]) -> list[str]:
    """Without what is noted of the basket, which nobody waits for."""
    return [event for event in events if event.startswith(("order_", "payment_"))]


def test_a_signed_message_pays_once(paying: Server, screen: Screen) -> None:
    order = wish(screen, "qr")

    first, again = (tell(paying, confirmed(order, "evt-once")) for _ in range(2))

    assert (first.status_code, first.json()["status"]) == (200, "paid")
    assert first.json()["repeated"] is False
    assert (again.status_code, again.json()["repeated"]) == (200, True)
    screen.becomes("paid")
    assert journal(paying).count("order_paid") == 1


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ({"secret": "another secret of thirty-two bytes"}, 401, "bad_signature"),
        ({"Checkout-Signature": ""}, 401, "bad_signature"),
        ({"age_s": 301}, 401, "stale_message"),
        ({"age_s": -301}, 401, "stale_message"),
    ],
)
def test_a_message_of_somebody_else_or_of_another_time_pays_nothing(
    paying: Server, screen: Screen, how: dict[str, Any], status: int, code: str
) -> None:
    order = wish(screen, "qr")
    before = about_money(journal(paying))

    answer = tell(paying, confirmed(order, "evt-forged"), **how)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert about_money(journal(paying)) == before
    assert screen.cart["status"] == "awaiting_payment"


@pytest.mark.parametrize("changes", [{"amount": 1}, {"currency": "USD"}])
def test_another_amount_or_currency_is_kept_and_pays_nothing(
    paying: Server, screen: Screen, changes: dict[str, Any]
) -> None:
    order = wish(screen, "qr")

    answer = tell(paying, confirmed(order, f"evt-{changes}", **changes))

    assert (answer.status_code, answer.json()["verdict"]) == (422, "differs")
    assert journal(paying)[-1] == "payment_failed"
    assert screen.cart["status"] == "awaiting_payment"


def test_money_for_an_unknown_order_is_in_the_journal(paying: Server) -> None:
    nobody = {"number": "1-261122-9999", "total": 1, "currency": "KRW"}
    answer = tell(paying, confirmed(nobody, "evt-unknown"))

    assert (answer.status_code, answer.json()["code"]) == (404, "order_not_found")
    wait_until(lambda: "payment_unclaimed" in journal(paying))


def test_what_no_order_could_take_is_on_the_clerks_screen_until_it_went_back(
    paying: Server, screen: Screen, clerk: Visitor
) -> None:
    order = wish(screen, "qr")
    tell(paying, confirmed(order, "evt-owed", amount=1234, reference="tx-owed"))
    tell(paying, confirmed(order, "evt-franc", amount=5, currency="CHF"))
    page = clerk.get("/clerk").text
    assert "Give back ₩1,234" in page
    assert "Give back 5 CHF" in page
    assert "tx-owed" in page

    assert clerk.post("/clerk/owed", "/clerk", event="evt-owed").status_code == 303

    page = clerk.get("/clerk").text
    assert "₩1,234" not in page
    assert "Give back 5 CHF" in page
    wait_until(lambda: journal(paying)[-1] == "payment_given_back")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"type": "payment.confirmed"}'])
def test_a_signed_body_that_is_none_is_refused(paying: Server, body: bytes) -> None:
    answer = tell(paying, body)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_a_body_without_end_is_refused(paying: Server) -> None:
    assert tell(paying, b" " * 20_000).status_code == 413


def test_the_example_in_the_documentation_works(paying: Server, screen: Screen) -> None:
    order = wish(screen, "qr")
    [example] = re.findall(r"```sh\n(.*?)```", DOCS.read_text(), re.DOTALL)
    given = {
        "ORDER": order["number"],
        "AMOUNT": str(order["total"]),
        "CHECKOUT_WEBHOOK_SECRET": SECRET,
        "CHECKOUT_URL": paying.url,
    }

    done = subprocess.run(
        ["sh", "-e", "-c", example],
        env=os.environ | given,
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert done.returncode == 0, done.stderr
    assert '"verdict":"paid"' in done.stdout.replace(" ", "")
    screen.becomes("paid")


@pytest.mark.parametrize("path", ["/payments/extend", "/payments/1/check"])
def test_only_providers_come_without_a_forms_token(paying: Server, path: str) -> None:
    assert requests.post(paying.url + path, timeout=10).status_code == 400


def test_a_shop_without_a_provider_takes_no_messages(shop: Server) -> None:
    for path in ("/payments/webhook", "/payments/portone/webhook"):
        assert requests.post(shop.url + path, b"{}", timeout=10).status_code == 404
    assert requests.get(shop.url + "/payments/portone", timeout=10).status_code == 404


@pytest.mark.parametrize(
    ("received", "says"),
    [
        ("", "Enter the amount of cash received"),
        ("6999", "less than the total"),
        ("ten", "Enter the amount of cash received"),
        ("7000.5", "Enter the amount of cash received"),
        ("-7000", "Enter the amount of cash received"),
        ("1,00", "Enter the amount of cash received"),
    ],
)
def test_cash_that_does_not_do_is_refused_with_one_sentence(
    screen: Screen, clerk: Visitor, received: str, says: str
) -> None:
    order = wish(screen, "cash")
    path = f"/clerk/orders/{order['id']}/confirm"

    answer = clerk.post(path, "/clerk", method="cash", received=received)

    assert answer.status_code == 400
    assert says in answer.text
    assert screen.cart["status"] == "awaiting_payment"


def test_cash_is_taken_and_the_change_is_shown(screen: Screen, clerk: Visitor) -> None:
    order = wish(screen, "cash")
    path = f"/clerk/orders/{order['id']}/confirm"

    answer = clerk.post(path, "/clerk", method="cash", received="10,000")

    assert answer.headers["Location"] == f"/clerk?taken={order['id']}"
    change = 10_000 - order["total"]
    assert f"₩{change:,}" in clerk.get(answer.headers["Location"]).text
    screen.becomes("paid")
    again = clerk.post(path, "/clerk", method="cash", received="50,000")
    assert f"₩{change:,}" in clerk.get(again.headers["Location"]).text  # as it was recorded


def test_a_customer_who_chose_a_card_may_pay_in_cash(screen: Screen, clerk: Visitor) -> None:
    order = wish(screen, "card")
    path = f"/clerk/orders/{order['id']}/confirm"

    refused = clerk.post(path, "/clerk", method="card", approval_number="no!")
    assert refused.status_code == 400
    assert "Enter the approval number" in refused.text
    assert clerk.post(path, "/clerk", method="bitcoin").status_code == 400
    clerk.post(path, "/clerk", method="cash", received="7000")

    screen.becomes("paid")


@pytest.mark.parametrize("taken", ["0", "999999", "x", "٣", "9" * 50])
def test_an_order_that_nobody_took_is_not_shown(clerk: Visitor, taken: str) -> None:
    assert clerk.get(f"/clerk?taken={taken}").status_code in (200, 404)
