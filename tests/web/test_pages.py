"""The pages as a browser without JavaScript, a program, or somebody with bad intentions asks."""

import re

import pytest
import requests

from tests.web.server import PASSWORD, Screen, Server, Visitor, field


@pytest.fixture
def visitor(shop: Server) -> Visitor:
    with Visitor(shop.url) as visitor:
        yield visitor


def test_fruit_is_added_changed_and_removed_with_forms_alone(
    visitor: Visitor, screen: Screen
) -> None:
    added = visitor.post("/items", key="pear", quantity=2)
    assert (added.status_code, added.headers["Location"]) == (303, "/")
    screen.sees({"manual:pear": 2})
    page = visitor.get().text
    assert re.search(r'data-field="name">Pear<', page)

    assert visitor.post("/lines", id="manual:pear", quantity=3).status_code == 303
    screen.sees({"manual:pear": 3})

    assert visitor.post("/lines", id="manual:pear", quantity=0).status_code == 303
    screen.sees({})


def test_a_sale_is_made_with_forms_alone(shop: Server, visitor: Visitor, screen: Screen) -> None:
    shop.lay("apple")
    screen.sees({"camera:apple": 1})
    page = visitor.get().text
    wish = {name: field(page, name) for name in ("cart_version", "method", "idempotency_key")}

    assert visitor.post("/pay", **wish).status_code == 303
    assert visitor.post("/pay", **wish).status_code == 303  # a double click
    waiting = visitor.get().text
    assert "Waiting for the clerk" in waiting

    assert visitor.post("/cancel", order_id=field(waiting, "order_id")).status_code == 303
    screen.becomes("open")


def test_paying_another_version_is_a_conflict_with_the_basket_as_it_is(
    visitor: Visitor, screen: Screen
) -> None:
    screen.ask("add_item", {"key": "pear", "quantity": 1})
    answer = visitor.post("/pay", cart_version=1, method="clerk", idempotency_key="old")

    assert answer.status_code == 409
    assert "The basket has changed" in answer.text
    assert 'data-field="name">Pear<' in answer.text


def test_a_program_is_refused_in_json(visitor: Visitor) -> None:
    visitor.session.headers["Accept"] = "application/json"
    answer = visitor.session.post(
        visitor.url + "/pay",
        {
            "csrf_token": visitor.token(),
            "cart_version": 1,
            "method": "clerk",
            "idempotency_key": "json-1",
        },
        timeout=10,
    )

    assert answer.status_code == 409
    assert answer.json()["code"] == "version_conflict"


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/items", {"key": "apple"}, 400),
        ("/items", {"key": "apple", "quantity": "many"}, 400),
        ("/items", {"key": "apple", "quantity": "0"}, 400),
        ("/items", {"key": "apple", "quantity": "٣"}, 400),
        ("/items", {"key": "spaceship", "quantity": "1"}, 400),
        ("/lines", {"id": "manual:kiwi", "quantity": "1"}, 404),
        ("/cancel", {"order_id": "999999"}, 404),
        ("/language", {"language": "tlh"}, 400),
        ("/pay", {}, 400),
    ],
)
def test_a_bad_form_gets_the_page_with_one_sentence(
    visitor: Visitor, path: str, fields: dict[str, str], status: int
) -> None:
    answer = visitor.post(path, **fields)

    assert answer.status_code == status
    assert re.search(r'role="alert">[^<]+[.…]</p>', answer.text)


@pytest.mark.parametrize("path", ["/items", "/lines", "/pay", "/cancel", "/call", "/login"])
def test_a_form_from_elsewhere_is_refused(visitor: Visitor, path: str) -> None:
    visitor.get()
    answer = visitor.session.post(visitor.url + path, {"key": "apple", "quantity": 1}, timeout=10)

    assert answer.status_code == 400
    assert "Reload it" in answer.text


@pytest.mark.parametrize("path", ["/items", "/lines", "/pay", "/cancel", "/logout", "/language"])
def test_nothing_changes_by_get(visitor: Visitor, path: str) -> None:
    assert visitor.get(path).status_code == 405


def test_the_language_is_chosen_for_this_browser(visitor: Visitor) -> None:
    assert 'lang="en"' in visitor.get().text

    assert visitor.post("/language", language="ko").status_code == 303
    korean = visitor.get().text

    assert 'lang="ko"' in korean
    assert "장바구니" in korean
    assert 'lang="en"' in visitor.get("/?lang=en").text


