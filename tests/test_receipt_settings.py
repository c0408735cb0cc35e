from pathlib import Path

import pytest

from app.errors import SettingsError
from app.receipt_settings import ReceiptSettings
from app.settings import Settings
from app.shop.receipt import Business
from app.store.printer import FilePrinter, NetworkPrinter, PrinterAddress, UsbPrinter


def read(**variables: str) -> ReceiptSettings:
    return Settings.from_env(
        {f"CHECKOUT_{name}": value for name, value in variables.items()}
    ).receipts


def test_without_settings_there_is_no_printer_no_name_and_no_address_for_phones() -> None:
    assert read() == ReceiptSettings(Business(), None, None, 576)


def test_who_sells_is_read() -> None:
    assert read(
        BUSINESS_NAME="싱싱 과일 가게",
        BUSINESS_NUMBER="123-45-67890",
        BUSINESS_REPRESENTATIVE="김과일",
        BUSINESS_ADDRESS="서울특별시 마포구",
        BUSINESS_PHONE="02-123-4567",
    ).business == Business(
        "싱싱 과일 가게", "123-45-67890", "김과일", "서울특별시 마포구", "02-123-4567"
    )


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("tcp://192.168.0.20", NetworkPrinter("192.168.0.20", 9100)),
        ("tcp://printer.shop:9101/", NetworkPrinter("printer.shop", 9101)),
        ("tcp://[fe80::1]:9100", NetworkPrinter("fe80::1", 9100)),
        ("usb://04b8:0E15", UsbPrinter(0x04B8, 0x0E15)),
        ("/dev/usb/lp0", FilePrinter(Path("/dev/usb/lp0"))),
    ],
)
def test_a_printer_has_an_address(value: str, address: PrinterAddress) -> None:
    assert read(PRINTER=value).printer == address


@pytest.mark.parametrize(
    "value",
    [
        *("printer", "http://printer", "tcp://", "tcp://printer:port", "tcp://printer:70000"),
        *("usb://", "usb://04b8", "usb://04b8:xyz0", "usb://04b8:0e15:1", "dev/usb/lp0"),
        "tcp://printer/queue",
    ],
)
def test_an_address_that_cannot_be_one_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="CHECKOUT_PRINTER="):
        read(PRINTER=value)


@pytest.mark.parametrize("value", ["0", "580", "80mm", "-576"])
def test_paper_of_another_width_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="CHECKOUT_PRINTER_DOTS"):
        read(PRINTER_DOTS=value)


@pytest.mark.parametrize("name", ["NAME", "NUMBER", "REPRESENTATIVE", "ADDRESS", "PHONE"])
@pytest.mark.parametrize("value", ["x" * 61, "a\nb", "a\x00b"])
def test_words_that_fit_no_receipt_are_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"CHECKOUT_BUSINESS_{name}"):
        read(**{f"BUSINESS_{name}": value})


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({"PUBLIC_URL": "https://shop.example/"}, "https://shop.example"),
        ({"PUBLIC_URL": "http://192.168.0.10:8000"}, "http://192.168.0.10:8000"),
        ({"HOST": "192.168.0.10"}, "http://192.168.0.10:8000"),
        ({"HOST": "fd00::5", "PORT": "80"}, "http://[fd00::5]:80"),
        ({"HOST": "192.168.0.10", "PUBLIC_URL": "https://a.example"}, "https://a.example"),
        ({"HOST": "0.0.0.0"}, None),
        ({"HOST": "127.0.0.1"}, None),
        ({"HOST": "::1"}, None),
        ({"HOST": "localhost"}, None),
    ],
)
def test_phones_are_sent_only_where_they_can_reach(
    variables: dict[str, str], url: str | None
) -> None:
    assert read(**variables).public_url == url


@pytest.mark.parametrize(
    "value", ["shop.example", "ftp://shop.example", "https://", "https://a.example/?x=1"]
)
def test_an_address_for_phones_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="CHECKOUT_PUBLIC_URL"):
        read(PUBLIC_URL=value)
