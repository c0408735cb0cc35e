"""Turns the domain's values into what browsers are sent; needs an app context for translations."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from functools import cache
from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext

from app.settings import ROOT
from app.shop.cart import CartSnapshot, Line, Question
from app.shop.money import format_minor
from app.shop.order import Order, OrderStatus
from app.shop.payable import why_not
from app.vision.lane import LaneState
from app.web.receipt_links import receipt_path, receipt_url
from app.web.texts import message_for

PICTURES = ROOT / "static" / "fruit"
ORDER_FIELDS = (
    *("id", "number", "status", "total", "total_text", "currency", "method", "left_s", "code_url"),
    *("receipt", "receipt_code"),
)


@cache
def picture_url(key: str) -> str:
    """Address of the drawing of an item; a plain one for an item that has none."""
    known = re.fullmatch(r"\w+", key) and (PICTURES / f"{key}.svg").is_file()
    return f"/static/fruit/{key if known else 'unknown'}.svg"


def cart_payload(cart: CartSnapshot, language: str) -> dict[str, Any]:
    """The ``cart`` event; amounts in minor units, and each as text beside it."""
    return {
        "lane": cart.lane,
        "version": cart.version,
        "status": cart.status,
        "currency": cart.currency,
        "total": cart.total,
        "total_text": format_minor(cart.total, cart.currency, language),
        "summary_text": summary(cart, language),
        "lines": [line_payload(line, cart.currency, language) for line in cart.lines],
        "unpriced": list(cart.unpriced),
        "unsure": [
            question_payload(question, cart.currency, language) for question in cart.questions
        ],
        "order_id": cart.order_id,
    }


def line_payload(line: Line, currency: str, language: str) -> dict[str, Any]:
    """One line of the ``cart`` event; no price is null, never 0."""
    return {
        "id": line.id,
        "key": line.key,
        "name": line.name(language),
        "quantity": line.quantity,
        "unit_price": line.unit_price,
        "unit_price_text": price_text(line.unit_price, currency, language),
        "amount": line.amount,
        "amount_text": price_text(line.amount, currency, language),
        "source": line.source,
        "picture": picture_url(line.key),
    }


def question_payload(question: Question, currency: str, language: str) -> dict[str, Any]:
    """A fruit that somebody has to name: the line it counts in, and what may be tapped.

    No line and no choices for a thing that is not recognised.
    """
    return {
        "fruit": question.fruit,
        "line": question.line_id,
        "choices": [line_payload(line, currency, language) for line in question.choices],
    }


def price_text(amount_minor: int | None, currency: str, language: str) -> str:
    """An amount for people; without one "ask the clerk"."""
    if amount_minor is None:
        return _("ask the clerk")
    return format_minor(amount_minor, currency, language)


def summary(cart: CartSnapshot, language: str) -> str:
    """One sentence for a screen reader."""
    if cart.status != "open":
        paid = cart.status == "paid"
        return _("Paid. Thank you!") if paid else _("Waiting for the payment to be confirmed.")
    count = sum(line.quantity for line in cart.lines)
    if count == 0:
        return _("The basket is empty.")
    total = format_minor(cart.total, cart.currency, language)
    return ngettext(
        "%(num)d fruit, total %(total)s", "%(num)d fruits, total %(total)s", count, total=total
    )


def order_payload(order: Order | None, language: str) -> dict[str, Any]:
    """The ``order`` event; all null when the lane has no current order."""
    if order is None:
        return dict.fromkeys(ORDER_FIELDS)
    waits = order.status is OrderStatus.AWAITING_PAYMENT
    return {
        "id": order.id,
        "number": order.number,
        "status": str(order.status),
        "total": order.total_minor,
        "total_text": format_minor(order.total_minor, order.currency, language),
        "currency": order.currency,
        "method": order.method,
        "left_s": seconds_left(order) if waits else None,
        "code_url": f"/payments/{order.id}/qr.svg" if waits and order.method == "qr" else None,
        **receipt_payload(order),
    }


def receipt_payload(order: Order) -> dict[str, str | None]:
    """Where a paid order's receipt is, and its code if phones reach this checkout."""
    path = receipt_path(order.id or 0) if order.sold else None
    code = f"{path}/code.svg" if path and receipt_url(order.id or 0) else None
    return {"receipt": path, "receipt_code": code}


def seconds_left(order: Order) -> int | None:
    """Whole seconds until an order can no longer be paid, 0 or more; None when it waits for ever.

    Not the moment itself: a browser's clock may be wrong.
    """
    if order.expires_at is None:
        return None
    return max(0, math.ceil((order.expires_at - datetime.now(UTC)).total_seconds()))


def lane_payload(state: LaneState, cart: CartSnapshot) -> dict[str, Any]:
    """The ``lane`` event, and with it whether one may pay now."""
    return {
        "camera": state.camera,
        "settled": state.settled,
        "fps": round(state.fps, 1),
        "pay": pay_payload(cart, state),
    }


def pay_payload(cart: CartSnapshot, state: LaneState) -> dict[str, Any]:
    """What the pay button says: allowed, or the reason why not."""
    reason = why_not_payable(cart, state)
    message = message_for(reason) if reason else ""
    return {"allowed": reason is None, "reason": reason, "message": message}


def why_not_payable(cart: CartSnapshot, state: LaneState) -> str | None:
    """The code of what stands in the way; a hint for the screen, the checkout itself decides."""
    if cart.status != "open":
        return "cart_frozen"
    reason = why_not(cart, state.counting, state.settled)
    if reason == "cart_empty" and not state.counting:
        reason = "camera_down"  # it is no use to put fruit there
    return "detector_down" if reason == "camera_down" and state.camera == "ok" else reason
