"""Paying, as customers and clerks see it: every way, its waiting, its end."""

import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from playwright.sync_api import Browser, Page, expect

from app.store.payments.emv_qr import parsed, sealed
from tests.web.browsing import launched, opened, shoot_all_sizes, sign_in
from tests.web.paying import confirmed, journal, new_shop, screen_of, tell
from tests.web.server import Screen, Server, wait_until


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture
def screen(paying: Server) -> Iterator[Screen]:
    """A basket of two pears."""
    with screen_of(paying) as screen:
        assert screen.ask("add_item", {"key": "pear", "quantity": 2})["ok"]
        wait_until(lambda: screen.latest["lane"]["pay"]["allowed"])
        yield screen


@pytest.fixture
def page(browser: Browser, paying: Server, screen: Screen) -> Iterator[Page]:
    with opened(browser, paying.url) as page:
        expect(page.locator("#pay")).to_be_enabled()
        yield page


@pytest.fixture
def clerk(browser: Browser, paying: Server) -> Iterator[Page]:
    # Chromium reports every refusal as an error of the page.
    with opened(browser, paying.url + "/login", quiet=False) as clerk:
        sign_in(clerk, "clara")
        yield clerk


def choose(page: Page, way: str) -> None:
    page.get_by_role("radio", name=way).check(force=True)
    page.click("#pay")
    expect(page.locator("#waiting")).to_be_visible()


def read_code(page: Page) -> str:
    """Read the code on the screen as a telephone's camera would."""
    page.locator("#code").screenshot(path=(path := "artifacts/code.png"))
    picture = cv2.imread(path)
    assert picture is not None
    text, _, _ = cv2.QRCodeDetector().detectAndDecode(picture)
    return str(text)


def test_cash_is_entered_by_the_clerk_and_the_change_is_shown(page: Page, clerk: Page) -> None:
    shoot_all_sizes(page, "pay-1-choice")
    choose(page, "Cash")
    expect(page.locator("#waiting h2:visible")).to_have_text("Please give the cash to the clerk")
    expect(page.locator("#time")).to_be_hidden()
    shoot_all_sizes(page, "pay-2-cash")

    shoot_all_sizes(clerk, "pay-3-clerk-cash")
    clerk.get_by_label("Another amount").fill("1")
    clerk.get_by_role("button", name="Cash received").click()
    expect(clerk.locator("#alert")).to_have_text("The cash received is less than the total.")
    expect(page.locator("#waiting")).to_be_visible()
    clerk.get_by_role("button", name="₩50,000").click()

    expect(page.locator("#paid")).to_be_visible()
    expect(clerk.locator(".taken .change")).to_contain_text("₩")
    shoot_all_sizes(clerk, "pay-4-clerk-change")


def test_a_card_needs_the_terminals_approval_number(page: Page, clerk: Page) -> None:
    choose(page, "Card")
    expect(page.locator("#waiting h2:visible")).to_have_text("Please pay at the card terminal")
    shoot_all_sizes(page, "pay-5-card")
    clerk.get_by_label("Approval number").fill("3004 5678")
    clerk.get_by_label("Approval number").evaluate("field => field.form.noValidate = true")
    clerk.get_by_role("button", name="Card payment approved").click()
    expect(clerk.locator("#alert")).to_contain_text("Enter the approval number")

    clerk.get_by_label("Approval number").fill("30045678")
    clerk.keyboard.press("Enter")
    expect(page.locator("#paid")).to_be_visible()
    expect(clerk.locator(".taken")).to_contain_text("30045678")


def test_the_code_on_the_screen_says_what_the_order_says(
    paying: Server, page: Page, screen: Screen
) -> None:
    choose(page, "QR code")
    expect(page.locator("#code")).to_be_visible()
    wait_until(lambda: page.locator("#code").evaluate("code => code.complete"))
    shoot_all_sizes(page, "pay-6-code")
    order = screen.latest["order"]

    payload = read_code(page)

    fields = parsed(payload)
    assert sealed(fields[:-1]) == payload
    said = dict(fields)
    assert (said["53"], said["54"]) == ("410", str(order["total"]))
    assert parsed(said["62"]) == [("05", order["number"])]
    assert parsed(said["64"])[1] == ("01", "행복과일")
    assert tell(paying, confirmed(order, "evt-code")).json()["status"] == "paid"
    expect(page.locator("#paid")).to_be_visible()
    expect(page.get_by_role("radio", name="Cash")).to_be_checked()  # the next customer's


def test_time_is_shown_extended_and_ends_on_the_server_even_without_a_camera(
    tmp_path: Path, film: Path, browser: Browser
) -> None:
    server = new_shop(
        tmp_path, film, CHECKOUT_QR_SECONDS="15", CHECKOUT_CAMERA="http://127.0.0.1:9/none"
    )
    with screen_of(server) as screen, opened(browser, server.url) as page:
        screen.ask("add_item", {"key": "pear", "quantity": 1})
        choose(page, "QR code")
        expect(page.locator("#left")).to_have_text(re.compile(r"0:0\d"))
        expect(page.locator("#status")).to_contain_text("Less than 30 seconds left")
        page.get_by_role("button", name="More time").click()
        expect(page.locator("#left")).to_have_text(re.compile(r"0:1\d"))
        expect(page.locator("#status")).to_have_text("You have more time to pay.")

        expect(page.locator("#expired")).to_be_visible()
        expect(page.locator("#status")).to_contain_text("nothing was charged")
        expect(page.locator("#shopping")).to_be_visible()
        shoot_all_sizes(page, "pay-7-expired")
        order = screen.latest["order"]
        assert order["status"] == "expired"
        late = tell(server, confirmed(order))
        assert (late.status_code, late.json()["verdict"]) == (409, "late")
        choose(page, "Cash")
        expect(page.locator("#expired")).to_be_hidden()
    assert server.stop() == 0, server.log
    ends = [event for event in journal(server) if event.startswith(("order_e", "payment_"))]
    assert ends == ["order_extended", "order_expired", "payment_owed", "payment_failed"]


def test_the_way_to_pay_is_chosen_with_the_keyboard(page: Page) -> None:
    page.focus("input[value=cash]")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Card")).to_be_focused()
    expect(page.get_by_role("radio", name="Card")).to_be_checked()
    page.keyboard.press("Tab")
    expect(page.locator("#pay")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#waiting h2:visible")).to_have_text("Please pay at the card terminal")


def test_what_a_clerk_types_outlives_a_change_of_the_page(
    paying: Server, page: Page, clerk: Page
) -> None:
    choose(page, "Cash")
    field = clerk.get_by_label("Another amount")
    field.fill("1234")
    page.get_by_role("button", name="Call the clerk").click()
    expect(clerk.get_by_role("heading", name="asks for help")).to_be_visible()

    expect(field).to_have_value("1234")
    expect(field).to_be_focused()
    clerk.get_by_role("button", name="I am there").click()
