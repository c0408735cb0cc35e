"""A provider's messages: only those that it signed, only now, only as agreed."""

import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import BadSignature, InvalidInput
from app.store.payments.messages import (
    SIGNATURE_HEADER,
    TIME_HEADER,
    WINDOW_S,
    check_signature,
    read_message,
    signature_of,
)

SECRET = "s" * 32
NOW_S = 1_800_000_000
BODY = b'{"id": "evt-1"}'
GOOD = {
    "id": "evt-1",
    "type": "payment.confirmed",
    "order": "1-261122-0042",
    "amount": 6500,
    "currency": "KRW",
}


def headers(sent_at: object = NOW_S, body: bytes = BODY, secret: str = SECRET) -> dict[str, str]:
    return {
        TIME_HEADER: str(sent_at),
        SIGNATURE_HEADER: signature_of(secret, str(sent_at), body),
    }


def refused_with(given_headers: dict[str, str], body: bytes = BODY) -> str:
    with pytest.raises(BadSignature) as refused:
        check_signature(SECRET, given_headers, body, NOW_S)
    assert refused.value.http_status == 401
    return refused.value.code


def test_the_signature_is_plain_hmac_sha256_over_time_point_and_body():
    right = hmac.new(SECRET.encode(), b"1800000000." + BODY, hashlib.sha256).hexdigest()
    assert signature_of(SECRET, "1800000000", BODY) == f"v1={right}"
    check_signature(SECRET, headers(), BODY, NOW_S)


@pytest.mark.parametrize("age_s", [-WINDOW_S, -1, 0, 1, WINDOW_S])
def test_five_minutes_either_way_are_now(age_s):
    check_signature(SECRET, headers(NOW_S - age_s), BODY, NOW_S)


@pytest.mark.parametrize("age_s", [-WINDOW_S - 1, WINDOW_S + 1, NOW_S])
def test_what_is_older_or_from_the_future_is_stale(age_s):
    assert refused_with(headers(NOW_S - age_s)) == "stale_message"


@pytest.mark.parametrize("time", ["", "soon", "1.8e9", "-1800000000", "١٨٠٠٠٠٠٠٠٠", "9" * 5000])
def test_a_time_that_is_none_is_stale_even_when_signed(time):
    assert refused_with(headers(time)) == "stale_message"


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {SIGNATURE_HEADER: headers()[SIGNATURE_HEADER]},
        {**headers(), SIGNATURE_HEADER: ""},
        {**headers(), SIGNATURE_HEADER: headers()[SIGNATURE_HEADER][3:]},
        {**headers(), SIGNATURE_HEADER: "v1=" + "0" * 64},
        {**headers(), SIGNATURE_HEADER: "v1=서명"},
        {**headers(), TIME_HEADER: str(NOW_S + 1)},
        headers(secret="t" * 32),
    ],
)
def test_what_was_not_signed_so_is_refused(changed):
    assert refused_with(changed) == "bad_signature"


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_a_signature_fits_its_own_body_only(body, other):
    signed = headers(body=body)
    check_signature(SECRET, signed, body, NOW_S)
    if other != body:
        assert refused_with(signed, other) == "bad_signature"


def test_a_message_is_read():
    told = read_message(json.dumps({**GOOD, "reference": "tx-9"}).encode())

    assert (told.event, told.order_number) == ("evt-1", "1-261122-0042")
    assert (told.amount_minor, told.currency, told.paid) == (6500, "KRW", True)
    assert (told.reference, told.method, told.by) == ("tx-9", "qr", "webhook")


def test_a_message_about_no_money_says_why():
    told = read_message(
        json.dumps({**GOOD, "type": "payment.failed", "reason": "잔액 부족"}).encode()
    )

    assert (told.paid, told.reason) == (False, "잔액 부족")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"[" * 100_000,
        *(
            json.dumps({**GOOD, **change}).encode()
            for change in (
                {"id": ""},
                {"id": None},
                {"id": 7},
                {"id": "x" * 101},
                {"order": ""},
                {"order": "a\nb"},
                {"type": "payment.maybe"},
                {"type": ["payment.confirmed"]},
                {"amount": "6500"},
                {"amount": 6500.0},
                {"amount": True},
                {"amount": -1},
                {"amount": 10**15},
                {"currency": ""},
                {"reference": "x" * 101},
                {"reason": "x" * 201},
            )
        ),
    ],
)
def test_what_is_not_as_agreed_is_refused_in_one_line(body):
    with pytest.raises(InvalidInput) as refused:
        read_message(body)
    assert "\n" not in str(refused.value)