@pytest.mark.parametrize(
    ("page", "back"),
    [("/clerk", "/clerk"), ("/", "/"), ("//evil.example", "/"), ("https://evil.example", "/")],
)
def test_changing_the_language_returns_to_our_own_page(
    visitor: Visitor, page: str, back: str
) -> None:
    assert visitor.post("/language", language="ko", page=page).headers["Location"] == back


def test_every_page_carries_the_security_headers(visitor: Visitor) -> None:
    for path in ("/", "/login", "/healthz", "/no-such-page", "/static/checkout.css"):
        headers = visitor.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"


def test_pages_hold_no_inline_script_or_style(visitor: Visitor) -> None:
    for path in ("/", "/login"):
        page = visitor.get(path).text
        assert not re.search(r"<script(?![^>]*(src=|application/json))", page)
        assert not re.search(r"<style|\sstyle=|\son\w+=", page)


def test_a_page_that_does_not_exist_says_so(visitor: Visitor) -> None:
    answer = visitor.get("/no-such-page")

    assert answer.status_code == 404
    assert "There is no such page." in answer.text


@pytest.mark.parametrize("path", ["/clerk", "/owner"])
def test_strangers_are_sent_to_sign_in(visitor: Visitor, path: str) -> None:
    answer = visitor.get(path, allow_redirects=False)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")


@pytest.mark.parametrize(
    "path", ["/clerk/orders/1/confirm", "/clerk/orders/1/cancel", "/clerk/counter", "/clerk/call"]
)
def test_strangers_cannot_do_a_clerks_work(visitor: Visitor, path: str) -> None:
    answer = visitor.post(path)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")


def test_a_clerk_is_no_owner_but_an_owner_is_a_clerk(visitor: Visitor) -> None:
    assert visitor.sign_in("clara").headers["Location"] == "/clerk"
    assert visitor.get("/clerk").status_code == 200
    assert visitor.get("/owner").status_code == 403

    visitor.post("/logout", "/clerk")
    assert visitor.sign_in("otto").headers["Location"] == "/owner"
    assert visitor.get("/clerk").status_code == 200
    assert "The price sheet is valid" in visitor.get("/owner").text


def test_signing_out_ends_the_session(visitor: Visitor) -> None:
    visitor.sign_in("clara")
    assert visitor.post("/logout", "/clerk").status_code == 303

    assert visitor.get("/clerk", allow_redirects=False).status_code == 303


def test_the_session_cookie_is_kept_from_scripts_and_other_sites(visitor: Visitor) -> None:
    cookie = visitor.get("/login").headers["Set-Cookie"]

    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_a_wrong_password_and_an_unknown_name_read_the_same(visitor: Visitor) -> None:
    wrong = visitor.post("/login", "/login", name="clara", password="wrong password")
    unknown = visitor.post("/login", "/login", name="nobody", password=PASSWORD)

    assert wrong.status_code == unknown.status_code == 401
    assert "The name or the password is wrong." in wrong.text
    assert "The name or the password is wrong." in unknown.text


def test_health_says_which_part_is_ready(visitor: Visitor) -> None:
    assert visitor.get("/healthz").json() == {"ok": True}
    ready = visitor.get("/readyz")
    assert ready.status_code == 200, ready.text
    assert ready.json()["parts"].keys() == {"camera", "detector", "prices", "database"}
    assert all(part == {"ok": True, "reason": ""} for part in ready.json()["parts"].values())


def test_figures_are_for_this_machine_and_for_who_is_signed_in(visitor: Visitor) -> None:
    here = visitor.get("/metrics")
    assert here.status_code == 200
    for name in (
        "checkout_frames_captured_total",
        "checkout_frames_dropped_total",
        "checkout_detections_total",
        "checkout_detect_seconds_bucket",
        "checkout_capture_to_emit_seconds_bucket",
        "checkout_cart_version",
        "checkout_browsers",
        "checkout_camera_restarts_total",
        "checkout_price_sheet_valid 1.0",
    ):
        assert name in here.text
    proxied = {"X-Forwarded-For": "127.0.0.1"}
    assert visitor.get("/metrics", headers=proxied).status_code == 403
    visitor.sign_in("clara")
    assert visitor.get("/metrics", headers=proxied).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:1"])
def test_a_foreign_page_cannot_open_a_socket(shop: Server, origin: str) -> None:
    answer = requests.get(
        f"{shop.url}/socket.io/?EIO=4&transport=polling", headers={"Origin": origin}, timeout=10
    )

    assert answer.status_code == 400


def test_our_own_page_can_open_a_socket(shop: Server) -> None:
    answer = requests.get(
        f"{shop.url}/socket.io/?EIO=4&transport=polling", headers={"Origin": shop.url}, timeout=10
    )

    assert answer.status_code == 200
