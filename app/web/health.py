"""What watches the shop from outside: alive, ready, figures."""

from __future__ import annotations

from dataclasses import asdict
from ipaddress import ip_address

from flask import Blueprint, Response, abort, jsonify, request
from flask_login import current_user
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app.web.parts_here import parts

health = Blueprint("health", __name__)
FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-Ip")


@health.get("/healthz")
def alive() -> Response:
    """The process answers."""
    return jsonify({"ok": True})


@health.get("/readyz")
def ready() -> tuple[Response, int]:
    """200 when a sale is possible with everything; else 503, and which part is not ready."""
    states = parts().readiness()
    ok = all(state.ok for state in states.values())
    body = {"ok": ok, "parts": {name: asdict(state) for name, state in states.items()}}
    return jsonify(body), 200 if ok else 503


@health.get("/metrics")
def metrics() -> Response:
    """Figures, for this machine itself and for who is signed in."""
    if not (from_here() or current_user.is_authenticated):
        abort(403)
    return Response(generate_latest(parts().metrics.registry), content_type=CONTENT_TYPE_LATEST)


def from_here() -> bool:
    """Whether the request was made on this machine, not handed on by a proxy on it."""
    forwarded = any(name in request.headers for name in FORWARDED)
    return not forwarded and ip_address(request.remote_addr or "0.0.0.0").is_loopback
