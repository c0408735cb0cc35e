"""Ways to pay: their names, the code on the customer's screen, and what payment providers tell."""

from __future__ import annotations

import io
import logging
import time
from typing import Any

import segno
from flask import Blueprint, jsonify, make_response, redirect, render_template, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from app.errors import CheckoutError, OrderNotFound
from app.shop.money import format_minor
from app.shop.order import Order, OrderStatus
from app.store.payments.desk import Taken
from app.store.payments.emv_qr import payment_code
from app.store.payments.messages import check_signature, read_message
from app.store.payments.portone_desk import PortOneDesk
from app.web.answers import error_page, refuse
from app.web.forms import whole
from app.web.language import chosen_language
from app.web.parts_here import parts
from app.web.present import seconds_left
from app.web.security import HEADERS, csrf
from app.web.texts import refusal

log = logging.getLogger("checkout.payments")
payments = Blueprint("payments", __name__, url_prefix="/payments")

STATUS_OF_VERDICT = {"paid": 200, "noted": 200, "differs": 422, "late": 409}
PORTONE_SCRIPT = "https://cdn.portone.io"
# The gateway's window loads pages of card companies and banks, whose addresses nobody can list.
PORTONE_HEADERS = {
    "Content-Security-Policy": f"script-src 'self' {PORTONE_SCRIPT}; connect-src 'self' https:;"
    " frame-src https:; img-src 'self' https: data:; style-src 'self' 'unsafe-inline';"
    " form-action 'self' https:; default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
}


@payments.get("/<int:order_id>/qr.svg")
def code_picture(order_id: int) -> Response:
    """The code of the order that waits for it, as a picture; 404 for any other."""
    order, merchant = waiting_order(order_id, "qr"), parts().payments.merchant
    if merchant is None:
        raise OrderNotFound("This shop shows no codes: see CHECKOUT_PAYMENTS.")
    code = payment_code(merchant, order.total_minor, order.currency, order.number)
    picture = io.BytesIO()
    segno.make_qr(code, error="m").save(picture, kind="svg", omitsize=True, light="#fff", border=4)
    return make_response(picture.getvalue(), {"Content-Type": "image/svg+xml"})


@payments.post("/extend")
def extend() -> Response:
    """Give the customer the whole time once more: ``order_id``."""
    parts().checkout.extend(whole(request.form, "order_id"))
    return redirect(url_for("customer.show"), 303)


@payments.post("/webhook")
@csrf.exempt
def webhook() -> Response:
    """Take a signed message of a payment provider; docs/payments.md says how it is made."""
    secret = parts().payments.webhook_secret
    if secret is None:
        raise OrderNotFound("No provider is connected: set CHECKOUT_WEBHOOK_SECRET.")
    body = request.get_data()
    check_signature(secret, dict(request.headers), body, time.time())
    return told_answer(parts().desk.take(read_message(body)))


@payments.get("/portone")
def portone_window() -> Response:
    """The page that opens the gateway's window for the order that waits for it.

    The gateway sends phones back to it, with ``paymentId``: then it is asked what became of it.
    """
    desk, order = portone_here(), parts().checkout.current_order()
    if order is not None and order.method == "portone" and "paymentId" in request.args:
        desk.ask(order)
        return redirect(url_for("customer.show"), 303)
    if order is None or order.status is not OrderStatus.AWAITING_PAYMENT:
        return redirect(url_for("customer.show"), 303)  # paid, or given up
    order = waiting_order(order.id or 0, "portone")
    portone = desk.portone
    portone.announce(order)
    html = render_template(
        "portone.html",
        order=order,
        payment_id=portone.payment_id(order),
        settings=portone.settings,
        script=f"{PORTONE_SCRIPT}/v2/browser-sdk.js",
        total=format_minor(order.total_minor, order.currency, chosen_language()),
        left_s=seconds_left(order),
    )
    return make_response(html, {**HEADERS, **PORTONE_HEADERS})


@payments.post("/<int:order_id>/check")
def check(order_id: int) -> Response:
    """Ask PortOne what became of an order that waits for it; browsers are not believed."""
    order = parts().orders.get(order_id)
    paid = parts().orders.payment(order_id)
    if order.method == "portone" and (paid is None or paid.method != "portone"):
        portone_here().ask(order)
    page = "clerk.show" if current_user.is_authenticated else "customer.show"
    return redirect(url_for(page), 303)


@payments.post("/portone/webhook")
@csrf.exempt
def portone_webhook() -> Response:
    """PortOne says that something happened; what it was is asked of its REST interface."""
    desk = portone_here()
    number = desk.portone.order_number_in(request.get_data(), dict(request.headers))
    order = parts().orders.find(number) if number else None
    if order is None:
        return jsonify({"ok": True, "order": None})  # nothing of ours: it need not come again
    taken = desk.ask(order)
    return told_answer(taken, 200) if taken else jsonify({"ok": True, "order": order.number})


@payments.errorhandler(CheckoutError)
def refused(error: CheckoutError) -> Response:
    """Providers read JSON, people a page."""
    if request.path.endswith("/webhook"):
        log.warning("message_refused path=%s code=%s", request.path, error.code)
        return make_response(jsonify(refusal(error)), error.http_status)
    return refuse(error, error_page)


def told_answer(taken: Taken, status: int | None = None) -> Response:
    """What a provider reads; a message that comes again is thanked for, whatever it said."""
    answer: dict[str, Any] = {
        "ok": taken.verdict in ("paid", "noted"),
        "order": taken.order.number,
        "status": str(taken.order.status),
        "verdict": taken.verdict,
        "repeated": taken.repeated,
    }
    code = 200 if taken.repeated else STATUS_OF_VERDICT[taken.verdict]
    return make_response(jsonify(answer), status or code)


def waiting_order(order_id: int, method: str) -> Order:
    """The lane's order, if it is this one and waits to be paid in this way; OrderNotFound."""
    order = parts().checkout.current_order()
    waits = order is not None and order.status is OrderStatus.AWAITING_PAYMENT
    if order is None or not waits or (order.id, order.method) != (order_id, method):
        raise OrderNotFound("This order does not wait for such a payment.")
    return order


def portone_here() -> PortOneDesk:
    """The shop's account at PortOne; OrderNotFound when it has none."""
    portone = parts().portone
    if portone is None:
        raise OrderNotFound("This shop does not use PortOne: see CHECKOUT_PAYMENTS.")
    return portone
