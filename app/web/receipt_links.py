"""The address of a receipt: nobody guesses it, and it names nobody."""

from __future__ import annotations

import hashlib

from flask import current_app
from itsdangerous import BadSignature, URLSafeSerializer

from app.errors import OrderNotFound


def receipt_path(order_id: int) -> str:
    """The path of an order's receipt, signed with HMAC-SHA-256 and this shop's secret key."""
    return f"/receipt/{_signer().dumps(order_id)}"


def receipt_url(order_id: int) -> str | None:
    """The receipt's address for a customer's phone; None when none is known to work there."""
    base = current_app.config["PUBLIC_URL"]
    return f"{base}{receipt_path(order_id)}" if base else None


def order_id_in(token: str) -> int:
    """The order that a receipt's address is about; OrderNotFound when we did not write it."""
    try:
        order_id: int = _signer().loads(token)
    except BadSignature as error:
        raise OrderNotFound("There is no such receipt.") from error
    return order_id


def _signer() -> URLSafeSerializer:
    key = current_app.config["SECRET_KEY"]
    return URLSafeSerializer(key, "receipt", signer_kwargs={"digest_method": hashlib.sha256})
