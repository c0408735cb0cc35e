"""What happens on the screens and to the camera is in the journal."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from app.store.database import Database
from app.store.journal import Journal
from tests.web.server import Screen, Server, Visitor, wait_until


@pytest.fixture
def clerk(shop: Server) -> Visitor:
    with Visitor(shop.url) as visitor:
        assert visitor.sign_in("clara").status_code == 303
        yield visitor


@contextmanager
def journal(shop: Server) -> Iterator[Journal]:
    """The journal of the running server, read past it."""
    database = Database(shop.env["CHECKOUT_DATABASE_URL"])
    yield Journal(database)
    database.close()


def records(shop: Server) -> list[dict[str, Any]]:
    with journal(shop) as walked:
        return [json.loads(record.exported()) for record in walked.records()]


def wait_for(shop: Server, known: int, *events: str) -> list[dict[str, Any]]:
    """The records after the first ``known``, once these events are among them in this order."""

    def found() -> list[dict[str, Any]]:
        new = records(shop)[known:]
        names = iter(record["event"] for record in new)
        return new if all(event in names for event in events) else []

    return wait_until(found)


def test_a_sale_by_hand_can_be_told_from_the_journal_alone(
    shop: Server, screen: Screen, clerk: Visitor
) -> None:
    known = len(records(shop))
    screen.ask("add_item", {"key": "pear", "quantity": 3})
    screen.ask("change_line", {"id": "manual:pear", "quantity": 2})
    screen.sees({"manual:pear": 2})
    wait_for(shop, known, "line_added", "line_changed")
    order = screen.pay("journal-1")["order"]
    clerk.post(f"/clerk/orders/{order['id']}/confirm", "/clerk")
    screen.becomes("paid")
    clerk.post("/clerk/counter", "/clerk", order_id=order["id"])
    clerk.post("/logout", "/clerk")
    new = wait_for(
        shop, known, "order_awaiting_payment", "order_paid", "counter_cleared", "signed_out"
    )
    by_event = {record["event"]: record for record in new}
    assert by_event["line_added"]["details"] == {"line": "manual:pear", "from": 0, "to": 3}
    assert by_event["order_awaiting_payment"]["details"]["order"] == order["number"]
    assert by_event["order_awaiting_payment"]["details"]["lines"][0]["source"] == "manual"
    assert by_event["order_paid"]["actor"] == by_event["signed_out"]["actor"] == "clara"
    assert by_event["order_paid"]["details"]["total_minor"] == order["total"]
    with journal(shop) as whole:
        assert whole.verify() is None


def test_the_journal_begins_with_the_prices_and_the_camera(shop: Server) -> None:
    first = wait_for(shop, 0, "prices_changed", "camera_back")
    prices = next(record for record in first if record["event"] == "prices_changed")
    assert prices["details"]["currency"] == "KRW"
    assert prices["details"]["prices"]["apple"] > 0


def test_who_signs_in_and_who_may_not_is_in_the_journal(shop: Server, clerk: Visitor) -> None:
    known = len(records(shop))
    with Visitor(shop.url) as stranger:
        stranger.post("/login", "/login", name="clara", password="wrong wrong wrong")
        stranger.sign_in("clara")
    refused, signed_in = wait_for(shop, known, "sign_in_refused", "signed_in")[:2]
    assert refused["details"] == {"address": "127.0.0.1"}
    assert (signed_in["actor"], signed_in["details"]) == ("clara", {"role": "clerk"})
