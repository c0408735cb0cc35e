"""A shop that offers every way to pay, and messages as its payment provider signs them."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from app.store.database import Database
from app.store.journal import Journal
from app.store.payments.messages import SIGNATURE_HEADER, TIME_HEADER, signature_of
from tests.web.server import Screen, Server, wait_until

SECRET = "a secret that only the provider and the tests know"
MERCHANT = {
    "CHECKOUT_MERCHANT_ACCOUNT": "29300012D156000000000510A93FO3230Q",
    "CHECKOUT_MERCHANT_NAME": "HAPPY FRUIT",
    "CHECKOUT_MERCHANT_CITY": "SEOUL",
    "CHECKOUT_MERCHANT_NAME_KO": "행복과일",
}


def new_shop(folder: Path, film: Path, **env: str) -> Server:
    server = Server(folder, film)
    server.env |= MERCHANT | {
        "CHECKOUT_PAYMENTS": "cash,card,qr",
        "CHECKOUT_WEBHOOK_SECRET": SECRET,
    }
    server.env |= env
    server.add_user("clara")
    return server.start()


@contextmanager
def screen_of(server: Server) -> Iterator[Screen]:
    """A screen with an empty basket, and no trace of the test afterwards."""
    with Screen(server.url, transports=["websocket"]) as screen:
        wait_until(lambda: {"cart", "lane", "order"} <= screen.latest.keys())
        screen.becomes("open")
        yield screen
        if screen.cart["status"] == "awaiting_payment":
            screen.ask("cancel", {"order_id": screen.latest["order"]["id"]})
        screen.becomes("open")
        for line in screen.quantities():
            screen.ask("remove_line", {"id": line})


def wish(screen: Screen, method: str) -> dict[str, Any]:
    """Ask to pay for two pears; the order that waits."""
    assert screen.ask("add_item", {"key": "pear", "quantity": 2})["ok"]
    # before its first picture a camera counts as lost, when fruit added by hand may be paid
    wait_until(lambda: screen.latest["lane"]["settled"] and screen.latest["lane"]["pay"]["allowed"])
    asked = {"cart_version": screen.cart["version"], "method": method}
    answer = screen.ask("pay", {**asked, "idempotency_key": f"{method}-{time.monotonic_ns()}"})
    assert answer["ok"], answer
    order: dict[str, Any] = answer["order"]
    wait_until(lambda: screen.latest["order"]["id"] == order["id"])
    return order


def journal(server: Server) -> list[str]:
    """The events of a shop's journal, in order; it must be sound."""
    database = Database(server.env["CHECKOUT_DATABASE_URL"])
    events = [record.event for record in Journal(database).records()]
    assert Journal(database).verify() is None
    database.close()
    return events


def confirmed(order: dict[str, Any], event: str = "evt-1", **changes: object) -> dict[str, Any]:
    """What a provider says when the money has come."""
    said = {
        "id": event,
        "type": "payment.confirmed",
        "order": order["number"],
        "amount": order["total"],
        "currency": order["currency"],
        "reference": f"tx-{event}",
    }
    return {**said, **changes}


def tell(
    server: Server, message: object, age_s: float = 0, secret: str = SECRET, **headers: str
) -> requests.Response:
    """Send a message, signed ``age_s`` ago."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    sent_at = str(int(time.time() - age_s))
    signed = {TIME_HEADER: sent_at, SIGNATURE_HEADER: signature_of(secret, sent_at, body)}
    return requests.post(
        f"{server.url}/payments/webhook", data=body, headers=signed | headers, timeout=10
    )
