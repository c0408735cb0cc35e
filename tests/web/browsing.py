"""A real Chromium."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.web.server import PASSWORD, ROOT

ARTIFACTS = ROOT / "artifacts"
NAMES = ("chromium", "chromium-browser", "google-chrome")
expect.set_options(timeout=20_000)  # a busy machine is slow, not wrong
SIZES = {"landscape": (1280, 800), "portrait": (1080, 1920), "phone": (390, 844)}


def chromium() -> str:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    assert found, f"the browser tests need one of {', '.join(NAMES)}: apt-get install chromium"
    return found


@contextmanager
def launched() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Browser, url: str, size: str = "landscape", *, quiet: bool = True, **options: object
) -> Iterator[Page]:
    """A page; quiet: errors of its script and of the security policy fail the test."""
    width, height = SIZES[size]
    context: BrowserContext = browser.new_context(
        viewport={"width": width, "height": height},
        reduced_motion="reduce",
        **options,  # type: ignore[arg-type]
    )
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: line.type == "error" and complaints.append(line.text))
    page.goto(url)
    yield page
    context.close()
    assert complaints == [] or not quiet


def shoot(page: Page, name: str) -> Path:
    """Keep a picture of the screen in artifacts/, and check that nothing sticks out sideways."""
    ARTIFACTS.mkdir(exist_ok=True)
    path = ARTIFACTS / f"{name}.png"
    page.screenshot(path=path)
    wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wider <= 0, f"{name}: {wider} px stick out"
    return path


def shoot_all_sizes(page: Page, name: str) -> None:
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        shoot(page, f"{name}-{size}")
    width, height = SIZES["landscape"]
    page.set_viewport_size({"width": width, "height": height})


def sign_in(page: Page, name: str) -> None:
    page.fill("#name", name)
    page.fill("#password", PASSWORD)
    page.click("main button.primary")
