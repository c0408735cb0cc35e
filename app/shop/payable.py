"""What stands between a basket and its payment; the checkout decides by it, screens explain it."""

from __future__ import annotations

from app.errors import CannotPay
from app.shop.cart import CartSnapshot

REASONS = {
    "cart_empty": "The basket is empty.",
    "unpriced": "An item has no price: ask the clerk.",
    "unsure": "Tell what the marked fruit is.",
    "not_recognised": "Add what is not recognised, or say that nothing is missing.",
    "camera_down": "The camera does not answer: ask the clerk.",
    "not_settled": "Wait until the fruit lies still.",
}


def why_not(cart: CartSnapshot, seeing: bool, settled: bool) -> str | None:
    """The code of what stands in the way of an open basket, None when nothing does.

    seeing: whether the camera and the detector work. What was added by hand alone needs neither.
    """
    if not cart.lines:
        return "cart_empty"
    if cart.unpriced:
        return "unpriced"
    if not seeing:
        return "camera_down" if any(line.source == "camera" for line in cart.lines) else None
    if not settled:
        return "not_settled"
    if any(question.choices for question in cart.questions):
        return "unsure"
    return "not_recognised" if cart.questions else None


def check(cart: CartSnapshot, seeing: bool, settled: bool) -> None:
    """Raise CannotPay when something stands in the way."""
    if code := why_not(cart, seeing, settled):
        raise CannotPay(code, REASONS[code])
