"""Orders to look up, and money to give back."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from app.errors import (
    CheckoutError,
    InvalidInput,
    InvalidRefund,
    OrderNotFound,
    StoreUnavailable,
)
from app.shop.money import format_minor
from app.shop.order import Order, OrderStatus
from app.shop.payment import MAX_REASON_LENGTH
from app.shop.period import today
from app.shop.refund import RefundRequest, quantities_left
from app.web.answers import error_page, refuse
from app.web.forms import day, text, whole
from app.web.language import chosen_language
from app.web.parts_here import parts
from app.web.receipt_links import order_id_in
from app.web.security import for_roles
from app.web.texts import way_names

orders = Blueprint("orders", __name__, url_prefix="/clerk/orders")
staff = for_roles("clerk", "owner")
PER_PAGE = 50
DRAWER = ("cash", "clerk")  # methods whose money goes back from hand to hand, without a number
RECEIPT = re.compile(r"(?:.*/receipt/)?([\w.-]+)(?:[/?].*)?")  # its address, or the end of it


@orders.get("")
@staff
def show_all() -> str | Response:
    """The orders of a ``day`` (default today), ``before`` one; ``find`` goes to a single one."""
    if "find" in request.args:
        return redirect(url_for("orders.show", order_id=found(text(request.args, "find"))), 303)
    return list_page()


@orders.get("/<int:order_id>")
@staff
def show(order_id: int) -> str:
    """One order, with all that happened to its money."""
    return order_page(parts().orders.get(order_id))


@orders.post("/<int:order_id>/refund")
@staff
def refund(order_id: int) -> Response:
    """Give money back: ``what`` is "all" that is left, or "lines" with ``quantity-POSITION``."""
    given = parts().orders.refund(order_id, wish(request.form), current_user.name)
    return redirect(url_for("orders.show", order_id=order_id, given=given.number), 303)


@orders.errorhandler(CheckoutError)
def refused(error: CheckoutError) -> Response:
    """The page as it is now, with one sentence about what was refused."""
    order_id = (request.view_args or {}).get("order_id")
    if order_id is None:
        return refuse(error, list_page)
    if isinstance(error, OrderNotFound):
        return refuse(error, error_page)
    # The same wish again, when nobody knows whether it was written: it never refunds twice.
    again = request.form if isinstance(error, StoreUnavailable) else None
    return refuse(error, lambda alert: order_page(parts().orders.get(order_id), alert, again))


def found(words: str) -> int:
    """The id of the order with this number, or of this receipt; OrderNotFound for others."""
    order = parts().orders.find(words.strip())
    if order is not None:
        return order.id or 0
    receipt = RECEIPT.fullmatch(words.strip())
    return order_id_in(receipt[1] if receipt else "")


def wish(form: Mapping[str, str]) -> RefundRequest:
    """What a clerk asks for. Raises InvalidInput, InvalidRefund for a choice of nothing."""
    reason, reference = form.get("reason", ""), form.get("provider_reference", "").strip()
    if not reason.isprintable():
        raise InvalidInput("'reason' must be printable characters only")
    return RefundRequest(
        reason,
        text(form, "idempotency_key"),
        None if form.get("what") == "all" else chosen_quantities(form),
        reference and text({"reference": reference}, "reference"),
        whole(form, "refunds_seen"),
    )


def chosen_quantities(form: Mapping[str, str]) -> dict[int, int]:
    """How many of which line, from 0; lines with none left out."""
    chosen = {}
    for name in form:
        field, _dash, position = name.partition("-")
        if field == "quantity" and position.isdecimal() and form[name] not in ("", "0"):
            chosen[whole({"position": position}, "position")] = whole(form, name)
    if not chosen:
        raise InvalidRefund("Choose how many of which fruit to refund.", "refund_choice")
    return chosen


def list_page(alert: str = "") -> str:
    """Render the orders of a day; alert: one sentence shown on top."""
    of_day = day(request.args, "day", today())
    before = whole(request.args, "before") if "before" in request.args else None
    listed = parts().orders.of_day(of_day, before, PER_PAGE)
    return render_template(
        "orders.html",
        alert=alert,
        day=of_day,
        today=today(),
        orders=listed,
        older=listed[-1].id if len(listed) == PER_PAGE else None,
        **words(),
    )


def order_page(order: Order, alert: str = "", again: Mapping[str, str] | None = None) -> str:
    """Render one order; alert: one sentence shown on top; again: a form to be sent once more."""
    again = again or {}
    refunds, payments = (
        parts().orders.refunds(order.id or 0),
        parts().orders.payments(order.id or 0),
    )
    paid = parts().orders.payment(order.id or 0)
    given = request.args.get("given", type=int)
    return render_template(
        "orders_one.html",
        alert=alert,
        order=order,
        payments=payments,
        in_the_drawer=paid is not None and paid.method in DRAWER,
        refunds=refunds,
        given=next((refund for refund in refunds if refund.number == given), None),
        left=quantities_left(order, refunds) if order.sold else {},
        idempotency_key=again.get("idempotency_key") or secrets.token_urlsafe(16),
        refunds_seen=again.get("refunds_seen") or len(refunds),
        most_reason=MAX_REASON_LENGTH,
        **words(),
    )


def words() -> dict[str, object]:
    """What both pages say in the reader's language."""
    language = chosen_language()
    return {
        "money": lambda minor, currency: format_minor(minor, currency, language),
        "ways": way_names(),
        "statuses": status_names(),
    }


def status_names() -> dict[OrderStatus, str]:
    """What people call each status."""
    return {
        OrderStatus.OPEN: _("Open"),
        OrderStatus.AWAITING_PAYMENT: _("Waiting for payment"),
        OrderStatus.PAID: _("Paid"),
        OrderStatus.PARTLY_REFUNDED: _("Partly refunded"),
        OrderStatus.REFUNDED: _("Refunded"),
        OrderStatus.CANCELLED: _("Cancelled"),
        OrderStatus.EXPIRED: _("Expired"),
    }
