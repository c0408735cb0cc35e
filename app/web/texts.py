"""What people read when something is refused, in their language."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from app.errors import CheckoutError

MESSAGES = {
    "bad_request": _l("That was not understood. Please try again."),
    "invalid_payment": _l("That was not understood. Please try again."),
    "cash_missing": _l("Enter the amount of cash received, in digits."),
    "cash_short": _l("The cash received is less than the total."),
    "approval_missing": _l("Enter the approval number: 4 to 20 letters, digits or hyphens."),
    "reference_used": _l("This payment has already paid another order."),
    "provider_unavailable": _l("The payment service does not answer. Please try again."),
    "busy": _l("That was too fast. Please wait a moment."),
    "invalid_quantity": _l("Choose a quantity from 1 to 99."),
    "unknown_item": _l("This item is not for sale. Please ask the clerk."),
    "line_not_found": _l("This line is no longer in the basket."),
    "cart_frozen": _l("The basket is being paid. Cancel the payment to change it."),
    "version_conflict": _l("The basket has changed. Please check it and pay again."),
    "cart_empty": _l("Put your fruit on the counter."),
    "unpriced": _l("An item has no price. Please ask the clerk."),
    "not_settled": _l("Please keep still for a moment …"),
    "camera_down": _l("The camera is not working. Please ask the clerk."),
    "detector_down": _l("Fruit cannot be recognised now. Please ask the clerk."),
    "prices_missing": _l("There are no prices yet. Please ask the clerk."),
    "order_not_found": _l("This order does not exist."),
    "illegal_transition": _l("This order has already been finished."),
    "store_unavailable": _l("Sales cannot be saved now. Please ask the clerk."),
    "error": _l("Something went wrong. Please ask the clerk."),
}


def message_for(code: str, otherwise: str | None = None) -> str:
    """The sentence for an error's code; ``otherwise`` (in English) when there is none."""
    return str(MESSAGES.get(code, otherwise or MESSAGES["error"]))


def refusal(error: CheckoutError) -> dict[str, object]:
    """What a refused program reads: {"ok": False, "code", "message"}."""
    return {"ok": False, "code": error.code, "message": message_for(error.code, str(error))}
