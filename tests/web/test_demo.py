"""The checkout as a newcomer meets it: the demo, the shipped detector, a browser, a whole sale."""

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.web.browsing import launched, opened, shoot, sign_in
from tests.web.server import ROOT, Server, wait_until

WEIGHTS = ROOT / "weights" / "default.safetensors"


def pressed_pay(page: Page) -> bool:
    """Press once; the demo goes on, so a press may come while a hand moves, and do nothing."""
    page.locator("#pay").evaluate("button => button.click()")
    page.wait_for_timeout(500)
    return page.locator("#waiting").is_visible()


def test_the_basket_fills_from_the_demo_and_becomes_a_sale(tmp_path: Path) -> None:
    server = Server(tmp_path, Path("demo"), module="wsgi")
    server.env["CHECKOUT_WEIGHTS"] = str(WEIGHTS)
    server.add_user("clara")
    server.start()
    try:
        with launched() as browser, opened(browser, server.url) as page:
            wait_until(lambda: page.locator("#lines .line").count() >= 2, 60)
            shoot(page, "demo-landscape-en")
            wait_until(lambda: pressed_pay(page), 60)
            with opened(browser, server.url + "/login") as clerk:
                sign_in(clerk, "clara")
                clerk.locator("form[action*=confirm] button").click()
            expect(page.locator("#paid")).to_be_visible()
            shoot(page, "demo-paid-landscape-en")
    finally:
        assert server.stop() == 0, server.log
