"""The database did what it was asked to, but nobody heard: nothing is paid or given back twice."""

import re
from datetime import timedelta

import pytest

from app.errors import StoreUnavailable
from app.shop.order import Order
from app.shop.payment import Proof
from app.web.parts import Parts
from tests.store.portone_server import webhook
from tests.web.server import signed_in

HUGE = "9" * 20


def waiting(parts: Parts, method: str = "cash", key: str = "first") -> Order:
    if not parts.checkout.snapshot().lines:
        parts.checkout.add_item("pear", 2)
    return parts.checkout.pay(parts.checkout.snapshot().version, method, key)


def deaf(parts: Parts, monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> None:
    """Let a method do its work once and then say that the database does not answer."""
    real = getattr(owner, name)

    def once(*args: object) -> None:
        monkeypatch.setattr(owner, name, real)
        real(*args)
        raise StoreUnavailable("The database does not answer.")

    monkeypatch.setattr(owner, name, once)


def form(html: str, *names: str) -> dict[str, str]:
    return {name: re.findall(rf'name="{name}" value="([^"]*)"', html)[0] for name in names}


def test_a_refund_whose_answer_got_lost_is_not_given_twice(parts, browser, monkeypatch):
    order = waiting(parts)
    browser.post(f"/clerk/orders/{order.id}/confirm", data={"method": "cash", "received": "10000"})
    page, wish = f"/clerk/orders/{order.id}", {"what": "lines", "quantity-0": "1", "reason": "bad"}
    hidden = form(browser.get(page).text, "idempotency_key", "refunds_seen")

    deaf(parts, monkeypatch, parts.orders, "refund")
    lost = browser.post(f"{page}/refund", data=wish | hidden)
    assert lost.status_code == 503
    again = browser.post(
        f"{page}/refund", data=wish | form(lost.text, "idempotency_key", "refunds_seen")
    )

    assert again.status_code == 303
    assert [refund.amount_minor for refund in parts.orders.refunds(order.id)] == [3500]


def test_a_payment_whose_answer_got_lost_is_not_begun_twice(parts, browser, monkeypatch):
    parts.checkout.add_item("pear", 2)
    version = parts.checkout.snapshot().version
    deaf(parts, monkeypatch, parts.orders, "create")
    codes = []
    for key in ("first", "second"):
        wish = {"cart_version": version, "method": "cash", "idempotency_key": key}
        codes.append(browser.post("/pay", data=wish).status_code)

    assert codes == [503, 409]
    assert [order.idempotency_key for order in parts.orders.awaiting()] == ["first"]


def test_money_that_went_back_unheard_is_no_longer_owed(parts, browser, gateway, monkeypatch):
    order = waiting(parts, "portone")
    parts.checkout.cancel(order.id)
    payment_id = parts.portone.portone.payment_id(order)
    gateway.pay(payment_id, order.total_minor)

    def hear() -> int:
        body, headers = webhook(payment_id)
        return browser.post("/payments/portone/webhook", data=body, headers=headers).status_code

    with monkeypatch.context() as broken:
        broken.setattr(parts.desk, "given_back", unavailable)
        assert hear() == 503
    assert gateway.payments[payment_id]["status"] == "CANCELLED"
    assert len(parts.desk.owed()) == 1

    assert hear() == 200
    assert parts.desk.owed() == []


def unavailable(*_: object) -> None:
    raise StoreUnavailable("The database does not answer.")


@pytest.mark.usefixtures("browser")
@pytest.mark.parametrize(("ends", "status"), [(False, "paid"), (True, "cancelled")])
def test_money_that_no_webhook_told_of_is_found(parts, gateway, ends, status):
    order = waiting(parts, "portone")
    gateway.pay(payment_id := parts.portone.portone.payment_id(order), order.total_minor)
    if ends:
        parts.checkout.cancel(order.id)

    parts.portone.look()

    assert parts.orders.get(order.id).status == status
    assert gateway.payments[payment_id]["status"] == ("CANCELLED" if ends else "PAID")
    assert parts.desk.owed() == []


@pytest.mark.usefixtures("browser")
def test_money_for_what_was_paid_in_cash_meanwhile_goes_back(parts, gateway):
    order = waiting(parts, "portone")
    parts.checkout.confirm(order.id, "kim", Proof(received_minor=10000), "cash")
    gateway.pay(payment_id := parts.portone.portone.payment_id(order), order.total_minor)

    parts.portone.look()

    assert gateway.payments[payment_id]["status"] == "CANCELLED"
    assert parts.orders.payment(order.id).method == "cash"


@pytest.mark.usefixtures("browser")
def test_an_order_that_portone_fails_on_keeps_no_other_from_being_asked_about(parts, gateway):
    first = waiting(parts, "portone")
    parts.checkout.cancel(first.id)
    gateway.pay(parts.portone.portone.payment_id(first), first.total_minor)
    second = waiting(parts, "portone", "second")
    gateway.pay(parts.portone.portone.payment_id(second), second.total_minor)
    gateway.refuses_to_cancel = True

    parts.portone.look()

    assert parts.orders.get(second.id).status == "paid"
    assert [told.order_number for told in parts.desk.owed()] == [first.number]
    gateway.refuses_to_cancel = False
    parts.portone.look()
    assert parts.desk.owed() == []


@pytest.mark.usefixtures("browser")
def test_an_order_that_ended_long_ago_is_asked_about_until_portone_answered_once(
    parts, gateway, monkeypatch
):
    order = waiting(parts, "portone")
    parts.checkout.cancel(order.id)
    monkeypatch.setattr("app.store.payments.portone_desk.ASKED_FOR", timedelta())

    def asked() -> int:
        before = len(gateway.asked)
        parts.portone.look()
        return len(gateway.asked) - before

    gateway.broken = b"the internet is away"
    assert [asked(), asked()] == [1, 1]
    gateway.broken = None
    assert [asked(), asked()] == [1, 0]


def test_who_comes_back_from_the_gateway_sees_that_it_is_paid(parts, browser, gateway):
    order = waiting(parts, "portone")
    assert browser.get("/payments/portone").status_code == 200
    gateway.pay(parts.portone.portone.payment_id(order), order.total_minor)

    assert browser.get("/payments/portone").status_code == 200  # opened once more: no harm
    back = browser.get("/payments/portone?paymentId=whatever")
    assert (back.status_code, back.headers["Location"]) == (303, "/")
    assert parts.checkout.snapshot().status == "paid"
    assert browser.get("/payments/portone").status_code == 303


def test_money_that_a_second_clerk_took_is_not_passed_over(parts, browser):
    order = waiting(parts)
    confirm = f"/clerk/orders/{order.id}/confirm"
    cash = {"method": "cash", "received": "10000"}
    card = {"method": "card", "approval_number": "APPR-1234"}
    assert browser.post(confirm, data=cash).status_code == 303
    assert browser.post(confirm, data=cash).status_code == 303  # a double click

    other = signed_in(browser.application.test_client(), "lee")
    for money in (cash, card):
        answer = other.post(confirm, data=money)
        assert answer.status_code == 400
        assert "Give this money back" in answer.text
    assert [paid.method for paid in parts.orders.payments(order.id)] == ["cash"]


@pytest.mark.parametrize(
    "path",
    [
        f"/payments/{HUGE}/check",
        f"/clerk/orders/{HUGE}/confirm",
        f"/clerk/orders/{HUGE}/cancel",
        f"/clerk/orders/{HUGE}/refund",
        f"/clerk/receipts/{HUGE}/print",
    ],
)
def test_an_order_of_a_huge_number_is_not_there(browser, path):
    wish = {"what": "all", "reason": "r", "idempotency_key": "k", "refunds_seen": "0"}
    assert browser.post(path, data=wish).status_code == 404


def test_a_line_of_a_huge_number_is_refused(parts, browser):
    order = waiting(parts)
    browser.post(f"/clerk/orders/{order.id}/confirm", data={"method": "cash", "received": "10000"})
    wish = {"what": "lines", "reason": "r", "idempotency_key": "k", "refunds_seen": "0"}
    wish["quantity-" + "9" * 5000] = "1"
    answer = browser.post(f"/clerk/orders/{order.id}/refund", data=wish)
    assert answer.status_code == 400
