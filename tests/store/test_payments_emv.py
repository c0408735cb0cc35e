"""The EMVCo code against its specification, and against every merchant and amount."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.store.payments.emv_qr import (
    Merchant,
    crc16,
    parsed,
    payment_code,
    sealed,
    template,
)

# EMV QR Code Specification, Merchant-Presented Mode 1.1, the example of its annex.
EXAMPLE = (
    "00020101021229300012D156000000000510A93FO3230Q31280012D15600000001030812345678520441115802CN"
    "5914BEST TRANSPORT6007BEIJING64200002ZH0104最佳运输0202北京540523.72530315655020162330304"
    "12340603***0708A60086670902ME91320016A0112233449988770708123456786304A13A"
)
SHOP = Merchant((("29", "0012D156000000000510A93FO3230Q"),), "HAPPY FRUIT", "SEOUL")

ids = st.integers(0, 99).map(lambda number: f"{number:02d}")
values = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=99)
ascii_text = st.text(string.ascii_letters + string.digits + " .-", min_size=1, max_size=25)


def test_the_specifications_example_is_written_byte_for_byte():
    account = template([("00", "D15600000000"), ("05", "A93FO3230Q")])
    other_account = template([("00", "D15600000001"), ("03", "12345678")])
    objects = [
        ("00", "01"),
        ("01", "12"),
        ("29", account),
        ("31", other_account),
        ("52", "4111"),
        ("58", "CN"),
        ("59", "BEST TRANSPORT"),
        ("60", "BEIJING"),
        ("64", template([("00", "ZH"), ("01", "最佳运输"), ("02", "北京")])),
        ("54", "23.72"),
        ("53", "156"),
        ("55", "01"),
        ("62", template([("03", "1234"), ("06", "***"), ("07", "A6008667"), ("09", "ME")])),
        ("91", template([("00", "A011223344998877"), ("07", "12345678")])),
    ]

    assert sealed(objects).encode() == EXAMPLE.encode()
    assert parsed(EXAMPLE) == [*objects, ("63", "A13A")]


def test_the_checksum_is_the_one_of_its_catalogue():
    assert crc16(b"123456789") == 0x29B1  # CRC-16/IBM-3740, known as CCITT-FALSE
    assert crc16(b"") == 0xFFFF


def test_a_sale_asks_for_its_amount_in_won_under_its_number():
    code = payment_code(SHOP, 6500, "KRW", "1-261122-0042")

    fields = dict(parsed(code))
    assert (fields["00"], fields["01"]) == ("01", "12")
    assert (fields["53"], fields["54"]) == ("410", "6500")
    assert (fields["29"], fields["52"], fields["58"]) == (SHOP.accounts[0][1], "5499", "KR")
    assert (fields["59"], fields["60"]) == ("HAPPY FRUIT", "SEOUL")
    assert parsed(fields["62"]) == [("05", "1-261122-0042")]
    assert "64" not in fields
    assert next(iter(fields)) == "00"
    assert list(fields)[-1] == "63"


def test_cents_follow_a_point():
    assert dict(parsed(payment_code(SHOP, 1205, "USD", "1")))["54"] == "12.05"


def test_a_korean_name_is_in_the_language_template():
    shop = Merchant(SHOP.accounts, "HAPPY FRUIT", "SEOUL", name_ko="행복과일")
    fields = dict(parsed(payment_code(shop, 6500, "KRW", "1")))

    assert parsed(fields["64"]) == [("00", "KO"), ("01", "행복과일")]


@given(st.lists(st.tuples(ids, values), min_size=1, max_size=12))
def test_what_is_written_is_read_again(objects):
    assert parsed(template(objects)) == objects
    assert parsed(sealed(objects))[:-1] == objects


@given(st.lists(st.tuples(ids, values), min_size=1, max_size=5))
def test_a_payload_with_its_checksum_behind_it_checks_to_zero(objects):
    payload = sealed(objects)

    checksum = bytes.fromhex(payload[-4:])
    assert crc16(payload[:-4].encode() + checksum) == 0


@given(st.binary(min_size=1, max_size=60), st.data())
def test_one_changed_byte_changes_the_checksum(data, draw):
    at = draw.draw(st.integers(0, len(data) - 1))
    other = draw.draw(st.integers(0, 255).filter(lambda byte: byte != data[at]))

    assert crc16(data[:at] + bytes([other]) + data[at + 1 :]) != crc16(data)


@given(st.integers(1, 10**9), ascii_text, ascii_text)
def test_every_sale_can_be_read_back(amount_minor, name, reference):
    shop = Merchant(SHOP.accounts, name, "SEOUL")
    fields = dict(parsed(payment_code(shop, amount_minor, "KRW", reference)))

    assert (int(fields["54"]), fields["59"]) == (amount_minor, name)
    assert parsed(fields["62"]) == [("05", reference)]


@pytest.mark.parametrize(
    "broken", ["0", "000", "0002", "000201x", "0003ab", "00ab01", "0000", "٠٠٠٢01", "-102ab"]
)
def test_what_does_not_add_up_is_not_read(broken):
    with pytest.raises(ValueError, match=r"object|id and length"):
        parsed(broken)


@pytest.mark.parametrize(
    "wrong", [("0", "x"), ("a1", "x"), ("٠١", "x"), ("00", ""), ("00", "x" * 100)]
)
def test_what_has_no_place_is_not_written(wrong):
    with pytest.raises(ValueError, match=r"id|characters"):
        template([wrong])


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"accounts": ()}, "account"),
        ({"accounts": (("52", "x"),)}, "account"),
        ({"accounts": (("01", "x"),)}, "account"),
        ({"name": "과일"}, "name"),
        ({"name": "x" * 26}, "name"),
        ({"city": "x" * 16}, "city"),
        ({"category": "12"}, "category"),
        ({"category": "12a4"}, "category"),
        ({"name_ko": "가" * 26}, "name_ko"),
    ],
)
def test_a_merchant_that_cannot_be_is_refused(fields, says):
    whole = {"accounts": SHOP.accounts, "name": "FRUIT", "city": "SEOUL"}
    with pytest.raises(ValueError, match=says):
        Merchant(**{**whole, **fields})


@pytest.mark.parametrize(
    ("amount_minor", "currency", "reference", "says"),
    [
        (6500, "CHF", "1", "CHF"),
        (6500, "KRW", "", "reference"),
        (6500, "KRW", "x" * 26, "reference"),
        (6500, "KRW", "왼쪽-261122-0001", "reference"),
        (10**13, "KRW", "1", "amount"),
    ],
)
def test_a_sale_that_does_not_fit_is_refused(amount_minor, currency, reference, says):
    with pytest.raises(ValueError, match=says):
        payment_code(SHOP, amount_minor, currency, reference)
