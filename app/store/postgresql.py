"""PostgreSQL: what its connections are told, and how long its server is waited for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine, event, text

OPTIONS: dict[str, Any] = {
    "pool_pre_ping": True,  # a server that went and came back costs no sale
    "pool_timeout": 5,  # s
    "connect_args": {
        "connect_timeout": 5,  # s
        "tcp_user_timeout": 10_000,  # ms
        "options": "-c synchronous_commit=on -c lock_timeout=5000 -c statement_timeout=15000",
    },
}


class PatientConnection(psycopg.Connection[Any]):
    """A connection that gives up a server which neither answers nor is gone, as one that hangs.

    Such a server keeps none of its own time limits, and its machine keeps the line open.
    ``patience_s``: seconds for one answer, more than the server itself allows a statement; None
    waits for ever. A connection that was given up is closed: no late answer can be taken for
    another's, and what it was about is as unknown as after any lost connection.
    """

    patience_s: float | None = 20.0

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Let psycopg's ``gen`` come to its end. Raises OperationalError when patience ends."""
        try:
            return super().wait(gen, interval, self.patience_s if timeout is None else timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:  # no answer has come
                self.pgconn.finish()
            raise


def stay_patient(engine: Engine) -> None:
    """Make every connection of the engine a PatientConnection."""

    @event.listens_for(engine, "do_connect")
    def on_do_connect(_dialect: Any, _record: Any, args: Any, kwargs: Any) -> PatientConnection:
        return PatientConnection.connect(*args, **kwargs)


@contextmanager
def unhurried(connection: Connection) -> Iterator[None]:
    """No time limit on the statements of this transaction."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, PatientConnection)
    patience_s, raw.patience_s = raw.patience_s, None
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    try:
        yield
    finally:
        raw.patience_s = patience_s
