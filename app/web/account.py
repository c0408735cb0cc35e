"""Signing in and out."""

from __future__ import annotations

import logging
import threading
from functools import cache

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask_babel import gettext as _
from flask_login import current_user, login_user
from limits import parse_many
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from werkzeug.wrappers import Response

from app.web.parts_here import parts
from app.web.security import SignedIn, begin_session, end_session

account = Blueprint("account", __name__)
log = logging.getLogger("checkout.account")

FAILURES = parse_many("10/minute;60/hour")  # per address
one_at_a_time = threading.Lock()  # each takes 64 MiB, and tries side by side would not be counted


@cache
def limiter() -> MovingWindowRateLimiter:
    """Made at the first sign-in, because its storage starts a timer."""
    return MovingWindowRateLimiter(MemoryStorage())


@account.get("/login")
def login() -> str | Response:
    """The form, or onwards for who is signed in already."""
    return redirect(home(), 303) if current_user.is_authenticated else render_template("login.html")


@account.post("/login")
def sign_in() -> str | Response | tuple[str, int]:
    """Sign in with ``name`` and ``password``."""
    address = request.remote_addr or ""
    with one_at_a_time:
        if not all(limiter().test(limit, address) for limit in FAILURES):
            log.warning("sign_in_limited")
            return refused(_("Too many tries. Please wait a minute."), 429)
        user = parts().users.verify(request.form.get("name", ""), request.form.get("password", ""))
        if user is None:
            for limit in FAILURES:
                limiter().hit(limit, address)
    if user is None:
        log.warning("sign_in_refused")
        parts().notes.note("unknown", "sign_in_refused", {"address": address})
        return refused(_("The name or the password is wrong."), 401)
    language = session.get("language")
    session.clear()  # nothing of what a stranger put there survives
    login_user(SignedIn(user))
    begin_session(user)
    if language:
        session["language"] = language
    log.info("signed_in user=%s", user.id)
    parts().notes.note(user.name, "signed_in", {"role": user.role})
    return redirect(home(), 303)


@account.post("/logout")
def logout() -> Response:
    """Sign out."""
    if current_user.is_authenticated:
        parts().notes.note(current_user.name, "signed_out")
    end_session()
    return redirect(url_for("account.login"), 303)


def refused(sentence: str, status: int) -> tuple[str, int]:
    """The form again, with the reason."""
    return render_template("login.html", alert=sentence), status


def home() -> str:
    """Where a person works."""
    return url_for("owner.show" if current_user.role == "owner" else "clerk.show")
