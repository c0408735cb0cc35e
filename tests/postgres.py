"""A real PostgreSQL server in a temporary folder: an ordinary user's, on a free port, fsync on."""

from __future__ import annotations

import itertools
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import psycopg

DEBIAN = Path("/usr/lib/postgresql")
READY_WITHIN_S = 30.0


def binary(name: str) -> str:
    """The newest installed program of that name."""
    packaged = sorted(DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    found = str(packaged[-1]) if packaged else shutil.which(name)
    assert found, f"no {name}: run `make database`, or install the package postgresql"
    return found


def ordinary_user() -> dict[str, Any]:
    """Whom a program of the server runs as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = known.get("postgres") or known["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Postgres:
    """One server; ``start`` and ``stop`` may be repeated, ``remove`` deletes everything."""

    _process: subprocess.Popen[bytes] | None = None

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="checkout-postgres-"))
        self.port, self.password = free_port(), secrets.token_hex(16)
        self._as_user, self._numbers = ordinary_user(), itertools.count(1)
        password_file = self.folder / "password"
        password_file.write_text(self.password)
        for path in (self.folder, password_file):
            os.chown(path, self._as_user.get("user", -1), self._as_user.get("group", -1))
        self._run(
            *("initdb", "--pgdata", str(self.folder / "data"), "--username", "shop"),
            *("--pwfile", str(password_file), "--auth", "scram-sha-256"),
            *("--encoding", "UTF8", "--no-locale"),
        )

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [binary(program), *arguments],
            **self._as_user,
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C"}

    def start(self) -> Postgres:
        if self._process is not None and self._process.poll() is None:
            return self
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "fsync": "on",
            "synchronous_commit": "on",
        }
        flags = [flag for name, value in options.items() for flag in ("-c", f"{name}={value}")]
        with (self.folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                [binary("postgres"), "-D", str(self.folder / "data"), *flags],
                **self._as_user,
                cwd=self.folder,
                env=self._environment(),
                stdout=log,
                stderr=log,
            )
        self._wait_until_ready()
        return self

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
                return
            except psycopg.OperationalError:
                log = (self.folder / "log.txt").read_text()
                assert self._process is not None, log
                assert self._process.poll() is None, log
                assert time.monotonic() < deadline, log
                time.sleep(0.05)

    def url(self, database: str) -> str:
        return f"postgresql://shop:{self.password}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Make a database without tables; its name."""
        name = f"shop_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def empty(self, database: str) -> None:
        """Delete all rows of all tables, also of those that refuse it; ids begin at 1 again."""
        with psycopg.connect(self.url(database)) as connection:
            tables = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
                " AND tablename <> 'alembic_version'"
            ).fetchall()
            names = ", ".join(name for (name,) in tables)
            connection.execute("SET LOCAL session_replication_role = replica")  # no triggers
            connection.execute(f"TRUNCATE {names} RESTART IDENTITY")  # type: ignore[arg-type]

    def execute(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[arg-type]

    def freeze(self) -> None:
        """Stop it in the middle, as a machine does whose disk no longer answers."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, how: signal.Signals) -> None:
        assert self._process is not None, "it never started"
        server = psutil.Process(self._process.pid)
        for process in (server, *server.children()):
            process.send_signal(how)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT in order, SIGQUIT as in a crash."""
        assert self._process is not None, "it never started"
        if self._process.poll() is None:
            self._process.send_signal(how)
        self._process.wait(120)  # on a busy machine the last checkpoint takes its time

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)  # nobody needs what it holds: no need to write it all down
        shutil.rmtree(self.folder)
