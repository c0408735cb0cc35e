"""PostgreSQL's own copies: made by pg_dump, read by pg_restore."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sqlalchemy import URL

from app.errors import BackupFailed

ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
LONGEST_REASON = 300


def dump_to(url: URL, file: Path) -> None:
    """Write the database, as of one moment, in the custom format. Raises BackupFailed."""
    # The password goes by the environment: everybody on the machine may read a command's words.
    password = {"PGPASSWORD": url.password} if url.password else {}
    where = (url.username, None, url.host, url.port, url.database, url.query)
    address = URL.create("postgresql", *where).render_as_string()
    words = ("--format=custom", f"--file={file}", "--no-password", f"--dbname={address}")
    with _running("pg_dump", *words, environment=password):
        pass


def read_whole(file: Path) -> None:
    """Unpack a dump from beginning to end, keeping nothing. Raises BackupFailed."""
    with _running("pg_restore", f"--file={os.devnull}", str(file)):
        pass


def dumped_rows(file: Path, table: str) -> Iterator[dict[str, str]]:
    """Walk the rows of a table in a dump, in no order, as text; NULL is "". Raises BackupFailed."""
    words = ("--data-only", f"--table={table}", "--file=-", str(file))
    columns: list[str] | None = None
    with _running("pg_restore", *words) as lines:
        for line in lines:
            row = line.rstrip("\n")
            if columns is None:
                found = re.fullmatch(rf"COPY \S*\b{table} \((.*)\) FROM stdin;", row)
                columns = found[1].split(", ") if found else None
            elif row == r"\.":
                columns = None
            else:
                values = map(_unescaped, row.split("\t"))
                yield dict(zip(columns, values, strict=True))


def _unescaped(value: str) -> str:
    """Undo COPY's text format (PostgreSQL manual, COPY, File Formats)."""
    if value == r"\N":
        return ""
    return re.sub(r"\\(.)", lambda found: ESCAPES.get(found[1], found[1]), value)


@contextmanager
def _running(
    program: str, *words: str, environment: Mapping[str, str] | None = None
) -> Iterator[IO[str]]:
    """Give the lines that a program writes; wait for its end, which must be a good one."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        try:
            process = subprocess.Popen(
                [program, *words],
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
            )
        except FileNotFoundError as error:
            raise BackupFailed(
                f"{program} is not installed: apt-get install postgresql-client"
            ) from error
        with process:
            assert process.stdout is not None
            yield process.stdout
        if process.returncode != 0:
            errors.seek(0)
            reason = " ".join(errors.read().split())[:LONGEST_REASON]
            raise BackupFailed(f"{program} failed: {reason}")
