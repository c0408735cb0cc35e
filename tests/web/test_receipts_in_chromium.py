"""What customers and clerks see of receipts, in a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pypdfium2
import pytest
from playwright.sync_api import Browser, Page, expect

from app.soak.server import free_port
from tests.web.browsing import launched, opened, shoot_all_sizes, sign_in
from tests.web.server import Server


@pytest.fixture(scope="module")
def till(tmp_path_factory: pytest.TempPathFactory, film: Path) -> Iterator[Server]:
    """A shop whose printer is off, with an address that phones reach."""
    server = Server(tmp_path_factory.mktemp("till"), film)
    server.env |= {
        "CHECKOUT_BUSINESS_NAME": "싱싱 과일 가게",
        "CHECKOUT_PUBLIC_URL": server.url,
        "CHECKOUT_PRINTER": f"tcp://127.0.0.1:{free_port()}",
    }
    server.add_user("clara")
    server.start()
    yield server
    assert server.stop() == 0, server.log


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture
def clerk(browser: Browser, till: Server) -> Iterator[Page]:
    with opened(browser, f"{till.url}/login") as page:
        sign_in(page, "clara")
        expect(page).to_have_url(f"{till.url}/clerk")
        yield page


@pytest.fixture
def customer(browser: Browser, till: Server, clerk: Page) -> Iterator[Page]:
    """The customer's screen just after the payment; the fruit still lies there."""
    with opened(browser, till.url) as page:
        till.lay("apple", "apple", "orange")
        expect(page.locator("#pay")).to_be_enabled()
        expect(page.locator("#receipt-link")).to_be_hidden()
        page.click("#pay")
        clerk.get_by_role("button", name="Money received").click()
        expect(page.locator("#paid")).to_be_visible()
        expect(page.locator("#receipt-link")).to_be_visible()
        yield page
    till.lay()
    with opened(browser, till.url) as page:
        expect(page.locator("#empty")).to_be_visible()


def read_code(page: Page, place: str) -> str:
    """The words of a QR code, as a phone's camera reads it."""
    picture = np.frombuffer(page.locator(place).screenshot(), np.uint8)
    image = cv2.imdecode(picture, cv2.IMREAD_GRAYSCALE)
    words, _, _ = cv2.QRCodeDetector().detectAndDecode(cv2.resize(image, None, fx=3, fy=3))
    return words


def test_the_code_on_the_paid_screen_leads_a_phone_to_the_receipt(
    till: Server, browser: Browser, customer: Page
) -> None:
    shoot_all_sizes(customer, "paid-with-receipt")
    code = customer.locator("#receipt-code")
    expect(code).to_be_visible()
    url = read_code(customer, "#receipt-code")

    assert re.fullmatch(rf"{till.url}/receipt/[\w.-]{{40,}}", url)
    with opened(browser, url, "phone") as phone:
        expect(phone.locator(".receipt")).to_contain_text("2 × ₩1,500")
        shoot_all_sizes(phone, "receipt")
        phone.get_by_role("link", name="한국어").click()
        expect(phone.locator(".receipt")).to_contain_text("주문 번호")
        assert phone.context.cookies() == []


def test_the_receipt_opens_by_keyboard_and_is_gone_when_the_next_fruit_lies_there(
    till: Server, customer: Page
) -> None:
    customer.focus("#open-receipt")
    customer.keyboard.press("Enter")
    sheet = customer.locator("#receipt")
    expect(sheet.locator(".receipt")).to_contain_text("싱싱 과일 가게")
    shoot_all_sizes(customer, "receipt-sheet")
    customer.keyboard.press("Escape")
    expect(sheet).to_be_hidden()

    customer.click("#open-receipt")
    till.lay()
    expect(customer.locator("#empty")).to_be_visible()
    expect(sheet).to_be_visible()  # there is still time to read it and to scan the code
    expect(customer.locator("#receipt-link")).to_be_visible()

    till.lay("lemon")
    expect(customer.locator('[data-id="camera:lemon"]')).to_be_visible()
    expect(sheet).to_be_hidden()
    expect(customer.locator("#receipt-link")).to_be_hidden()
    assert customer.locator("#receipt-body").inner_html() == ""
    assert customer.locator("#open-receipt").get_attribute("href") is None


def test_the_clerk_is_told_of_a_printer_that_is_off_and_sales_go_on(
    customer: Page, clerk: Page
) -> None:
    card = clerk.locator(".printer")
    expect(card).to_contain_text("The receipt printer needs help")
    number = customer.locator("#paid [data-order=number]").text_content()
    expect(card).to_contain_text(f"Not printed: {number}")
    shoot_all_sizes(clerk, "clerk-printer")

    card.get_by_role("button", name="Print a copy").last.click()
    expect(clerk).to_have_url(f"{clerk.url.split('/clerk')[0]}/clerk")
    expect(card).to_contain_text("The last receipt could not be printed.")


def test_an_order_leads_to_its_receipt_which_prints_on_one_page_eighty_millimetres_wide(
    customer: Page, clerk: Page, tmp_path: Path
) -> None:
    number = customer.locator("#paid [data-order=number]").text_content() or ""
    clerk.get_by_role("link", name="Orders").click()
    clerk.get_by_role("link", name=number).click()
    clerk.get_by_role("link", name="Show the receipt").click()
    expect(clerk.locator(".receipt")).to_contain_text(number)
    expect(clerk.get_by_role("button", name="Print")).to_be_visible()

    clerk.evaluate("dispatchEvent(new Event('beforeprint'))")
    clerk.pdf(path=tmp_path / "printed.pdf", prefer_css_page_size=True)
    document = pypdfium2.PdfDocument(tmp_path / "printed.pdf")
    width_mm, height_mm = (side / 72 * 25.4 for side in document[0].get_size())
    pages, words = len(document), document[0].get_textpage().get_text_bounded()
    document.close()

    assert pages == 1
    assert width_mm == pytest.approx(80, abs=0.5)
    assert 100 < height_mm < 250
    assert "싱싱 과일 가게" in words
    assert "Save as PDF" not in words


def test_the_next_customer_reads_the_shops_language(till: Server, customer: Page) -> None:
    language = customer.locator("main").get_attribute("data-language")
    customer.locator(".languages button").click()
    expect(customer.locator("main")).not_to_have_attribute("data-language", language)
    expect(customer.locator("#receipt-link")).to_be_visible()
    till.lay()
    expect(customer.locator("#empty")).to_be_visible()
    expect(customer.locator("main")).not_to_have_attribute("data-language", language)
    till.lay("lemon")
    expect(customer.locator("main")).to_have_attribute("data-language", language)
    expect(customer.locator("#receipt-link")).to_be_hidden()


def test_a_screen_with_a_language_in_its_address_goes_back_to_that(
    till: Server, browser: Browser, clerk: Page
) -> None:
    with opened(browser, f"{till.url}/?lang=ko") as page:
        main = page.locator("main")
        till.lay("apple")
        page.get_by_role("button", name="English").click()
        expect(main).to_have_attribute("data-language", "en")
        expect(page.locator("#pay")).to_be_enabled()
        page.click("#pay")
        clerk.get_by_role("button", name="Money received").click()
        expect(page.locator("#paid")).to_be_visible()
        till.lay()
        expect(page.locator("#empty")).to_be_visible()
        till.lay("lemon")
        expect(main).to_have_attribute("data-language", "ko")
        till.lay()
        expect(page.locator("#empty")).to_be_visible()
