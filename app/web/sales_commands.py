"""Commands about sales: ``flask --app app sales …``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click
from flask import current_app
from flask.cli import AppGroup
from tqdm import tqdm

from app.shop.catalog import Catalog
from app.shop.money import format_minor
from app.shop.period import Period, today
from app.store.database import Database
from app.store.exports import WRITERS, exported
from app.store.reports import Report, Sums, reports
from app.web.command_line import new_file, shop_database

sales = AppGroup("sales", help="What was sold: report some days, export them.")

day = click.DateTime(["%Y-%m-%d"])
first_day = click.option(
    "--from", "first", type=day, help="The first day, YYYY-MM-DD. [default: today]"
)
last_day = click.option("--to", "last", type=day, help="The last day. [default: the first]")


@sales.command("report")
@first_day
@last_day
def report(first: datetime | None, last: datetime | None) -> None:
    """Add up the sales, refunds and the camera's mistakes of some days."""
    language, currency = current_app.config["SHOP_LANGUAGE"], Catalog().currency
    with shop_database() as database:
        for one in reports(database, period_of(first, last), currency):
            click.echo("\n".join(report_lines(one, language)))


@sales.command("export")
@first_day
@last_day
@click.option(
    "--format", "form", type=click.Choice(list(WRITERS)), default="csv", show_default=True
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A new file.")
def export(first: datetime | None, last: datetime | None, form: str, out: Path) -> None:
    """Write each line sold and each given back as a row."""
    with shop_database() as database:
        rows = write_new(database, period_of(first, last), form, out)
    click.echo(f"{rows} rows in {out}")


def period_of(first: datetime | None, last: datetime | None) -> Period:
    """The days asked for; without any today, without the last only the first."""
    begins = first.date() if first else today()
    return Period(begins, last.date() if last else begins)


def write_new(database: Database, period: Period, form: str, out: Path) -> int:
    """Write the export whole or not at all; InvalidInput for a file that cannot be made."""
    with new_file(out) as file, exported(database, period) as (count, rows):
        WRITERS[form](tqdm(rows, total=count, unit="row", disable=None), file)
    return count


def report_lines(report: Report, language: str) -> Iterator[str]:
    """What a person reads of a report."""

    def money(amount_minor: int) -> str:
        return format_minor(amount_minor, report.currency, language)

    def line(name: str, sums: Sums) -> str:
        back = f", {sums.refunds} back {money(sums.refunds_minor)}" if sums.refunds else ""
        return f"  {name}: {sums.sales} sold {money(sums.sales_minor)}{back}"

    total = report.total
    yield f"{report.period.first} to {report.period.last}, {report.currency}"
    yield f"takings {money(total.net_minor)}"
    yield line("sales", total)
    yield f"  average sale: {money(total.average_minor)}"
    groups = {
        "by day": {str(day): sums for day, sums in report.by_day.items()},
        "by hour": {f"{hour:02d}:00": sums for hour, sums in report.by_hour.items()},
        "by method": report.by_method,
        "by tax (pieces)": report.by_tax,
        "by fruit (pieces)": {f"{f.name(language)} ({f.tax})": f.pieces for f in report.fruits},
    }
    for title, sums in groups.items():
        yield title
        yield from (line(name, each) for name, each in sums.items() if each != Sums())
    yield "camera (pieces)"
    for fruit in report.camera.fruits:
        yield f"  {fruit.key}: {fruit.right} right, {fruit.missed} missed, {fruit.wrong} too many"
    for mixup in report.camera.mistaken:
        yield f"  {mixup.was} taken for {mixup.seen}: {mixup.orders} orders"
