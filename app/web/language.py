"""Which language a person reads: asked for in the address, chosen before, or the shop's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask, current_app, has_request_context, request, session
from flask_babel import Babel, force_locale

from app.settings import LANGUAGES, ROOT

TRANSLATIONS = ROOT / "app" / "translations"
babel = Babel()
NAMES = {"ko": "한국어", "en": "English"}


def init_language(app: Flask) -> None:
    """Translate this app's texts from app/translations."""
    app.config["BABEL_DEFAULT_LOCALE"] = "en"  # the texts in the code
    app.config["BABEL_TRANSLATION_DIRECTORIES"] = str(TRANSLATIONS)
    babel.init_app(app, locale_selector=chosen_language)
    app.context_processor(
        lambda: {"language": chosen_language(), "other_languages": other_languages()}
    )


def chosen_language() -> str:
    """The language of this request or Socket.IO connection; outside of both the shop's own."""
    asked = (request.args.get("lang"), session.get("language")) if has_request_context() else ()
    for language in asked:
        if language in LANGUAGES:
            return str(language)
    return str(current_app.config["SHOP_LANGUAGE"])


def other_languages() -> dict[str, str]:
    """The languages one can switch to, code → own name."""
    return {code: name for code, name in NAMES.items() if code != chosen_language()}


@contextmanager
def speaking(app: Flask, language: str) -> Iterator[None]:
    """Translate into ``language`` on a thread that serves no request."""
    with app.app_context(), force_locale(language):
        yield
