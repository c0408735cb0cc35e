"""The database did what it was asked to, but nobody heard: nothing is paid or given back twice."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app import create_app
from app.errors import StoreUnavailable
from app.payment_settings import PaymentSettings
from app.settings import Settings
from app.shop.order import Order
from app.store.payments.portone import PortOneSettings
from app.web.parts import Parts
from tests.shop.fakes import CATALOG
from tests.store.portone_server import (
    API_SECRET,
    STORE_ID,
    WEBHOOK_SECRET,
    PortOneServer,
    webhook,
)

PASSWORD = "correct horse battery"
HUGE = "9" * 20


@pytest.fixture
def gateway() -> Iterator[PortOneServer]:
    server = PortOneServer()
    yield server
    server.stop()


@pytest.fixture
def settings(tmp_path: Path, gateway: PortOneServer) -> Settings:
    portone = PortOneSettings(STORE_ID, "channel", API_SECRET, WEBHOOK_SECRET, gateway.url)
    return Settings(
        camera="demo",
        secret_key="k" * 16,
        database_url=f"sqlite:///{tmp_path / 'checkout.sqlite3'}",
        payments=PaymentSettings(offered=("cash", "card", "portone"), portone=portone),
        instance=tmp_path,
        language="en",
    )


@pytest.fixture
def parts(settings: Settings) -> Iterator[Parts]:
    parts = Parts(settings, load=no_detector)
    parts.checkout.replace_catalog(CATALOG)
    yield parts
    parts.notes.stop()
    parts.database.close()


def no_detector(*_: object, **__: object) -> None:
    raise RuntimeError("not needed")


@pytest.fixture
def browser(settings: Settings, parts: Parts) -> FlaskClient:
    app = create_app(settings, parts)
    app.config["WTF_CSRF_ENABLED"] = False
    for name in ("kim", "lee"):
        parts.users.add(name, PASSWORD, "clerk")
    return signed_in(app.test_client(), "kim")


def signed_in(browser: FlaskClient, name: str) -> FlaskClient:
    assert browser.post("/login", data={"name": name, "password": PASSWORD}).status_code == 303
    return browser


def waiting(parts: Parts, method: str = "cash") -> Order:
    parts.checkout.add_item("pear", 2)
    return parts.checkout.pay(parts.checkout.snapshot().version, method, f"wish {method}")


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
    payment_id = parts.portone.payment_id(order)
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


def test_money_that_a_second_clerk_took_is_not_passed_over(parts, browser):
    order = waiting(parts)
    confirm = f"/clerk/orders/{order.id}/confirm"
    cash, card = (
        {"method": "cash", "received": "10000"},
        {"method": "card", "approval_number": "APPR-1234"},
    )
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
        f"/payments/{HUGE}/extend",
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
