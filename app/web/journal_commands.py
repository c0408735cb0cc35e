"""Commands about the journal: ``flask --app app journal …``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import click
from flask import current_app
from flask.cli import AppGroup

from app.errors import InvalidInput
from app.shop.money import format_minor
from app.store.audit import audit_orders
from app.store.closing import Closing, close_day
from app.store.database import Database
from app.store.journal import Journal
from app.web.command_line import new_file, shop_database

journal = AppGroup("journal", help="What happened, in order: check, export, close a day.")


@journal.command("verify")
def verify() -> None:
    """Walk all records; name the first that is not as it was written, with exit code 1.

    Then compare the orders with them: whether each was paid and refunded as the journal says.
    """
    with shop_database() as database:
        fault = Journal(database).verify()
        heads = Journal(database).heads()
        problem = str(fault) if fault else audit_orders(database)
    if problem:
        click.echo(problem, err=True)
        sys.exit(1)
    for head in heads:
        click.echo(f"lane {head.lane}: {head.number} records, the last {head.hash}")
    if not heads:
        click.echo("The journal is empty.")


@journal.command("export")
@click.option("--lane", help="Only this lane's records.")
@click.option("--output", type=click.Path(path_type=Path), help="A new file. [default: stdout]")
def export(lane: str | None, output: Path | None) -> None:
    """Write all records as JSON lines, lane by lane in order.

    A record's hash is the SHA-256 of its line without "hash", in the same form.
    """
    with shop_database() as database, ExitStack() as opened:
        if lane is not None:
            known_lane(database, lane)
        file: BinaryIO = sys.stdout.buffer
        if output is not None:
            file = opened.enter_context(new_file(output))
        for record in Journal(database).records(lane):
            file.write(f"{record.exported()}\n".encode())


@journal.command("close-day")
@click.option("--lane", help="Default: CHECKOUT_LANE.")
@click.option("--by", default="command", show_default=True, help="Who closes.")
def close(lane: str | None, by: str) -> None:
    """Sum up what a lane sold since its last closing, as a record of the journal."""
    with shop_database() as database:
        closing = close_day(database, known_lane(database, lane), by)
    click.echo("\n".join(closing_lines(closing)))


def known_lane(database: Database, lane: str | None) -> str:
    """A lane that has a journal, or this server's own; InvalidInput for any other."""
    own = current_app.config["LANE"]
    lanes = {own, *(head.lane for head in Journal(database).heads())}
    if lane and lane not in lanes:
        raise InvalidInput(f"There is no lane {lane!r}: there are {', '.join(sorted(lanes))}.")
    return lane or own


def closing_lines(closing: Closing) -> Iterator[str]:
    """What a person reads of a closing."""
    yield f"lane {closing.lane}, closing {closing.number}"
    yield f"records {closing.first} to {closing.last}" if closing.last >= closing.first else "empty"
    for currency, totals in closing.totals.items():

        def money(amount_minor: int, currency: str = currency) -> str:
            return format_minor(amount_minor, currency, "en")

        yield f"sold {totals.sold}: {money(totals.sales_minor)}"
        yield f"refunds {totals.refunded}: {money(totals.refunds_minor)}"
        yield f"left: {money(totals.net_minor)}"
        for method, amount_minor in sorted(totals.sales_by_method_minor.items()):
            yield f"by {method}: {money(amount_minor)}"
        for tax, amount_minor in sorted(totals.sales_by_tax_minor.items()):
            yield f"tax {tax}: {money(amount_minor)}"
    yield f"record {closing.record}, hash {closing.hash}"
