"""What people read wherever it is asked for or refused: ways to pay, and refusals."""

from __future__ import annotations

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from app.errors import CheckoutError

MESSAGES = {
    "bad_request": _l("That was not understood. Please try again."),
    "invalid_payment": _l("That was not understood. Please try again."),
    "cash_missing": _l("Enter the amount of cash received, in digits."),
    "cash_short": _l("The cash received is less than the total."),
    "approval_missing": _l("Enter the approval number: 4 to 20 letters, digits or hyphens."),
    "paid_already": _l("This order has been paid already. Give this money back."),
    "reference_used": _l("This payment has already paid another order."),
    "provider_unavailable": _l("The payment service does not answer. Please try again."),
    "busy": _l("That was too fast. Please wait a moment."),
    "invalid_quantity": _l("Choose a quantity from 1 to 99."),
    "unknown_item": _l("This item is not for sale. Please ask the clerk."),
    "line_not_found": _l("This line is no longer in the basket."),
    "cart_frozen": _l("The basket is being paid. Cancel the payment to change it."),
    "version_conflict": _l("The basket has changed. Please look at it and try again."),
    "cart_empty": _l("Put your fruit on the counter."),
    "unpriced": _l("An item has no price. Please ask the clerk."),
    "unsure": _l("Please tap what the marked fruit is."),
    "not_recognised": _l("Something is not recognised. Please look at your basket."),
    "not_settled": _l("Please keep still for a moment …"),
    "camera_down": _l("The camera is not working. Please ask the clerk."),
    "detector_down": _l("Fruit cannot be recognised now. Please ask the clerk."),
    "prices_missing": _l("There are no prices yet. Please ask the clerk."),
    "order_not_found": _l("This order does not exist."),
    "illegal_transition": _l("This order has already been finished."),
    "refund_choice": _l("Choose how many of which fruit to refund."),
    "refund_too_much": _l("That is more than was paid and not yet refunded."),
    "refund_nothing_left": _l("There is nothing left to refund."),
    "refund_reason": _l("Give the reason, in at most 200 characters."),
    "refund_meanwhile": _l(
        "This order was refunded in the meantime. Look at it again before you give money back."
    ),
    "invalid_period": _l("Choose a first and a last day, at most 366 days."),
    "too_many_rows": _l("That is too much to export at once. Choose fewer days."),
    "store_unavailable": _l("Sales cannot be saved now. Please ask the clerk."),
    "error": _l("Something went wrong. Please ask the clerk."),
}


def way_names() -> dict[str, str]:
    """Every way to pay, as people call it."""
    return {
        "clerk": _("At the clerk's"),
        "cash": _("Cash"),
        "card": _("Card"),
        "qr": _("QR code"),
        "portone": _("Pay online"),
    }


def message_for(code: str, otherwise: str | None = None) -> str:
    """The sentence for an error's code; ``otherwise`` (in English) when there is none."""
    return str(MESSAGES.get(code, otherwise or MESSAGES["error"]))


def refusal(error: CheckoutError) -> dict[str, object]:
    """What a refused program reads: {"ok": False, "code", "message"}."""
    return {"ok": False, "code": error.code, "message": message_for(error.code, str(error))}
