"""Signed messages of a payment provider: who sent them, when, and what they say.

The signature is HMAC-SHA256 over the time, a point and the body as it was sent, byte for byte.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping

from app.errors import BadSignature, InvalidInput
from app.store.payments.owed import Told

TIME_HEADER = "Checkout-Timestamp"
SIGNATURE_HEADER = "Checkout-Signature"
WINDOW_S = 300
SECRET_MIN_LENGTH = 32
MAX_TEXT_LENGTH, MAX_REASON_LENGTH = 100, 200
TYPES = {"payment.confirmed": True, "payment.failed": False}  # whether money came


def signature_of(secret: str, sent_at: str, body: bytes) -> str:
    """Sign a body; sent_at: Unix time in whole seconds, as its header says it."""
    message = sent_at.encode() + b"." + body
    return "v1=" + hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def check_signature(secret: str, headers: Mapping[str, str], body: bytes, now_s: float) -> None:
    """Return when the body was signed with the secret within five minutes of now.

    Raises BadSignature, with the code ``bad_signature`` or ``stale_message``.
    """
    sent_at, signature = headers.get(TIME_HEADER, ""), headers.get(SIGNATURE_HEADER, "")
    right = signature_of(secret, sent_at, body)
    if not hmac.compare_digest(signature.encode(), right.encode()):
        raise BadSignature(f"Sign the body: {SIGNATURE_HEADER} is not right.")
    plain = sent_at.isascii() and sent_at.isdigit() and len(sent_at) <= 12
    if not plain or abs(now_s - int(sent_at)) > WINDOW_S:
        raise BadSignature(
            f"{TIME_HEADER} must be within {WINDOW_S} s of now, in Unix seconds.", "stale_message"
        )


def read_message(body: bytes, by: str = "webhook") -> Told:
    """Read what a message says; InvalidInput, naming the field, when it is not as agreed."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("The body must be JSON.") from error
    if not isinstance(data, dict):
        raise InvalidInput("The body must be one JSON object.")
    kind = data.get("type")
    if not isinstance(kind, str) or kind not in TYPES:
        raise InvalidInput(f"'type' must be one of {', '.join(TYPES)}")
    amount = data.get("amount")
    if type(amount) is not int or not 0 <= amount < 10**15:
        raise InvalidInput("'amount' must be a whole number of minor units")
    return Told(
        event=_text(data, "id"),
        order_number=_text(data, "order"),
        amount_minor=amount,
        currency=_text(data, "currency"),
        paid=TYPES[kind],
        method="qr",
        by=by,
        reference=_text(data, "reference", ""),
        reason=_text(data, "reason", "no reason given", MAX_REASON_LENGTH),
    )


def _text(
    data: Mapping[str, object],
    name: str,
    otherwise: str | None = None,
    longest: int = MAX_TEXT_LENGTH,
) -> str:
    value = data.get(name, otherwise)
    if not isinstance(value, str) or len(value) > longest or not value.isprintable():
        raise InvalidInput(f"'{name}' must be printable, at most {longest} characters")
    if not value and otherwise is None:
        raise InvalidInput(f"'{name}' is missing")
    return value
