"""The owner's screen: what was sold, the prices, the lane's health, and sales to take away."""

from __future__ import annotations

from flask import Blueprint, render_template
from werkzeug.wrappers import Response

from app.shop.money import format_minor
from app.shop.period import Period, today
from app.store.reports import reports
from app.web.language import chosen_language
from app.web.parts_here import parts
from app.web.security import for_roles

owner = Blueprint("owner", __name__, url_prefix="/owner")


@owner.get("")
@for_roles("owner")
def show() -> str | Response:
    """The state of the shop now."""
    language, catalog = chosen_language(), parts().prices.catalog
    period = Period(today(), today())
    return render_template(
        "owner.html",
        reports=reports(parts().database, period, catalog.currency),
        catalog=catalog,
        price_problem=parts().prices.problem,
        readiness=parts().readiness(),
        lane_stats=parts().lane.stats(),
        camera=parts().camera.status(),
        money=lambda minor, currency: format_minor(minor, currency, language),
    )
