"""Who is signed in, how long, and what a copy of the cookie is worth."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import Result
from flask.testing import FlaskClient

from tests.web.server import signed_in

COOKIE = "checkout"


def may_work(browser: FlaskClient) -> bool:
    return browser.get("/clerk").status_code == 200


def command(browser: FlaskClient, *arguments: str, typed: str = "") -> Result:
    runner = browser.application.test_cli_runner()
    return runner.invoke(args=["users", *arguments], input=typed)


def test_a_copy_of_the_cookie_is_worth_nothing_after_signing_out(browser):
    cookie = browser.get_cookie(COOKIE).value

    def thief() -> FlaskClient:
        other = browser.application.test_client()
        other.set_cookie(COOKIE, cookie)
        return other

    assert may_work(thief())
    browser.post("/logout")
    assert not may_work(browser)
    assert not may_work(thief())
    assert may_work(signed_in(browser, "kim"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("remove", "kim"), "clerk kim can no longer sign in."),
        (("password", "kim", "--password-stdin"), "clerk kim has a new password."),
    ],
)
def test_a_clerk_who_leaves_is_signed_out(browser, arguments, says):
    other = signed_in(browser.application.test_client(), "lee")
    done = command(browser, *arguments, typed="another password")
    assert (done.exit_code, done.output) == (0, says + "\n")
    assert not may_work(browser)
    assert may_work(other)


def test_who_can_sign_in_is_listed(browser):
    assert command(browser, "list").output == "clerk kim\nclerk lee\n"
    command(browser, "remove", "kim")
    assert command(browser, "list").output == "clerk lee\n"
    gone = command(browser, "remove", "kim")
    assert gone.exit_code == 2
    assert "There is no user kim." in gone.output


def test_tries_side_by_side_are_counted_like_others(browser):
    def wrong(_: int) -> int:
        stranger = browser.application.test_client()
        return stranger.post("/login", data={"name": "kim", "password": "no"}).status_code

    with ThreadPoolExecutor(16) as pool:
        codes = sorted(pool.map(wrong, range(16)))
    assert codes.count(401) <= 10
    assert set(codes) == {401, 429}
