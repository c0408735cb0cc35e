"""A real gunicorn and real Socket.IO clients."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.web.server import Screen, Server, Visitor, by_key, film_counter, wait_until


def test_pictures_with_boxes_arrive_as_long_as_they_are_shown(shop: Server, screen: Screen) -> None:
    before = screen.frames

    wait_until(lambda: screen.frames >= before + 10)

    frame = screen.latest["frame"]
    assert frame.keys() == {"seq", "captured_at", "jpeg"}
    picture = cv2.imdecode(np.frombuffer(frame["jpeg"], np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (540, 960, 3)


def test_the_basket_fills_and_empties_with_the_counter(shop: Server, screen: Screen) -> None:
    shop.lay("apple", "apple", "lemon")
    screen.sees({"camera:apple": 2, "camera:lemon": 1})

    lines = by_key(screen.cart["lines"])
    assert lines["apple"]["amount"] == 2 * lines["apple"]["unit_price"]
    assert screen.cart["total"] == sum(line["amount"] for line in lines.values())
    assert screen.cart["total_text"] == f"₩{screen.cart['total']:,}"
    assert screen.latest["lane"]["pay"] == {"allowed": True, "reason": None, "message": ""}

    shop.lay()
    screen.sees({})
    assert screen.latest["lane"]["pay"]["reason"] == "cart_empty"


def test_each_browser_reads_its_own_language(shop: Server, screen: Screen) -> None:
    shop.lay("apple")
    with Screen(shop.url, "ko") as korean:
        screen.sees({"camera:apple": 1})
        korean.sees({"camera:apple": 1})

        assert screen.cart["lines"][0]["name"] == "Apple"
        assert korean.cart["lines"][0]["name"] == "사과"
        assert korean.cart["total_text"].endswith("원")


def test_add_change_and_remove_answer_and_reach_every_screen(shop: Server, screen: Screen) -> None:
    with Screen(shop.url) as other:
        assert screen.ask("add_item", {"key": "pear", "quantity": 2})["ok"]
        other.sees({"manual:pear": 2})

        answer = screen.ask("change_line", {"id": "manual:pear", "quantity": 5})
        other.sees({"manual:pear": 5})
        assert answer == {"ok": True, "version": other.cart["version"]}

        stale = {"id": "manual:pear", "seen": 2}
        assert screen.ask("change_line", {**stale, "quantity": 3})["code"] == "version_conflict"
        assert screen.ask("remove_line", stale)["code"] == "version_conflict"
        assert screen.ask("change_line", {**stale, "quantity": 5})["ok"]  # sent again
        other.sees({"manual:pear": 5})

        assert screen.ask("remove_line", {"id": "manual:pear"})["ok"]
        other.sees({})


@pytest.mark.parametrize(
    ("event", "data", "code"),
    [
        ("add_item", {"key": "apple", "quantity": 0}, "invalid_quantity"),
        ("add_item", {"key": "apple", "quantity": 100}, "invalid_quantity"),
        ("add_item", {"key": "no_such_fruit", "quantity": 1}, "unknown_item"),
        ("change_line", {"id": "camera:apple", "quantity": 1}, "line_not_found"),
        ("remove_line", {"id": "manual:apple"}, "line_not_found"),
        ("remove_line", {"id": "manual:apple", "seen": "some"}, "bad_request"),
        ("cancel", {"order_id": 999999}, "order_not_found"),
        ("add_item", {"key": "apple"}, "bad_request"),
        ("add_item", {"key": "apple", "quantity": True}, "bad_request"),
        ("add_item", {"key": "apple", "quantity": -1}, "bad_request"),
        ("add_item", {"key": "apple", "quantity": 1.5}, "bad_request"),
        ("add_item", {"key": ["apple"], "quantity": 1}, "bad_request"),
        ("add_item", {"key": "a" * 101, "quantity": 1}, "bad_request"),
        ("add_item", {"key": "a\x00b", "quantity": 1}, "bad_request"),
        ("add_item", "apple", "bad_request"),
        ("add_item", [1, 2], "bad_request"),
        ("change_line", None, "bad_request"),
        ("pay", {"cart_version": "1; DROP TABLE", "method": "clerk"}, "bad_request"),
        ("frame_shown", {"seq": None}, "bad_request"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_code_and_a_sentence(
    screen: Screen, event: str, data: object, code: str
) -> None:
    answer = screen.ask(event, data)

    assert answer["ok"] is False
    assert answer["code"] == code
    assert answer["message"].strip()
    assert screen.quantities() == {}


def test_an_event_without_data_is_refused_too(shop: Server, screen: Screen) -> None:
    before = shop.log.count("Traceback")

    assert screen.ask("pay")["code"] == "bad_request"
    assert shop.log.count("Traceback") == before


def test_an_unpriced_fruit_asks_for_the_clerk_and_blocks_payment(
    shop: Server, screen: Screen
) -> None:
    shop.lay("apple", "mystery")
    screen.sees({"camera:apple": 1, "camera:mystery": 1})

    line = by_key(screen.cart["lines"])["mystery"]
    assert (line["unit_price"], line["amount"]) == (None, None)
    assert line["amount_text"] == "ask the clerk"
    assert screen.cart["unpriced"] == ["mystery"]
    assert screen.latest["lane"]["pay"]["reason"] == "unpriced"
    assert screen.pay("unpriced-1")["code"] == "unpriced"


def test_a_browser_that_comes_back_gets_the_whole_state(shop: Server, screen: Screen) -> None:
    shop.lay("apple")
    screen.sees({"camera:apple": 1})
    order = screen.pay("reconnect-1")["order"]

    with Screen(shop.url) as back:
        wait_until(lambda: set(Screen.events) <= back.latest.keys())
        assert back.cart == screen.cart
        assert back.cart["status"] == "awaiting_payment"
        assert back.latest["order"] == order
        assert back.latest["lane"]["camera"] == "ok"
        assert back.latest["problem"] == {"code": None, "message": ""}


def test_a_clerk_can_be_called(shop: Server, screen: Screen) -> None:
    assert screen.ask("call_staff", {}) == {"ok": True}
    assert screen.ask("call_staff") == {"ok": True}


def test_polling_browsers_are_served_beside_websockets(shop: Server, screen: Screen) -> None:
    with Screen(shop.url, transports=["polling"]) as poller:
        wait_until(lambda: poller.frames >= 10)
        assert poller.ask("add_item", {"key": "melon", "quantity": 1})["ok"]
        poller.sees({"manual:melon": 1})


def test_a_fruit_in_doubt_is_asked_about_and_the_answer_is_its_name(
    shop: Server, screen: Screen
) -> None:
    shop.lay("apple|pear", "orange")
    screen.sees({"camera:apple": 1, "camera:orange": 1})
    wait_until(lambda: len(screen.cart["unsure"]) == 1)
    [asked] = screen.cart["unsure"]
    assert asked["line"] == "camera:apple"
    assert [choice["name"] for choice in asked["choices"]] == ["Apple", "Pear"]
    assert screen.latest["lane"]["pay"]["reason"] == "unsure"

    other = screen.ask("name_fruit", {"fruit": asked["fruit"], "key": "melon"})
    nobody = screen.ask("name_fruit", {"fruit": asked["fruit"] + 99, "key": "pear"})
    assert (other["code"], nobody["code"]) == ("unknown_item", "line_not_found")

    assert screen.ask("name_fruit", {"fruit": asked["fruit"], "key": "pear"})["ok"]
    screen.sees({"camera:pear": 1, "camera:orange": 1})
    wait_until(lambda: screen.latest["lane"]["pay"]["allowed"])
    assert screen.cart["unsure"] == []


def test_a_fruit_can_be_named_without_a_script(shop: Server, screen: Screen) -> None:
    shop.lay("apple|pear")
    wait_until(lambda: screen.cart["unsure"] != [])
    visitor = Visitor(shop.url)
    assert "What is the fruit marked “<b" in visitor.get("/").text

    fruit = screen.cart["unsure"][0]["fruit"]
    assert visitor.post("/names", "/", fruit=fruit, key="pear").status_code == 303

    screen.sees({"camera:pear": 1})


def test_a_thing_that_is_not_recognised_holds_up_the_payment_until_somebody_answers(
    tmp_path: Path, own_server: Server
) -> None:
    film_counter(tmp_path / "thing.avi", seconds=60, thing_after_s=3)
    own_server.env["CHECKOUT_CAMERA"] = str(tmp_path / "thing.avi")
    own_server.start()
    own_server.lay("apple")
    with Screen(own_server.url) as screen:
        screen.sees({"camera:apple": 1})
        wait_until(lambda: screen.cart["unsure"] != [])
        [asked] = screen.cart["unsure"]
        assert (asked["line"], asked["choices"]) == (None, [])
        wait_until(lambda: screen.latest["lane"]["pay"]["reason"] == "not_recognised")

        assert screen.ask("name_fruit", {"fruit": asked["fruit"], "key": "nothing_missing"})["ok"]

        wait_until(lambda: screen.cart["unsure"] == [])
        wait_until(lambda: screen.latest["lane"]["pay"]["allowed"])
        assert screen.quantities() == {"camera:apple": 1}
