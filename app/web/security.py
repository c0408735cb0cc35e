"""Headers, cookies, forms' tokens, and who is signed in."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from flask import Flask, abort, g, redirect, request, session, url_for
from flask.sessions import SecureCookieSessionInterface
from flask_login import LoginManager, UserMixin, current_user, logout_user
from flask_wtf.csrf import CSRFProtect
from werkzeug.wrappers import Response

from app.errors import StoreUnavailable
from app.store.users import User
from app.web.parts_here import parts

P = ParamSpec("P")
R = TypeVar("R")

IDLE_SIGN_OUT_S = 30 * 60
MAX_FORM_BYTES = 16 * 1024

HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob:",
            "connect-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        )
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}

csrf = CSRFProtect()
login_manager = LoginManager()


class SignedIn(UserMixin):
    """A user as Flask-Login wants it."""

    def __init__(self, user: User) -> None:
        self.id, self.name, self.role = user.id, user.name, user.role


class Cookies(SecureCookieSessionInterface):
    """Session cookies that are marked Secure wherever the browser came by HTTPS."""

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002
        """Whether the cookie may travel by HTTPS only."""
        return request.is_secure


def init_security(app: Flask) -> None:
    """Protect every page and form of this app."""
    app.config.update(
        SESSION_COOKIE_NAME="checkout",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=MAX_FORM_BYTES,
        MAX_FORM_MEMORY_SIZE=MAX_FORM_BYTES,
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session: a kiosk's page stays open for days
    )
    app.session_interface = Cookies()
    csrf.init_app(app)
    login_manager.init_app(app)
    login_manager.user_loader(load_user)
    login_manager.unauthorized_handler(send_to_sign_in)
    app.before_request(sign_out_when_idle)
    app.after_request(add_headers)


def add_headers(response: Response) -> Response:
    """Add the security headers; pages are never kept, static files are asked for anew."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    static = request.endpoint == "static"
    response.headers.setdefault("Cache-Control", "no-cache" if static else "no-store")
    return response


def load_user(user_id: str) -> SignedIn | None:
    """The account behind a session; None when it is gone, has another password, or is unknown."""
    try:
        user = parts().users.get(int(user_id))
    except StoreUnavailable as error:
        g.nobody_known = error  # the customer's pages do without, the others say so
        return None
    known = user is not None and user.stamp == session.get("password")
    return SignedIn(user) if user and known else None


def send_to_sign_in() -> Response:
    """To the form; raises StoreUnavailable where a password would not help."""
    if "nobody_known" in g:
        raise g.nobody_known
    return redirect(url_for("account.login"), 303)


class Ended:
    """Sessions that were signed out, as long as their cookies would else be good. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def add(self, ticket: str) -> None:
        """Let nobody in with this session any more."""
        now = time.time()
        with self._lock:
            self._until = {one: until for one, until in self._until.items() if until > now}
            self._until[ticket] = now + IDLE_SIGN_OUT_S

    def __contains__(self, ticket: object) -> bool:
        with self._lock:
            return ticket in self._until


ended = Ended()


def begin_session(user: User) -> None:
    """Note in the cookie what it is good for: this session, and the password of now."""
    session.update(used_at=time.time(), ticket=secrets.token_urlsafe(16), password=user.stamp)


def end_session() -> None:
    """Sign out; a copy of the cookie is worth nothing either."""
    ended.add(session.pop("ticket", ""))
    session.pop("used_at", None)
    session.pop("password", None)
    logout_user()


def sign_out_when_idle() -> None:
    """End a session that was signed out, or that nobody used for half an hour.

    A page's own refreshing is not using it.
    """
    if "_user_id" not in session:
        return
    now = time.time()
    idle = now - session.get("used_at", 0.0) > IDLE_SIGN_OUT_S
    if idle or session.get("ticket", "") in ended or "ticket" not in session:
        logout_user()
    elif "part" not in request.args:
        session["used_at"] = now


def for_roles(*roles: str) -> Callable[[Callable[P, R]], Callable[P, R | Response]]:
    """Let only signed-in people of these roles see a view; others are sent to sign in, or 403."""

    def protect(view: Callable[P, R]) -> Callable[P, R | Response]:
        @wraps(view)
        def protected(*args: P.args, **kwargs: P.kwargs) -> R | Response:
            if not current_user.is_authenticated:
                answer: Any = login_manager.unauthorized()
                return answer
            if current_user.role not in roles:
                abort(403)
            return view(*args, **kwargs)

        return protected

    return protect
