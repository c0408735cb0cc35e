"""The command that copies the database: ``flask --app app backup``."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext

from app.errors import BackupFailed
from app.store.backup import back_up


@click.command("backup")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A new file.")
@with_appcontext
def backup(out: Path) -> None:
    """Copy the whole database to a new file, also while the shop sells, and read the copy.

    Exit code 1: the copy is there, but its journal is not as it was written.
    """
    try:
        made = back_up(current_app.config["DATABASE_URL"], out)
    except BackupFailed as error:
        raise click.UsageError(str(error)) from error
    click.echo(f"{out} holds the whole database.")
    for head in made.heads:
        click.echo(f"lane {head.lane}: {head.number} records, the last {head.hash}")
    if made.problem:
        click.echo(made.problem, err=True)
        sys.exit(1)
