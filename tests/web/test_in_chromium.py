"""What people see and press, in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.store.sheets import PEAR, apple_with, save
from tests.web.browsing import SIZES, launched, opened, shoot, shoot_all_sizes, sign_in
from tests.web.server import Screen, Server, Visitor, film_counter, wait_until


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, shop: Server) -> Iterator[Page]:
    with opened(browser, shop.url) as page:
        yield page


def lines(page: Page) -> list[str]:
    return page.locator("#lines .line").evaluate_all("rows => rows.map(row => row.dataset.id)")


def test_the_live_picture_is_there_and_changes(page: Page) -> None:
    picture = page.locator("#picture")
    expect(picture).to_be_visible()
    # between two pictures the next one has no width yet
    wait_until(lambda: picture.evaluate("image => image.naturalWidth") == 960)

    sources = set()
    for _ in range(20):
        sources.add(picture.get_attribute("src"))
        page.wait_for_timeout(50)
    assert len(sources) > 5


def test_the_basket_fills_changes_and_empties_by_itself(shop: Server, page: Page) -> None:
    expect(page.locator("#empty")).to_be_visible()
    expect(page.locator("#pay")).to_be_disabled()

    shop.lay("apple", "apple", "lemon")
    expect(page.locator('[data-id="camera:apple"] .count')).to_have_text("2")
    expect(page.locator('[data-id="camera:lemon"] .count')).to_have_text("1")
    expect(page.locator("#pay")).to_be_enabled()
    expect(page.locator("#pay-reason")).to_be_empty()
    expect(page.locator("#status")).to_contain_text("3 fruits, total ₩")

    shop.lay("lemon")
    expect(page.locator('[data-id="camera:apple"]')).to_have_count(0)
    shop.lay()
    expect(page.locator("#empty")).to_be_visible()


def test_fruit_is_added_corrected_and_removed_by_hand(page: Page) -> None:
    page.click("#open-adder")
    page.click("#adder .tile[value=pear]")
    expect(page.locator("#adder")).to_be_hidden()
    count = page.locator('[data-id="manual:pear"] .count')
    expect(count).to_have_text("1")

    more = page.get_by_role("button", name="One more Pear")
    more.click()
    expect(count).to_have_text("2")
    expect(more).to_be_focused()
    page.get_by_role("button", name="One Pear less").click()
    expect(count).to_have_text("1")
    page.get_by_role("button", name="Remove Pear").click()
    expect(page.locator("#empty")).to_be_visible()


def test_a_double_tap_does_not_hit_what_moved_up_under_the_finger(page: Page) -> None:
    for key in ("apple", "pear"):
        page.click("#open-adder")
        page.dblclick(f"#adder .tile[value={key}]")
        expect(page.locator(f'[data-id="manual:{key}"] .count')).to_have_text("1")

    bins = page.locator("#lines .remove")
    box = bins.first.bounding_box()
    assert box
    at = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.click(*at)
    expect(bins).to_have_count(1)
    page.mouse.click(*at)
    page.wait_for_timeout(300)
    assert lines(page) == ["manual:pear"]
    page.wait_for_timeout(300)
    page.mouse.click(*at)
    expect(page.locator("#empty")).to_be_visible()


def test_a_key_that_is_held_down_takes_out_one_fruit(page: Page) -> None:
    for key in ("apple", "pear"):
        page.click("#open-adder")
        page.click(f"#adder .tile[value={key}]")
        expect(page.locator(f'[data-id="manual:{key}"]')).to_be_visible()
    page.get_by_role("button", name="Remove Apple").press("Enter")
    expect(page.locator("#lines .line")).to_have_count(1)
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    assert lines(page) == ["manual:pear"]


def test_a_fruit_in_doubt_is_named_by_a_tap(shop: Server, page: Page) -> None:
    shop.lay("apple|pear|lemon", "orange", "orange")
    asked = page.locator(".question")
    expect(asked).to_have_count(1)
    expect(asked).to_contain_text("What is the fruit marked “Apple?”")
    expect(page.locator("#pay-reason")).to_have_text("Please tap what the marked fruit is.")
    expect(page.locator("#pay")).to_be_disabled()
    expect(page.locator("#lines .line")).to_have_count(2)
    shoot_all_sizes(page, "unsure")
    for choice in asked.locator("button").all():
        box = choice.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 44

    asked.get_by_role("button", name="Pear").click()

    expect(asked).to_have_count(0)
    expect(page.locator('[data-id="camera:pear"] .count')).to_have_text("1")
    expect(page.locator('[data-id="camera:apple"]')).to_have_count(0)
    expect(page.locator("#pay")).to_be_enabled()


def test_a_sale_is_completed_with_the_clerk_on_another_screen(
    shop: Server, browser: Browser, page: Page
) -> None:
    shop.lay("apple", "orange")
    expect(page.locator("#lines .line")).to_have_count(2)
    total = page.locator("#total").text_content()
    page.click("#pay")
    expect(page.locator("#waiting")).to_be_visible()
    number = page.locator("#waiting [data-order=number]").text_content()
    assert number
    expect(page.locator("#waiting [data-order=total_text]")).to_have_text(total or "")

    with opened(browser, shop.url + "/login") as clerk:
        sign_in(clerk, "clara")
        order = clerk.locator(".order", has_text=number)
        expect(order).to_contain_text(total or "")
        order.get_by_role("button", name="Money received").click()
        expect(clerk.locator(".nothing")).to_be_visible()

    expect(page.locator("#paid")).to_be_visible()
    expect(page.locator("#paid [data-order=number]")).to_have_text(number)
    shop.lay()
    expect(page.locator("#shopping")).to_be_visible()
    expect(page.locator("#empty")).to_be_visible()


def test_paying_can_be_taken_back(shop: Server, page: Page) -> None:
    shop.lay("apple")
    page.click("#pay")
    page.click("#waiting [data-event=cancel] button")

    expect(page.locator("#shopping")).to_be_visible()
    assert lines(page) == ["camera:apple"]
    expect(page.locator("#pay")).to_be_enabled()


def test_the_clerk_sees_orders_and_calls_without_reloading(
    shop: Server, browser: Browser, page: Page
) -> None:
    with opened(browser, shop.url + "/login") as clerk:
        sign_in(clerk, "clara")
        expect(clerk.locator(".nothing")).to_be_visible()

        page.get_by_role("button", name="Call the clerk").click()
        expect(page.locator("#called")).to_be_visible()
        expect(clerk.locator(".call")).to_be_visible()
        clerk.locator(".call button").click()
        expect(clerk.locator(".call")).to_have_count(0)

        shop.lay("apple")
        page.click("#pay")
        expect(clerk.locator(".order")).to_have_count(1)
        clerk.get_by_role("button", name="Cancel the order").click()
    expect(page.locator("#shopping")).to_be_visible()


def test_everything_works_without_javascript(shop: Server, browser: Browser) -> None:
    with opened(browser, shop.url, java_script_enabled=False) as page:
        page.click("#open-adder")
        page.click("#adder .tile[value=pear]")
        expect(page.locator('[data-id="manual:pear"] .count')).to_have_text("1")
        page.get_by_role("button", name="One more Pear").click()
        expect(page.locator('[data-id="manual:pear"] .count')).to_have_text("2")
        page.click("#pay")
        expect(page.locator("#waiting")).to_be_visible()
        page.click("#waiting [data-event=cancel] button")
        page.get_by_role("button", name="Remove Pear").click()
        expect(page.locator("#empty")).to_be_visible()
        page.get_by_role("button", name="한국어").click()
        expect(page.locator("#basket-title")).to_have_text("장바구니")


def test_an_unpriced_fruit_says_ask_the_clerk(shop: Server, page: Page) -> None:
    shop.lay("apple", "mystery")

    line = page.locator('[data-id="camera:mystery"]')
    expect(line).to_contain_text("ask the clerk")
    expect(page.locator("#pay")).to_be_disabled()
    expect(page.locator("#pay-reason")).to_have_text("An item has no price. Please ask the clerk.")
    shoot(page, "unpriced-landscape-en")


def test_everything_can_be_reached_and_pressed_with_the_keyboard(page: Page) -> None:
    seen = []
    for _ in range(4):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.textContent.trim()"))
    assert seen[0] == "Add missed fruit"
    assert "Call the clerk" in seen

    page.focus("#open-adder")
    page.keyboard.press("Enter")
    expect(page.locator("#adder")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#adder")).to_be_hidden()
    expect(page.locator("#open-adder")).to_be_focused()


@pytest.mark.parametrize("size", SIZES)
def test_everything_to_press_is_at_least_44_pixels_large(
    shop: Server, browser: Browser, size: str
) -> None:
    with Screen(shop.url) as screen, opened(browser, shop.url, size) as page:
        screen.ask("add_item", {"key": "dragon_fruit", "quantity": 12})
        expect(page.locator("#lines .line")).to_have_count(1)
        for button in page.locator("button:visible, a:visible").all():
            box = button.bounding_box()
            assert box
            size_px = min(box["width"], box["height"])
            assert size_px >= 44, (button.text_content(), button.get_attribute("class"), box)


def test_a_lost_server_is_shown_and_found_again(own_server: Server, browser: Browser) -> None:
    own_server.start()
    with opened(browser, own_server.url, quiet=False) as page:
        expect(page.locator("#picture")).to_be_visible()
        own_server.stop()
        expect(page.locator("#connection-banner")).to_be_visible()
        expect(page.locator("#pay")).to_be_disabled()
        shoot(page, "offline-landscape-en")
        own_server.start()
        expect(page.locator("#connection-banner")).to_be_hidden(timeout=15_000)
        own_server.lay("apple")
        expect(page.locator("#lines .line")).to_have_count(1)


def test_a_tap_while_the_server_is_away_does_not_lose_the_page(
    own_server: Server, browser: Browser
) -> None:
    own_server.start()
    with opened(browser, own_server.url, quiet=False) as page:
        page.wait_for_selector("#empty")
        expect(page.locator("#connection-banner")).to_be_hidden()
        own_server.stop()
        expect(page.locator("#connection-banner")).to_be_visible()
        for button in ("Call the clerk", "한국어"):
            page.get_by_role("button", name=button).click()
            expect(page.locator("#alert")).to_have_text("That did not arrive. Please try again.")
            page.locator("#alert").evaluate("alert => { alert.textContent = ''; }")
        own_server.start()
        expect(page.locator("#connection-banner")).to_be_hidden()
        page.get_by_role("button", name="한국어").click()
        expect(page.locator("#basket-title")).to_have_text("장바구니")


def test_what_can_be_added_has_the_price_of_now(
    own_server: Server, browser: Browser, tmp_path: Path
) -> None:
    prices = save(tmp_path / "prices.xlsx", apple_with("price", 1500), PEAR)
    own_server.env["CHECKOUT_PRICES"] = str(prices)
    own_server.start()
    with opened(browser, own_server.url) as page, Visitor(own_server.url) as visitor:
        page.wait_for_selector("#empty")
        save(prices, apple_with("price", 9900))
        tile = page.locator("#adder .tile[value=apple] .price")
        wait_until(lambda: "9,900" in visitor.get().text)
        page.click("#open-adder")
        expect(tile).to_have_text("₩9,900")
        expect(page.locator("#adder .tile")).to_have_count(1)
        page.click("#adder .tile[value=apple]")
        expect(page.locator('[data-id="manual:apple"] .amount')).to_have_text("₩9,900")


def test_a_clerk_is_on_the_way_until_he_is_there(
    shop: Server, page: Page, browser: Browser
) -> None:
    page.get_by_role("button", name="Call the clerk").click()
    expect(page.locator("#called")).to_be_visible()
    with opened(browser, f"{shop.url}/login") as clerk:
        sign_in(clerk, "clara")
        clerk.get_by_role("button", name="I am there").click()
        expect(page.locator("#called")).to_be_hidden()


def test_with_many_questions_basket_and_answers_can_be_reached(shop: Server, page: Page) -> None:
    shop.lay("melon", "apple|pear", "orange|lemon", "pear|lemon", "grapes|apple")
    expect(page.locator(".question")).to_have_count(4)
    last = page.locator(".question button").last
    last.click(trial=True)  # nothing lies over it once it is scrolled to
    page.locator("#lines .line").last.get_by_role("button").first.click(trial=True)
    shoot_all_sizes(page, "questions")


def test_who_cannot_see_hears_how_the_sale_goes_on(shop: Server, page: Page) -> None:
    shop.lay("apple")
    expect(page.locator("#pay")).to_be_enabled()
    page.locator("#pay").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_have_text("Waiting for the payment to be confirmed.")
    expect(page.locator("#waiting")).to_be_focused()
    page.get_by_role("button", name="Back to the basket").click()
    expect(page.locator("#status")).to_contain_text("1 fruit, total ₩")


BASKET = ("apple", "orange", "pear", "lemon", "grapes", "melon", "apple")


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_screen_fits_every_size(shop: Server, browser: Browser, language: str) -> None:
    query = f"?lang={language}"
    with (
        Screen(shop.url) as screen,
        opened(browser, f"{shop.url}/{query}") as page,
        opened(browser, f"{shop.url}/login{query}") as clerk,
    ):
        expect(page.locator("#picture")).to_be_visible()
        shoot_all_sizes(page, f"1-empty-{language}")
        shop.lay(*BASKET)
        screen.ask("add_item", {"key": "dragon_fruit", "quantity": 2})
        expect(page.locator("#lines .line")).to_have_count(7)
        expect(page.locator("#pay")).to_be_enabled()
        shoot_all_sizes(page, f"2-basket-{language}")
        page.click("#open-adder")
        shoot_all_sizes(page, f"3-adder-{language}")
        page.keyboard.press("Escape")
        page.click("#pay")
        expect(page.locator("#waiting")).to_be_visible()
        shoot_all_sizes(page, f"4-waiting-{language}")
        shoot_all_sizes(clerk, f"5-login-{language}")
        sign_in(clerk, "otto")
        clerk.goto(f"{shop.url}/clerk{query}")
        shoot_all_sizes(clerk, f"6-clerk-{language}")
        clerk.locator(".order .primary").click()
        expect(page.locator("#paid")).to_be_visible()
        shoot_all_sizes(page, f"7-paid-{language}")
        clerk.goto(f"{shop.url}/owner{query}")
        shoot_all_sizes(clerk, f"8-owner-{language}")


def test_at_200_percent_nothing_is_cut_off(shop: Server, browser: Browser) -> None:
    with opened(browser, shop.url) as page:
        page.set_viewport_size({"width": 640, "height": 400})
        shop.lay(*BASKET)
        expect(page.locator("#lines .line")).to_have_count(6)
        shoot(page, "zoomed-200")
        page.locator("#pay").scroll_into_view_if_needed()
        expect(page.locator("#pay")).to_be_in_viewport()


def test_a_dead_camera_is_shown(own_server: Server, browser: Browser) -> None:
    own_server.env["CHECKOUT_CAMERA"] = "http://127.0.0.1:9/none"
    own_server.start()
    with opened(browser, own_server.url) as page:
        expect(page.locator("#camera-banner")).to_be_visible()
        expect(page.locator("#pay-reason")).to_have_text(
            "The camera is not working. Please ask the clerk."
        )
        shoot(page, "camera-lost-landscape-en")


def test_a_thing_that_is_not_recognised_is_added_by_hand_and_then_answered(
    tmp_path: Path, own_server: Server, browser: Browser
) -> None:
    film_counter(tmp_path / "thing.avi", seconds=60, thing_after_s=3)
    own_server.env["CHECKOUT_CAMERA"] = str(tmp_path / "thing.avi")
    own_server.start()
    own_server.lay("apple", "orange")
    with opened(browser, own_server.url) as page:
        asked = page.locator(".question")
        expect(asked).to_contain_text("Something on the counter is not recognised", timeout=20_000)
        expect(page.locator("#pay")).to_be_disabled()
        shoot_all_sizes(page, "not-recognised")
        for button in asked.locator("button").all():
            box = button.bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) >= 44

        asked.get_by_role("button", name="Add missed fruit").click()
        page.click("#adder .tile[value=melon]")
        expect(page.locator('[data-id="manual:melon"]')).to_be_visible()
        asked.get_by_role("button", name="Nothing is missing").click()

        expect(asked).to_have_count(0)
        expect(page.locator("#pay")).to_be_enabled()
