"""The unmanned fruit checkout: ``create_app`` is where the web side begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from app.settings import Settings
    from app.web.parts import Parts


def create_app(settings: Settings | None = None, parts: Parts | None = None) -> Flask:
    """Make the web application; it opens no device, file or connection and starts no thread.

    settings: default from the environment. parts: the running checkout that the screens show;
    without it (as for ``flask --app app …``) the commands work and the screens answer 503.
    """
    from flask import Flask

    from app.settings import ROOT
    from app.web.account import account
    from app.web.answers import init_answers
    from app.web.clerk import clerk
    from app.web.commands import init_commands, settings_of_command
    from app.web.customer import customer
    from app.web.health import health
    from app.web.language import init_language
    from app.web.orders import orders
    from app.web.owner import owner
    from app.web.parts_here import EXTENSION
    from app.web.payments import payments
    from app.web.receipts import receipts
    from app.web.security import init_security

    settings = settings or settings_of_command()
    app = Flask(__name__, root_path=str(ROOT))
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SHOP_LANGUAGE=settings.language,
        DATABASE_URL=settings.database_url,
        LANE=settings.lane,
        PUBLIC_URL=settings.receipts.public_url,
    )
    init_language(app)
    init_security(app)
    init_answers(app)
    init_commands(app)
    for blueprint in (customer, clerk, owner, orders, account, health, payments, receipts):
        app.register_blueprint(blueprint)
    if parts is not None:
        app.extensions[EXTENSION] = parts
        parts.hub.init_app(app)
        parts.receipts.init_app(app, parts.checkout)
    return app
