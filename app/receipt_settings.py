"""What stands on a receipt and where it is printed; read with the other settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from app.errors import SettingsError
from app.shop.receipt import Business
from app.store.printer import FilePrinter, NetworkPrinter, PrinterAddress, UsbPrinter

ESC_POS_PORT = 9100
USB_ID = re.compile(r"[0-9a-f]{4}", re.IGNORECASE)
DOTS = (576, 512, 384)  # 80 mm paper, 80 mm paper on older printers, 58 mm paper
MAX_LENGTH = 60


@dataclass(frozen=True)
class ReceiptSettings:
    """business: who sells. public_url: address under which customers' phones reach this checkout,
    without a slash at its end; None: no code to scan is shown. printer: None: there is none.
    printer_dots: how many dots its paper is wide.
    """

    business: Business = field(default_factory=Business)
    public_url: str | None = None
    printer: PrinterAddress | None = None
    printer_dots: int = DOTS[0]


def read_receipt_settings(given: Mapping[str, str], host: str, port: int) -> ReceiptSettings:
    """Read the variables, their names without CHECKOUT_; SettingsError names a bad one.

    host, port: where this checkout listens; an address that others reach is the public one.
    """
    return ReceiptSettings(
        business=Business(
            name=_text(given, "BUSINESS_NAME"),
            registration_number=_text(given, "BUSINESS_NUMBER"),
            representative=_text(given, "BUSINESS_REPRESENTATIVE"),
            address=_text(given, "BUSINESS_ADDRESS"),
            phone=_text(given, "BUSINESS_PHONE"),
        ),
        public_url=_public_url(given.get("PUBLIC_URL")) or _own_url(host, port),
        printer=_printer(given.get("PRINTER")),
        printer_dots=_dots(given.get("PRINTER_DOTS", str(DOTS[0]))),
    )


def _text(given: Mapping[str, str], name: str) -> str:
    value = given.get(name, "")
    if len(value) > MAX_LENGTH or not value.isprintable():
        raise SettingsError(f"CHECKOUT_{name}: use at most {MAX_LENGTH} printable characters")
    return value


def _public_url(value: str | None) -> str | None:
    if value is None:
        return None
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise SettingsError(
            f"CHECKOUT_PUBLIC_URL={value!r}: use an address like https://shop.example"
        )
    return value.rstrip("/")


def _own_url(host: str, port: int) -> str | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if address.is_loopback or address.is_unspecified:
        return None
    return f"http://{f'[{host}]' if address.version == 6 else host}:{port}"


def _printer(value: str | None) -> PrinterAddress | None:
    if value is None:
        return None
    if value.startswith("/"):
        return FilePrinter(Path(value))
    try:
        parts = urlsplit(value)
        if parts.scheme == "tcp" and parts.hostname and parts.path in ("", "/"):
            return NetworkPrinter(parts.hostname, parts.port or ESC_POS_PORT)
        vendor, _, product = parts.netloc.partition(":")
        if parts.scheme == "usb" and USB_ID.fullmatch(vendor) and USB_ID.fullmatch(product):
            return UsbPrinter(int(vendor, 16), int(product, 16))
    except ValueError:  # a port that is none
        pass
    raise SettingsError(
        f"CHECKOUT_PRINTER={value!r}: use tcp://HOST:9100, a device like /dev/usb/lp0, or"
        " usb://VENDOR:PRODUCT with the two numbers that lsusb shows"
    )


def _dots(value: str) -> int:
    if value not in map(str, DOTS):
        raise SettingsError(
            f"CHECKOUT_PRINTER_DOTS={value!r}: use one of {', '.join(map(str, DOTS))}"
        )
    return int(value)
