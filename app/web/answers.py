"""How a refusal looks: a page for people, JSON for programs, always one clear sentence."""

from __future__ import annotations

import logging
from collections.abc import Callable

from flask import Flask, jsonify, make_response, render_template, request
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from app.errors import CheckoutError
from app.web.texts import message_for, refusal

log = logging.getLogger("checkout.web")


def init_answers(app: Flask) -> None:
    """Answer what no blueprint answers."""
    app.register_error_handler(CheckoutError, lambda error: refuse(error, error_page))
    app.register_error_handler(CSRFError, forged)
    app.register_error_handler(HTTPException, no_page)
    app.register_error_handler(Exception, broken)


def refuse(error: CheckoutError, page: Callable[[str], str]) -> Response:
    """Refuse with the error's status; page: renders the screen with a sentence on it."""
    log.info("refused path=%s code=%s", request.path, error.code)
    if wants_json():
        return make_response(jsonify(refusal(error)), error.http_status)
    sentence = message_for(error.code, str(error))
    try:
        html = page(sentence)
    except CheckoutError:  # the screen itself cannot be made
        html = error_page(sentence)
    return make_response(html, error.http_status)


def wants_json() -> bool:
    """Whether a program asks, one that reads JSON rather than HTML."""
    accepted = request.accept_mimetypes
    return accepted["application/json"] > accepted["text/html"]


def error_page(sentence: str) -> str:
    """A page with nothing but a sentence and the way back."""
    staff = request.path.startswith(("/clerk", "/owner"))
    return render_template("error.html", sentence=sentence, staff=staff)


def forged(_error: CSRFError) -> Response:
    """Refuse a form that did not come from our own page."""
    log.warning("csrf_refused path=%s", request.path)
    return answer(400, "csrf", _("This page was open for too long. Reload it and try again."))


def no_page(error: HTTPException) -> Response:
    """Answer what Flask itself refuses: no such page, method not allowed and the like."""
    if error.response is not None or error.code is None or error.code < 400:
        return error.get_response()
    sentences = {403: _("This page is for others."), 404: _("There is no such page.")}
    response = answer(error.code, "http", sentences.get(error.code, f"{error.code} {error.name}."))
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def broken(_error: Exception) -> Response:
    """Hide a defect from the customer and show it to whoever reads the log."""
    log.exception("request_failed path=%s", request.path)
    return answer(500, "error", message_for("error"))


def answer(status: int, code: str, sentence: str) -> Response:
    """A sentence with a status."""
    if wants_json():
        return make_response(jsonify({"ok": False, "code": code, "message": sentence}), status)
    return make_response(error_page(sentence), status)
