"""The owner's and the clerk's pages about sales in a real browser; pictures in artifacts/."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from app.store.database import Database
from app.store.orders import SqlOrderStore
from tests.store.past import sell_at
from tests.web.browsing import launched, opened, shoot_all_sizes, sign_in
from tests.web.server import Server

MIDNIGHT = datetime(2023, 9, 4, tzinfo=UTC)
WEEK = "from=2023-09-04&to=2023-09-10"


@pytest.fixture
def last_order(running: Server) -> int:
    """A week of sales; the id of its last order."""
    database = Database(running.env["CHECKOUT_DATABASE_URL"])
    orders = SqlOrderStore(database)
    for n in range(42):
        at = MIDNIGHT + timedelta(days=n % 7, hours=9 + n % 11)
        corrected = {"apple": 1 + n % 3, "pear": 1} if n % 5 else {"apple": 1, "juice": 2}
        order = sell_at(orders, at, {"apple": 1 + n % 3, "pear": 1}, corrected)
    database.close()
    return order.id or 0


def test_sales_are_seen_taken_away_and_refunded(running: Server, last_order: int) -> None:
    with launched() as browser, opened(browser, f"{running.url}/login") as page:
        sign_in(page, "otto")
        for language in ("en", "ko"):
            page.goto(f"{running.url}/owner?{WEEK}&lang={language}")
            shoot_all_sizes(page, f"9-report-{language}")
            page.goto(f"{running.url}/clerk/orders?day=2023-09-10&lang={language}")
            shoot_all_sizes(page, f"9-orders-{language}")
            page.goto(f"{running.url}/clerk/orders/{last_order}?lang={language}")
            shoot_all_sizes(page, f"9-order-{language}")

        page.goto(f"{running.url}/owner?{WEEK}")
        assert page.locator(".chart").count() == 2
        with page.expect_download() as download:
            page.get_by_role("link", name="Excel").click()
        assert download.value.suggested_filename == "sales-2023-09-04-2023-09-10.xlsx"

        page.goto(f"{running.url}/clerk/orders/{last_order}")
        page.get_by_label("Reason").fill("bruised")
        page.get_by_label("Apple").fill("1")
        page.get_by_role("button", name="Refund what is chosen").click()
        expect(page.get_by_role("status")).to_contain_text("now give back ₩1,500")
        page.reload()
        expect(page.locator(".given")).to_have_count(1)
