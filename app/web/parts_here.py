"""The running parts behind the current request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import current_app

from app.errors import StoreUnavailable

if TYPE_CHECKING:
    from app.web.parts import Parts

EXTENSION = "checkout_parts"


def parts() -> Parts:
    """The parts that create_app was given; StoreUnavailable when it was given none."""
    found: Parts | None = current_app.extensions.get(EXTENSION)
    if found is None:
        raise StoreUnavailable("The checkout is not running here: start it with wsgi.py.")
    return found
