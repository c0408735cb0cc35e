"""The clerk's screen: who waits to pay, who calls for help."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from app.errors import CheckoutError, InvalidPayment
from app.shop.money import EXPONENTS, format_minor, likely_cash, to_major_text
from app.shop.order import Order
from app.shop.payment import Payment, Proof
from app.web.answers import refuse
from app.web.forms import cash, text, whole_or_none
from app.web.language import chosen_language
from app.web.parts_here import parts
from app.web.security import for_roles
from app.web.texts import way_names

clerk = Blueprint("clerk", __name__, url_prefix="/clerk")
staff = for_roles("clerk", "owner")
TOLD = ("qr", "portone")  # methods whose provider tells of the money


@clerk.get("")
@staff
def show() -> str:
    """Waiting orders and calls; with ``part`` in the query only the part that changes."""
    return page()


@clerk.post("/orders/<int:order_id>/confirm")
@staff
def confirm(order_id: int) -> Response:
    """The money is here: ``method``, and ``received`` or ``approval_number`` as it asks for."""
    form, order = request.form, parts().orders.get(order_id)
    proof = Proof(
        received_minor=cash(form, "received", order.currency),
        approval_number=form.get("approval_number", "").strip(),
    )
    method = form.get("method") or order.method
    parts().checkout.confirm(order_id, current_user.name, proof, method)
    refuse_other_money(order, method, proof)
    return redirect(url_for("clerk.show", taken=order_id), 303)


@clerk.post("/orders/<int:order_id>/cancel")
@staff
def cancel(order_id: int) -> Response:
    """No money comes: the basket is open again."""
    parts().checkout.cancel(order_id, current_user.name)
    return back()


@clerk.post("/counter")
@staff
def counter_is_empty() -> Response:
    """A person sees that the counter is empty, where the camera does not.

    ``order_id``: the paid order whose fruit has gone; without it whichever it is.
    """
    parts().checkout.counter_cleared(whole_or_none(request.form, "order_id"))
    parts().notes.note(current_user.name, "counter_cleared")
    return back()


@clerk.post("/owed")
@staff
def gave_back() -> Response:
    """The money of a provider's ``event``, which no order could take, is on its way back."""
    event = text(request.form, "event")
    for told in parts().desk.owed():
        if told.event == event:
            parts().desk.given_back(told, current_user.name)
    return back()


@clerk.post("/call")
@staff
def answer_call() -> Response:
    """Somebody went to help."""
    parts().calls.answer()
    return back()


@clerk.errorhandler(CheckoutError)
def refused(error: CheckoutError) -> Response:
    """The page as it is now, with one sentence about what was refused."""
    return refuse(error, page)


def refuse_other_money(order: Order, method: str, proof: Proof) -> None:
    """Tell a clerk whose money came after another's to give it back; InvalidPayment.

    Who confirms what a provider told, or was about to tell, speaks of the same money.
    """
    paid = parts().orders.payment(order.id or 0)
    if paid is None or (paid.method == method and method in TOLD):
        return
    mine = method, current_user.name, proof.approval_number if method == "card" else ""
    if mine != (paid.method, paid.confirmed_by, paid.approval_number):
        raise InvalidPayment(
            f"Order {order.number} is paid already: give this money back.", "paid_already"
        )


def back() -> Response:
    """To the page, by GET: reloading it sends nothing twice."""
    return redirect(url_for("clerk.show"), 303)


def taken() -> tuple[Order, Payment] | None:
    """The order that this clerk has just taken money for, and how it was paid in the end."""
    order_id = request.args.get("taken", "")
    if not (order_id.isascii() and order_id.isdigit()):
        return None
    order = parts().orders.get(int(order_id[:15]))
    paid = parts().orders.payment(order.id or 0)
    return (order, paid) if paid else None


def ways_of(order: Order) -> list[str]:
    """How the clerk may take an order's money: as the customer chose, cash, or card."""
    likely = (order.method, *(way for way in ("cash", "card") if way in parts().payments.offered))
    return list(dict.fromkeys(likely))


def money(amount_minor: int, currency: str) -> str:
    """An amount for people; a provider may name a currency that this shop never uses."""
    if currency not in EXPONENTS:
        return f"{amount_minor} {currency}"
    return format_minor(amount_minor, currency, chosen_language())


def page(alert: str = "") -> str:
    """Render the screen; alert: one sentence shown on top."""
    lane, order = parts().calls.lane, parts().checkout.current_order()
    return render_template(
        "clerk_orders.html" if "part" in request.args else "clerk.html",
        alert=alert,
        orders=[waiting for waiting in parts().orders.awaiting() if waiting.lane == lane],
        left_to_clear=order if order is not None and order.sold else None,
        call_since=parts().calls.since,
        owed=parts().desk.owed(),
        taken=taken(),
        ways_of=ways_of,
        way_names=way_names(),
        likely_cash=likely_cash,
        plain=to_major_text,
        lane=lane,
        money=money,
    )
