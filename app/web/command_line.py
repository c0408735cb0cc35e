"""What the commands share: the shop's database, and files that are whole or not there at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import BinaryIO

import click
from flask import current_app

from app.errors import CheckoutError, InvalidInput
from app.store.database import Database


@contextmanager
def shop_database(make: bool = False) -> Iterator[Database]:
    """The shop's database for one command; what it cannot do ends the command with exit code 2.

    make: make it when it is not there, where else a mistyped address would look like no sales.
    """
    try:
        with closing(Database(current_app.config["DATABASE_URL"])) as database:
            if not make:
                database.expect()
            database.migrate()
            yield database
    except CheckoutError as error:
        raise click.UsageError(str(error)) from error


@contextmanager
def new_file(out: Path) -> Iterator[BinaryIO]:
    """A file to write whole; on any failure it is gone. InvalidInput when it cannot be written."""
    try:
        file = out.open("xb")
    except FileExistsError as error:
        raise InvalidInput(f"{out} is there already: give another name") from error
    except OSError as error:
        raise InvalidInput(f"{out} cannot be written: {error.strerror}") from error
    try:
        with ExitStack() as if_it_fails:
            if_it_fails.callback(out.unlink)  # half an export looks like a whole one
            with file:
                yield file
            if_it_fails.pop_all()
    except OSError as error:
        raise InvalidInput(f"{out} cannot be written: {error.strerror}") from error
