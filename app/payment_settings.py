"""Which ways to pay a shop offers, and what each needs; read with the other settings."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from app.errors import SettingsError
from app.shop.payment import ByClerk, ByTransfer, Card, Cash, Methods, methods_by_name
from app.store.payments.emv_qr import MAX_LABEL_LENGTH, Merchant, parsed
from app.store.payments.messages import SECRET_MIN_LENGTH
from app.store.payments.portone import PortOneSettings

OFFERABLE = ("cash", "card", "qr", "portone", "clerk")
NUMBER_ROOM = len("-261122-00001")  # what an order's number has besides the lane's name
MAX_REMOTE_LANE = MAX_LABEL_LENGTH - NUMBER_ROOM
PORTONE_VALID_FOR = timedelta(minutes=10)  # typing in a card takes longer than scanning a code


@dataclass(frozen=True)
class PaymentSettings:
    """offered: the ways to pay in the order of the customer's screen, the first one chosen.

    qr_valid_for: how long a code on the screen may be paid, 10 seconds to an hour. merchant: whom
    the code pays; None without "qr". webhook_secret: signs a provider's messages, at least 32
    characters; None: there are none. portone: None without "portone".
    """

    offered: tuple[str, ...] = ("cash", "card")
    qr_valid_for: timedelta = timedelta(minutes=3)
    merchant: Merchant | None = None
    webhook_secret: str | None = field(default=None, repr=False)
    portone: PortOneSettings | None = None

    def methods(self) -> Methods:
        """The ways that the checkout takes: those offered, and always a clerk's word."""
        ways = methods_by_name(
            ByClerk(),
            Cash(),
            Card(),
            ByTransfer("qr", self.qr_valid_for),
            ByTransfer("portone", PORTONE_VALID_FOR),
        )
        return {name: way for name, way in ways.items() if name in (*self.offered, "clerk")}


def read_payment_settings(given: Mapping[str, str], lane: str) -> PaymentSettings:
    """Read the variables, their names without CHECKOUT_; SettingsError names a bad one."""
    offered = _offered(given.get("PAYMENTS", "cash,card"))
    if not {"qr", "portone"}.isdisjoint(offered):
        _check_lane(lane)
    return PaymentSettings(
        offered=offered,
        qr_valid_for=_valid_for(given.get("QR_SECONDS", "180")),
        merchant=_merchant(given) if "qr" in offered else None,
        webhook_secret=_webhook_secret(given.get("WEBHOOK_SECRET")),
        portone=_portone(given) if "portone" in offered else None,
    )


def _offered(value: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
    if not names or not set(names) <= set(OFFERABLE):
        raise SettingsError(
            f"CHECKOUT_PAYMENTS={value!r}: use one or more of {', '.join(OFFERABLE)}"
        )
    return names


def _check_lane(lane: str) -> None:
    if len(lane) > MAX_REMOTE_LANE or not lane.isascii():
        raise SettingsError(
            f"CHECKOUT_LANE={lane!r}: for qr and portone use at most {MAX_REMOTE_LANE} ASCII"
            " characters, because the order number goes to the payment provider"
        )


def _valid_for(value: str) -> timedelta:
    if not (value.isascii() and value.isdigit() and 10 <= int(value[:9]) <= 3600):
        raise SettingsError(f"CHECKOUT_QR_SECONDS={value!r}: use a number from 10 to 3600")
    return timedelta(seconds=int(value))


def _merchant(given: Mapping[str, str]) -> Merchant:
    account, name, city = _needed(given, "qr", "ACCOUNT", "NAME", "CITY", group="MERCHANT")
    optional = {
        field: given[variable]
        for field, variable in (("category", "MERCHANT_CATEGORY"), ("name_ko", "MERCHANT_NAME_KO"))
        if variable in given
    }
    try:
        return Merchant(tuple(parsed(account)), name, city, **optional)
    except ValueError as error:
        raise SettingsError(f"CHECKOUT_MERCHANT_…: {error}") from error


def _webhook_secret(value: str | None) -> str | None:
    if value is not None and len(value) < SECRET_MIN_LENGTH:
        raise SettingsError(f"CHECKOUT_WEBHOOK_SECRET: use at least {SECRET_MIN_LENGTH} characters")
    return value


def _portone(given: Mapping[str, str]) -> PortOneSettings:
    names = ("STORE_ID", "CHANNEL_KEY", "API_SECRET", "WEBHOOK_SECRET")
    store, channel, secret, webhook_secret = _needed(given, "portone", *names, group="PORTONE")
    _check_webhook_key(webhook_secret)
    test_channel = given.get("PORTONE_TEST_CHANNEL", "0")
    if test_channel not in ("0", "1"):
        raise SettingsError(f"CHECKOUT_PORTONE_TEST_CHANNEL={test_channel!r}: use 0 or 1")
    api = given.get("PORTONE_API", PortOneSettings.api).rstrip("/")
    return PortOneSettings(store, channel, secret, webhook_secret, api, test_channel == "1")


def _check_webhook_key(value: str) -> None:
    try:
        key = base64.b64decode(value.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise SettingsError(
            "CHECKOUT_PORTONE_WEBHOOK_SECRET: copy it whole, whsec_ and what follows"
        )


def _needed(given: Mapping[str, str], way: str, *names: str, group: str) -> list[str]:
    missing = [f"CHECKOUT_{group}_{name}" for name in names if f"{group}_{name}" not in given]
    if missing:
        raise SettingsError(f"CHECKOUT_PAYMENTS offers {way}: set {', '.join(missing)} too")
    return [given[f"{group}_{name}"] for name in names]
