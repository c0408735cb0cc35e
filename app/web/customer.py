"""The customer's screen and its forms, which work without JavaScript too."""

from __future__ import annotations

import re
import secrets
from typing import Any

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from app.errors import CheckoutError, InvalidInput
from app.settings import LANGUAGES
from app.shop.money import format_minor
from app.web.answers import refuse
from app.web.forms import text, whole, whole_or_none
from app.web.language import chosen_language
from app.web.parts_here import parts
from app.web.present import cart_payload, lane_payload, order_payload, picture_url
from app.web.texts import message_for, way_names

customer = Blueprint("customer", __name__)
PAGES = re.compile(r"/(clerk(/orders(/\d+)?)?|owner|login)(?![^/])")  # that have the switch too


@customer.get("/")
def show() -> str:
    """The basket as it is now; with ``part`` in the query only what can be added by hand."""
    if "part" in request.args:
        return render_template("_produce.html", produce=produce(chosen_language()))
    return page()


@customer.post("/items")
def add_item() -> Response:
    """Add fruit that the camera missed: ``key``, ``quantity`` (1…99)."""
    parts().checkout.add_item(text(request.form, "key"), whole(request.form, "quantity"))
    return back()


@customer.post("/lines")
def change_line() -> Response:
    """Set a line's quantity: ``id``, ``quantity`` (0 removes it), ``seen``: that on the page."""
    form = request.form
    wish = text(form, "id"), whole(form, "quantity")
    parts().checkout.change_line(*wish, seen=whole_or_none(form, "seen"))
    return back()


@customer.post("/names")
def name_fruit() -> Response:
    """Tell what a fruit in doubt is: ``fruit``, ``key``."""
    parts().checkout.name_fruit(whole(request.form, "fruit"), text(request.form, "key"))
    return back()


@customer.post("/pay")
def pay() -> Response:
    """Pay the version that the page showed: ``cart_version``, ``method``, ``idempotency_key``."""
    form = request.form
    parts().checkout.pay(
        whole(form, "cart_version"), text(form, "method"), text(form, "idempotency_key")
    )
    return back()


@customer.post("/cancel")
def cancel() -> Response:
    """Give up the payment: ``order_id``."""
    parts().checkout.cancel(whole(request.form, "order_id"))
    return back()


@customer.post("/call")
def call_staff() -> Response:
    """Ask for a person."""
    parts().calls.call()
    return back()


@customer.post("/language")
def choose_language() -> Response:
    """Change the language of this browser: ``language``; ``page`` is where to go back to."""
    language = text(request.form, "language")
    if language not in LANGUAGES:
        raise InvalidInput(f"'language' must be one of {', '.join(LANGUAGES)}")
    session["language"] = language
    page = PAGES.match(request.form.get("page", ""))  # a form's own address begins with its page's
    return redirect(page[0] if page else url_for("customer.show"), 303)


@customer.errorhandler(CheckoutError)
def refused(error: CheckoutError) -> Response:
    """The page as it is now, with one sentence about what was refused."""
    return refuse(error, page)


def back() -> Response:
    """To the page, by GET: reloading it sends nothing twice."""
    return redirect(url_for("customer.show"), 303)


def page(alert: str = "") -> str:
    """Render the screen; alert: one sentence shown on top."""
    checkout, hub, language = parts().checkout, parts().hub, chosen_language()
    cart, order, state = checkout.snapshot(), checkout.current_order(), hub.state
    return render_template(
        "customer.html",
        alert=alert,
        cart=cart_payload(cart, language),
        order=order_payload(order, language),
        lane=lane_payload(state.lane, cart),
        problem=message_for(state.problem) if state.problem else "",
        produce=produce(language),
        called=parts().calls.since is not None,
        ways={way: way_names()[way] for way in parts().payments.offered},
        idempotency_key=secrets.token_urlsafe(16),
        texts=script_texts(),
    )


def produce(language: str) -> list[dict[str, Any]]:
    """What one can add by hand, in the price sheet's order."""
    catalog = parts().prices.catalog
    return [
        {
            "key": item.key,
            "name": item.name(language),
            "price_text": format_minor(item.price_minor, catalog.currency, language),
            "picture": picture_url(item.key),
        }
        for item in catalog.sellable()
    ]


def script_texts() -> dict[str, str]:
    """What the script may have to say."""
    return {
        "no_connection": _("The connection is lost. Reconnecting …"),
        "not_sent": _("That did not arrive. Please try again."),
        "perhaps_sent": _("Perhaps that arrived, perhaps not. Please look at the basket."),
        "one_more": _("One more %(name)s", name="{name}"),
        "one_less": _("One %(name)s less", name="{name}"),
        "remove": _("Remove %(name)s", name="{name}"),
        "added": _("%(name)s added.", name="{name}"),
        "named": _("Thank you: %(name)s.", name="{name}"),
        "called": _("A clerk is on the way."),
        "expired": _("The time to pay is over and nothing was charged. Choose how to pay again."),
        "extended": _("You have more time to pay."),
        "time_short": _("Less than 30 seconds left to pay. Press More time if you need it."),
    }
