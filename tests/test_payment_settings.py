"""Which ways to pay a shop offers, and what is refused before it opens."""

from datetime import timedelta

import pytest

from app.errors import SettingsError
from app.settings import Settings

MERCHANT = {
    "CHECKOUT_MERCHANT_ACCOUNT": "29300012D156000000000510A93FO3230Q",
    "CHECKOUT_MERCHANT_NAME": "HAPPY FRUIT",
    "CHECKOUT_MERCHANT_CITY": "SEOUL",
}
PORTONE = {
    "CHECKOUT_PORTONE_STORE_ID": "store-1",
    "CHECKOUT_PORTONE_CHANNEL_KEY": "channel-key-1",
    "CHECKOUT_PORTONE_API_SECRET": "api secret of a shop",
    "CHECKOUT_PORTONE_WEBHOOK_SECRET": "whsec_c2VjcmV0",
}


def test_a_shop_offers_cash_and_card_unless_told_otherwise() -> None:
    payments = Settings.from_env({}).payments

    assert payments.offered == ("cash", "card")
    assert list(payments.methods()) == ["clerk", "cash", "card"]  # a clerk's word always counts


def test_the_order_of_the_ways_is_the_shops() -> None:
    payments = Settings.from_env({"CHECKOUT_PAYMENTS": " qr , cash,qr", **MERCHANT}).payments

    assert payments.offered == ("qr", "cash")
    assert payments.methods()["qr"].valid_for == timedelta(minutes=3)
    assert payments.methods().keys() == {"clerk", "cash", "qr"}


def test_everything_about_the_code_is_read() -> None:
    more = {
        "CHECKOUT_PAYMENTS": "qr",
        "CHECKOUT_MERCHANT_CATEGORY": "5411",
        "CHECKOUT_MERCHANT_NAME_KO": "행복과일",
        "CHECKOUT_QR_SECONDS": "60",
        "CHECKOUT_WEBHOOK_SECRET": "s" * 32,
    }
    payments = Settings.from_env(MERCHANT | more).payments

    assert payments.merchant is not None
    assert payments.merchant.accounts == (("29", "0012D156000000000510A93FO3230Q"),)
    assert (payments.merchant.category, payments.merchant.name_ko) == ("5411", "행복과일")
    assert payments.methods()["qr"].valid_for == timedelta(minutes=1)
    assert payments.webhook_secret == "s" * 32


def test_everything_about_portone_is_read_and_no_secret_is_shown() -> None:
    more = {"CHECKOUT_PAYMENTS": "portone", "CHECKOUT_PORTONE_TEST_CHANNEL": "1"}
    settings = Settings.from_env(PORTONE | more | {"CHECKOUT_WEBHOOK_SECRET": "s" * 32})

    portone = settings.payments.portone
    assert portone is not None
    assert (portone.store_id, portone.test_channel) == ("store-1", True)
    assert portone.api == "https://api.portone.io"
    assert settings.payments.methods()["portone"].valid_for == timedelta(minutes=10)
    for secret in (portone.api_secret, portone.webhook_secret, "s" * 32):
        assert secret not in repr(settings)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"CHECKOUT_PAYMENTS": "bitcoin"}, "cash, card"),
        ({"CHECKOUT_PAYMENTS": ","}, "cash, card"),
        ({"CHECKOUT_PAYMENTS": "Cash"}, "cash, card"),
        ({"CHECKOUT_MERCHANT_NAME": ""}, "CHECKOUT_MERCHANT_NAME"),
        ({"CHECKOUT_MERCHANT_ACCOUNT": "2930"}, "CHECKOUT_MERCHANT"),
        ({"CHECKOUT_MERCHANT_ACCOUNT": "5204abcd"}, "account"),
        ({"CHECKOUT_MERCHANT_NAME": "과일"}, "name"),
        ({"CHECKOUT_MERCHANT_CATEGORY": "fruit"}, "category"),
        ({"CHECKOUT_LANE": "왼쪽"}, "CHECKOUT_LANE"),
        ({"CHECKOUT_LANE": "x" * 13}, "CHECKOUT_LANE"),
        ({"CHECKOUT_QR_SECONDS": "9"}, "CHECKOUT_QR_SECONDS"),
        ({"CHECKOUT_QR_SECONDS": "3601"}, "CHECKOUT_QR_SECONDS"),
        ({"CHECKOUT_QR_SECONDS": "3m"}, "CHECKOUT_QR_SECONDS"),
        ({"CHECKOUT_QR_SECONDS": "9" * 50}, "CHECKOUT_QR_SECONDS"),
        ({"CHECKOUT_WEBHOOK_SECRET": "s" * 31}, "CHECKOUT_WEBHOOK_SECRET"),
        ({"CHECKOUT_PAYMENTS": "portone"}, "CHECKOUT_PORTONE_STORE_ID"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(changes: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({"CHECKOUT_PAYMENTS": "qr", **MERCHANT, **changes})

    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"CHECKOUT_PORTONE_API_SECRET": ""}, "CHECKOUT_PORTONE_API_SECRET"),
        ({"CHECKOUT_PORTONE_WEBHOOK_SECRET": "whsec_"}, "whsec_"),
        ({"CHECKOUT_PORTONE_WEBHOOK_SECRET": "not base64!"}, "whsec_"),
        ({"CHECKOUT_PORTONE_TEST_CHANNEL": "yes"}, "CHECKOUT_PORTONE_TEST_CHANNEL"),
    ],
)
def test_a_portone_account_that_cannot_be_is_refused(changes: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({"CHECKOUT_PAYMENTS": "portone", **PORTONE, **changes})

    assert says in str(refused.value)
    for secret in ("api secret of a shop", "not base64!"):
        assert secret not in str(refused.value)


@pytest.mark.parametrize("lane", ["1", "left-counter"])
def test_a_lane_whose_numbers_fit_into_a_code_may_show_one(lane: str) -> None:
    offered = {"CHECKOUT_PAYMENTS": "qr", "CHECKOUT_LANE": lane, **MERCHANT}
    assert Settings.from_env(offered).payments.merchant is not None


def test_a_lane_with_any_name_may_take_cash() -> None:
    assert Settings.from_env({"CHECKOUT_LANE": "왼쪽 계산대, 창가"}).lane
