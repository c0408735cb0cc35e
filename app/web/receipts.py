"""A customer's receipt at its own address, and the clerk's way to print it again."""

from __future__ import annotations

from io import BytesIO

import segno
from flask import Blueprint, current_app, redirect, render_template, request, send_file, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from app.errors import OrderNotFound
from app.store.receipt_pdf import draw_pdf
from app.web.language import chosen_language
from app.web.parts_here import EXTENSION, parts
from app.web.receipt_links import order_id_in, receipt_path, receipt_url
from app.web.security import for_roles

receipts = Blueprint("receipts", __name__)


@receipts.get("/receipt/<token>")
def show(token: str) -> str:
    """The receipt; with ``part`` in the query without the page around it."""
    text = parts().receipts.text(order_id_in(token), chosen_language())
    template = "receipt_body.html" if "part" in request.args else "receipt.html"
    return render_template(template, receipt=text, token=token)


@receipts.get("/receipt/<token>/pdf")
def pdf(token: str) -> Response:
    """The receipt as a file to keep."""
    order_id = order_id_in(token)
    text = parts().receipts.paper_text(order_id, chosen_language())
    name = f"receipt-{parts().orders.get(order_id).number}.pdf"
    return send_file(BytesIO(draw_pdf(text)), "application/pdf", download_name=name)


@receipts.get("/receipt/<token>/code.svg")
def code(token: str) -> Response:
    """The QR code that leads to the receipt; 404 when phones cannot reach this checkout."""
    url = receipt_url(order_id_in(token))
    if url is None:
        raise OrderNotFound("CHECKOUT_PUBLIC_URL is not set.")
    picture = BytesIO()
    segno.make_qr(url, error="m").save(picture, kind="svg", scale=4, border=4, light="#fff")
    picture.seek(0)
    return send_file(picture, "image/svg+xml")


@receipts.post("/clerk/receipts/<int:order_id>/print")
@for_roles("clerk", "owner")
def print_again(order_id: int) -> Response:
    """Print a copy; ``page`` is where to go back to."""
    parts().receipts.print_again(order_id, current_user.name)
    order_page = url_for("orders.show", order_id=order_id)
    page = order_page if request.form.get("page") == order_page else url_for("clerk.show")
    return redirect(page, 303)


@receipts.app_context_processor
def for_templates() -> dict[str, object]:
    """What the macros of _receipts.html need, on whichever page they stand."""
    here = current_app.extensions.get(EXTENSION)
    return {
        "receipt_path": receipt_path,
        "printer": here.receipts.printer_state() if here else None,
    }


@receipts.after_request
def keep_private(response: Response) -> Response:
    """Keep receipts out of search engines and caches."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex"
    return response
