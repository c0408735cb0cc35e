"""The owner's screen, first form: prices, today's sales, the lane's health."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, render_template
from werkzeug.wrappers import Response

from app.shop.money import format_minor
from app.store.reports import sales_since
from app.web.language import chosen_language
from app.web.parts_here import parts
from app.web.security import for_roles

owner = Blueprint("owner", __name__, url_prefix="/owner")


@owner.get("")
@for_roles("owner")
def show() -> str | Response:
    """The state of the shop now."""
    midnight = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    sales = sales_since(parts().database, midnight)
    language, currency = chosen_language(), parts().prices.catalog.currency
    return render_template(
        "owner.html",
        sales=sales,
        total=sum(order.total_minor for order in sales if order.currency == currency),
        currency=currency,
        catalog=parts().prices.catalog,
        price_problem=parts().prices.problem,
        readiness=parts().readiness(),
        lane_stats=parts().lane.stats(),
        camera=parts().camera.status(),
        money=lambda minor, currency: format_minor(minor, currency, language),
    )
