"""The owner's screen: what was sold, the prices, the lane's health, and sales to take away."""

from __future__ import annotations

import tempfile
from datetime import date, timedelta

from flask import Blueprint, render_template, request, send_file
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from app.errors import CheckoutError, InvalidPeriod
from app.shop.money import format_minor
from app.shop.period import Period, today
from app.store.exports import WRITERS, exported
from app.store.reports import reports
from app.web.answers import refuse
from app.web.forms import day
from app.web.language import chosen_language
from app.web.parts_here import parts
from app.web.report_charts import charts
from app.web.security import for_roles
from app.web.texts import way_names

owner = Blueprint("owner", __name__, url_prefix="/owner")
MOST_ROWS = 50_000  # for more the command is there, which takes no time from the counter


@owner.get("")
@for_roles("owner")
def show() -> str | Response:
    """The state of the shop now, and what was sold ``from`` a day ``to`` another, default today."""
    return page(asked_period())


@owner.get("/sales.<any(csv, xlsx):form>")
@for_roles("owner")
def export(form: str) -> Response:
    """The sales of the same days as a file."""
    period = asked_period()
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it was sent
    with exported(parts().database, period) as (count, rows):
        if count > MOST_ROWS:
            file.close()
            raise InvalidPeriod(
                f"That is over {MOST_ROWS} rows: choose fewer days.", "too_many_rows"
            )
        WRITERS[form](rows, file)
    file.seek(0)
    name = f"sales-{period.first}-{period.last}.{form}"
    response = send_file(file, as_attachment=True, download_name=name)
    response.headers["Cache-Control"] = "no-store"  # send_file would let browsers keep it
    return response


@owner.errorhandler(CheckoutError)
def refused(error: CheckoutError) -> Response:
    """The page of today, with one sentence about what was refused."""
    return refuse(error, lambda alert: page(Period(today(), today()), alert))


def asked_period() -> Period:
    """The days in the address; without any today. Raises InvalidInput, InvalidPeriod."""
    first = day(request.args, "from", today())
    return Period(first, day(request.args, "to", max(first, today())))


def page(period: Period, alert: str = "") -> str:
    """Render the screen; alert: one sentence shown on top."""
    language, catalog = chosen_language(), parts().prices.catalog
    found = reports(parts().database, period, catalog.currency)
    return render_template(
        "owner.html",
        alert=alert,
        period=period,
        today=today(),
        spans=spans(today()),
        reports=[(report, charts(report, language)) for report in found],
        ways=way_names(),
        taxes={"exempt": _("Tax-exempt"), "standard": _("Taxed")},
        fruit_name=lambda key: item.name(language) if (item := catalog.known(key)) else key,
        catalog=catalog,
        price_problem=parts().prices.problem,
        readiness=parts().readiness(),
        lane_stats=parts().lane.stats(),
        camera=parts().camera.status(),
        money=lambda minor, currency: format_minor(minor, currency, language),
    )


def spans(now: date) -> list[tuple[str, Period]]:
    """The days that an owner asks for most."""
    yesterday, month = now - timedelta(days=1), now.replace(day=1)
    before = month - timedelta(days=1)
    return [
        (_("Today"), Period(now, now)),
        (_("Yesterday"), Period(yesterday, yesterday)),
        (_("7 days"), Period(now - timedelta(days=6), now)),
        (_("This month"), Period(month, now)),
        (_("Last month"), Period(before.replace(day=1), before)),
    ]
