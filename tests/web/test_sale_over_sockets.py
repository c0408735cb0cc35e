"""From a basket to a paid order, and every way in which it must not go wrong."""

import threading

import pytest

from tests.web.server import Screen, Server, Visitor, wait_until


@pytest.fixture
def clerk(shop: Server) -> Visitor:
    with Visitor(shop.url) as visitor:
        assert visitor.sign_in("clara").status_code == 303
        yield visitor


def fill(shop: Server, screen: Screen) -> None:
    shop.lay("apple", "orange")
    screen.sees({"camera:apple": 1, "camera:orange": 1})


def fill_by_hand(screen: Screen) -> None:
    assert screen.ask("add_item", {"key": "pear", "quantity": 2})["ok"]
    screen.sees({"manual:pear": 2})


def test_a_sale_waits_for_the_clerk_and_ends_when_the_counter_is_empty(
    shop: Server, screen: Screen, clerk: Visitor
) -> None:
    fill(shop, screen)
    total = screen.cart["total"]

    answer = screen.pay("sale-1")
    order = answer["order"]
    assert answer["ok"]
    assert (order["status"], order["total"]) == ("awaiting_payment", total)
    screen.becomes("awaiting_payment")
    assert order["number"] in clerk.get("/clerk").text

    assert clerk.post(f"/clerk/orders/{order['id']}/confirm", "/clerk").status_code == 303
    screen.becomes("paid")
    wait_until(lambda: screen.latest["order"]["status"] == "paid")
    assert f'data-order="number">{order["number"]}<' in clerk.get("/").text

    shop.lay()
    screen.becomes("open")
    screen.sees({})
    wait_until(lambda: screen.latest["order"]["status"] is None)


def test_a_basket_that_is_being_paid_cannot_be_changed(shop: Server, screen: Screen) -> None:
    fill_by_hand(screen)
    screen.pay("frozen-1")

    assert screen.ask("add_item", {"key": "pear", "quantity": 1})["code"] == "cart_frozen"
    assert screen.ask("remove_line", {"id": "manual:pear"})["code"] == "cart_frozen"


def test_cancelling_returns_to_the_basket(shop: Server, screen: Screen) -> None:
    fill(shop, screen)
    order = screen.pay("cancelled-1")["order"]

    assert screen.ask("cancel", {"order_id": order["id"]})["order"]["status"] == "cancelled"
    screen.becomes("open")
    screen.sees({"camera:apple": 1, "camera:orange": 1})


def test_a_basket_that_changed_is_not_paid(shop: Server, screen: Screen) -> None:
    fill_by_hand(screen)
    seen = screen.cart["version"]
    screen.ask("add_item", {"key": "melon", "quantity": 1})

    refused = screen.pay("conflict-1", version=seen)

    assert refused["code"] == "version_conflict"
    wait_until(lambda: screen.cart["version"] > seen)
    assert screen.cart["status"] == "open"


def test_an_empty_basket_is_not_paid(screen: Screen) -> None:
    assert screen.pay("empty-1")["code"] == "cart_empty"


def test_the_same_wish_sent_twice_makes_one_order(shop: Server, screen: Screen) -> None:
    fill_by_hand(screen)

    first, second = screen.pay("twice-1"), screen.pay("twice-1")

    assert first == second
    assert first["ok"]


def test_ten_screens_that_pay_at_once_make_one_order(shop: Server, screen: Screen) -> None:
    fill_by_hand(screen)
    version = screen.cart["version"]
    answers: list[dict[str, object]] = []
    screens = [Screen(shop.url, transports=["websocket"]) for _ in range(10)]
    wish = {"cart_version": version, "method": "clerk", "idempotency_key": "race-1"}
    payers = [
        threading.Thread(target=lambda one=one: answers.append(one.ask("pay", wish)))
        for one in screens
    ]
    for payer in payers:
        payer.start()
    for payer in payers:
        payer.join()
    for one in screens:
        one.close()

    assert len(answers) == 10
    assert len({answer["order"]["number"] for answer in answers}) == 1  # type: ignore[index]


def test_a_second_wish_for_the_same_basket_is_refused(shop: Server, screen: Screen) -> None:
    fill_by_hand(screen)
    version = screen.cart["version"]
    screen.pay("second-a", version)

    assert screen.pay("second-b", version)["code"] == "cart_frozen"


def test_a_paid_order_cannot_be_cancelled(shop: Server, screen: Screen, clerk: Visitor) -> None:
    fill(shop, screen)
    order = screen.pay("final-1")["order"]
    clerk.post(f"/clerk/orders/{order['id']}/confirm", "/clerk")

    refused = screen.ask("cancel", {"order_id": order["id"]})
    page = clerk.post(f"/clerk/orders/{order['id']}/cancel", "/clerk")

    assert refused["code"] == "illegal_transition"
    assert page.status_code == 409
    assert "already been finished" in page.text


def test_the_clerk_ends_a_sale_that_the_camera_cannot(
    shop: Server, screen: Screen, clerk: Visitor
) -> None:
    fill(shop, screen)
    order = screen.pay("clear-1")["order"]
    clerk.post(f"/clerk/orders/{order['id']}/confirm", "/clerk")
    screen.becomes("paid")
    assert "The counter is empty" in clerk.get("/clerk").text

    shop.lay("broken")
    wait_until(lambda: screen.latest["problem"]["code"] == "detector_down")
    clerk.post("/clerk/counter", "/clerk", order_id=order["id"] - 1)  # of an older page
    assert screen.cart["status"] == "paid"
    assert clerk.post("/clerk/counter", "/clerk", order_id=order["id"]).status_code == 303

    screen.becomes("open")
    assert screen.cart["lines"] == []  # what the camera saw last was sold
    assert "The counter is empty" not in clerk.get("/clerk").text


def test_a_call_shows_on_the_clerks_screen_until_answered(
    shop: Server, screen: Screen, clerk: Visitor
) -> None:
    screen.ask("call_staff", {})
    assert "asks for help" in clerk.get("/clerk").text

    clerk.post("/clerk/call", "/clerk")
    assert "asks for help" not in clerk.get("/clerk").text
