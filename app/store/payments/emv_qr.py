"""The code that a customer's app scans to pay: EMVCo, merchant-presented mode.

EMV QR Code Specification for Payment Systems, Merchant-Presented Mode, version 1.1. A payload is a
row of data objects: two digits of id, two digits of length in characters, the value. Templates
hold objects in turn. The last object is a checksum over all before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.shop.money import to_major_text

NUMERIC_CODES = {"KRW": "410", "JPY": "392", "USD": "840", "EUR": "978"}  # ISO 4217
MERCHANT_ACCOUNTS = [f"{number:02d}" for number in range(2, 52)]
MAX_VALUE_LENGTH = 99
MAX_NAME_LENGTH, MAX_CITY_LENGTH, MAX_LABEL_LENGTH, MAX_AMOUNT_LENGTH = 25, 15, 25, 13
CRC_POLYNOMIAL, CRC_START = 0x1021, 0xFFFF

Object = tuple[str, str]  # id, value


@dataclass(frozen=True, slots=True)
class Merchant:
    """Who is paid.

    accounts: ids 02 to 51 with what the shop's payment provider gave for them. name: at most 25
    ASCII characters. city: at most 15. category: four digits, ISO 18245. country: ISO 3166, two
    letters. name_ko: the name in Korean, at most 25 characters, "" for none.
    """

    accounts: tuple[Object, ...]
    name: str
    city: str
    category: str = "5499"  # food shops of one kind
    country: str = "KR"
    name_ko: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError, naming the field, on what the specification does not allow."""
        if not self.accounts or any(name not in MERCHANT_ACCOUNTS for name, _ in self.accounts):
            raise ValueError("account: ids 02 to 51, as the payment provider gave them")
        _check("name", self.name, MAX_NAME_LENGTH)
        _check("city", self.city, MAX_CITY_LENGTH)
        if not (self.category.isascii() and self.category.isdigit() and len(self.category) == 4):
            raise ValueError("category: four digits")
        if len(self.name_ko) > MAX_NAME_LENGTH or not self.name_ko.isprintable():
            raise ValueError(f"name_ko: at most {MAX_NAME_LENGTH} characters")


def payment_code(merchant: Merchant, amount_minor: int, currency: str, reference: str) -> str:
    """Return the payload that asks for ``amount_minor`` once.

    reference: at most 25 ASCII characters; the provider gives it back with the payment. Raises
    ValueError on a currency without a code here, or on a value that does not fit.
    """
    if currency not in NUMERIC_CODES:
        raise ValueError(f"{currency} has no code here: use one of {', '.join(NUMERIC_CODES)}")
    _check("reference", reference, MAX_LABEL_LENGTH)
    amount = to_major_text(amount_minor, currency)
    _check("amount", amount, MAX_AMOUNT_LENGTH)
    in_korean = template([("00", "KO"), ("01", merchant.name_ko)]) if merchant.name_ko else ""
    return sealed(
        [
            ("00", "01"),
            ("01", "12"),  # this code is for one payment
            *merchant.accounts,
            ("52", merchant.category),
            ("53", NUMERIC_CODES[currency]),
            ("54", amount),
            ("58", merchant.country),
            ("59", merchant.name),
            ("60", merchant.city),
            ("62", template([("05", reference)])),
            *([("64", in_korean)] if in_korean else []),
        ]
    )


def template(objects: Iterable[Object]) -> str:
    """Write objects one after the other. Raises ValueError on an id or a length out of range."""
    return "".join(_written(name, value) for name, value in objects)


def sealed(objects: Iterable[Object]) -> str:
    """Write a whole payload: the objects, then the checksum over them and its own id and length."""
    payload = template(objects) + "6304"
    return f"{payload}{crc16(payload.encode()):04X}"


def parsed(payload: str) -> list[Object]:
    """Read objects, without looking into templates; ValueError where they do not add up."""
    objects, at = [], 0
    while at < len(payload):
        head = payload[at : at + 4]
        if len(head) < 4 or not (head.isascii() and head.isdigit()):
            raise ValueError(f"no id and length at character {at + 1}")
        end = at + 4 + int(head[2:])
        if end == at + 4 or end > len(payload):
            raise ValueError(f"object {head[:2]} does not have the {head[2:]} characters it says")
        objects.append((head[:2], payload[at + 4 : end]))
        at = end
    return objects


def crc16(data: bytes) -> int:
    """CRC-16/CCITT-FALSE (ISO/IEC 13239): polynomial 0x1021, start 0xFFFF, nothing reflected."""
    crc = CRC_START
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ (CRC_POLYNOMIAL if crc & 0x8000 else 0)
        crc &= 0xFFFF
    return crc


def _written(name: str, value: str) -> str:
    if not (len(name) == 2 and name.isascii() and name.isdigit()):
        raise ValueError(f"an id is two digits, not {name!r}")
    if not 1 <= len(value) <= MAX_VALUE_LENGTH:
        raise ValueError(f"object {name} must have 1 to {MAX_VALUE_LENGTH} characters")
    return f"{name}{len(value):02d}{value}"


def _check(name: str, value: str, longest: int) -> None:
    if not (1 <= len(value) <= longest and value.isascii() and value.isprintable()):
        raise ValueError(f"{name}: 1 to {longest} ASCII characters")
