"""PortOne's own library against a server that speaks its REST interface."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from app.errors import BadSignature, InvalidInput, ProviderUnavailable
from app.shop.order import Order
from app.store.payments.portone import PortOne, PortOneSettings
from tests.store.portone_server import (
    API_SECRET,
    STORE_ID,
    WEBHOOK_SECRET,
    PortOneServer,
    webhook,
)
from tests.store.selling import draft

ORDER = replace(draft("wish-1"), id=7, number="1-261122-0007")


@pytest.fixture(scope="module")
def server() -> Iterator[PortOneServer]:
    server = PortOneServer()
    yield server
    server.stop()


@pytest.fixture
def gateway(server: PortOneServer) -> PortOneServer:
    server.payments.clear()
    server.asked.clear()
    server.broken = None
    return server


def account(server: PortOneServer, **changes: object) -> PortOne:
    settings = PortOneSettings(STORE_ID, "channel-key-1", API_SECRET, WEBHOOK_SECRET, server.url)
    return PortOne(replace(settings, **changes))


@pytest.fixture(scope="module")
def portone(server: PortOneServer) -> PortOne:
    return account(server)


def test_the_payments_id_is_the_orders_number_and_a_secret(portone: PortOne) -> None:
    same_number: Order = replace(ORDER, idempotency_key="wish-2")

    assert portone.payment_id(ORDER).startswith("1-261122-0007-")
    assert portone.payment_id(ORDER) == portone.payment_id(ORDER)
    assert portone.payment_id(ORDER) != portone.payment_id(same_number)


def test_the_amount_is_told_beforehand(gateway: PortOneServer, portone: PortOne) -> None:
    portone.announce(ORDER)

    [(method, path, body)] = gateway.asked
    assert (method, path) == ("POST", f"/payments/{portone.payment_id(ORDER)}/pre-register")
    assert body == {"storeId": STORE_ID, "totalAmount": 6500, "currency": "KRW"}


def test_what_was_paid_is_told_with_its_amount(gateway: PortOneServer, portone: PortOne) -> None:
    gateway.pay(portone.payment_id(ORDER), 6500)

    told = portone.look(ORDER)

    assert told is not None
    assert (told.paid, told.amount_minor, told.currency) == (True, 6500, "KRW")
    assert (told.order_number, told.method, told.by) == (ORDER.number, "portone", "portone")
    assert (told.reference, told.event) == ("tx-1", "tx-1:paid")


@pytest.mark.parametrize(
    ("changes", "amount_minor", "currency"),
    [
        ({"amount": {"total": 6400, "paid": 6400}}, 6400, "KRW"),
        ({"amount": {"paid": 6000, "discount": 500}}, 6500, "KRW"),  # the card's own discount
        ({"amount": {"paid": 6000}}, 6000, "KRW"),  # nobody says where the rest is
        ({"currency": "USD"}, 6500, "USD"),
    ],
)
def test_what_was_paid_is_never_taken_for_more(
    gateway: PortOneServer,
    portone: PortOne,
    changes: dict[str, object],
    amount_minor: int,
    currency: str,
) -> None:
    gateway.pay(portone.payment_id(ORDER), 6500, **changes)

    told = portone.look(ORDER)

    assert told is not None
    assert (told.amount_minor, told.currency) == (amount_minor, currency)


def test_a_try_that_failed_says_why(gateway: PortOneServer, portone: PortOne) -> None:
    gateway.pay(portone.payment_id(ORDER), 6500, status="FAILED")

    told = portone.look(ORDER)

    assert told is not None
    assert (told.paid, told.reason) == (False, "한도 초과")


@pytest.mark.parametrize("status", ["READY", "PAY_PENDING", "CANCELLED"])
def test_what_is_not_decided_or_taken_back_is_nothing(
    gateway: PortOneServer, portone: PortOne, status: str
) -> None:
    more = {"cancellations": [], "cancelledAt": "2026-11-22T07:00:00Z"}
    gateway.pay(portone.payment_id(ORDER), 6500, status=status, **more)

    assert portone.look(ORDER) is None


def test_a_payment_that_nobody_began_is_nothing(gateway: PortOneServer, portone: PortOne) -> None:
    assert portone.look(ORDER) is None
    assert len(gateway.asked) == 1


def test_a_test_channels_payment_counts_only_where_it_is_allowed(
    gateway: PortOneServer, portone: PortOne
) -> None:
    gateway.pay(portone.payment_id(ORDER), 6500, channel={"type": "TEST"})

    assert portone.look(ORDER) is None
    assert account(gateway, test_channel=True).look(ORDER) is not None


def test_a_payment_goes_back_once(gateway: PortOneServer, portone: PortOne) -> None:
    payment_id = portone.payment_id(ORDER)
    gateway.pay(payment_id, 6500)

    portone.give_back(ORDER, "too late")
    portone.give_back(ORDER, "too late")

    assert gateway.payments[payment_id]["status"] == "CANCELLED"
    assert gateway.asked[0][2] == {"storeId": STORE_ID, "reason": "too late"}
    assert portone.look(ORDER) is None


@pytest.mark.parametrize("answer", [b"", b"<html>", b"{}", b'{"type": "SOMETHING_NEW"}'])
def test_an_answer_that_is_none_changes_nothing(
    gateway: PortOneServer, portone: PortOne, answer: bytes
) -> None:
    gateway.broken = answer
    for ask in (portone.look, portone.announce):
        with pytest.raises(ProviderUnavailable):
            ask(ORDER)


def test_a_wrong_secret_or_a_dead_server_changes_nothing(gateway: PortOneServer) -> None:
    for wrong in (account(gateway, api_secret="x"), account(gateway, api="http://127.0.0.1:9")):
        with pytest.raises(ProviderUnavailable):
            wrong.look(ORDER)


def test_the_webhook_names_its_order(portone: PortOne) -> None:
    body, headers = webhook(portone.payment_id(ORDER))

    assert portone.order_number_in(body, headers) == ORDER.number


@pytest.mark.parametrize("kind", ["BillingKey.Issued", "Something.New"])
def test_a_webhook_about_something_else_names_none(portone: PortOne, kind: str) -> None:
    body, headers = webhook("", kind)

    assert portone.order_number_in(body, headers) is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"key": b"another key"}, "bad_signature"),
        ({"age_s": 301}, "stale_message"),
        ({"age_s": -310}, "stale_message"),
    ],
)
def test_a_webhook_of_somebody_else_or_another_time_is_refused(
    portone: PortOne, changes: dict[str, object], code: str
) -> None:
    body, headers = webhook("1-1", **changes)  # type: ignore[arg-type]
    with pytest.raises(BadSignature) as refused:
        portone.order_number_in(body, headers)
    assert refused.value.code == code


def test_a_webhook_without_or_with_broken_headers_is_refused(portone: PortOne) -> None:
    body, headers = webhook("1-1")
    for broken in ({}, headers | {"webhook-timestamp": "now"}, headers | {"webhook-signature": ""}):
        with pytest.raises(BadSignature):
            portone.order_number_in(body, broken)


def test_bytes_that_are_no_text_are_refused(portone: PortOne) -> None:
    with pytest.raises(InvalidInput):
        portone.order_number_in(b"\xff", webhook("1-1")[1])
