"""Asks whether sales can be saved, and finds out by itself when they can again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from app.errors import StoreUnavailable
from app.store.database import Database
from app.store.journal import Journal

EVERY_S = 1.0
STOP_WITHIN_S = 5.0

log = logging.getLogger("checkout.database")


class StoreWatch:
    """Keeps ``Database.trouble`` true to what is, in a thread between ``start`` and ``stop``.

    After a write that failed, only a write proves that the trouble is over (a full disk lets a mere
    question pass): a record in the lane's journal that says since when nothing could be saved.
    """

    def __init__(
        self, database: Database, lane: str, back: Callable[[], None] = lambda: None
    ) -> None:
        """back: called when a write succeeded, before the trouble is over.

        It may raise StoreUnavailable: then the trouble goes on.
        """
        self._back = back
        self._database, self._journal, self._lane = database, Journal(database), lane
        self._lost_at: datetime | None = None
        self._written = False  # the journal has the record of this trouble
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to ask, every second."""
        self._thread = threading.Thread(target=self._run, name="database", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; harmless when it never started."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(STOP_WITHIN_S)

    def look(self) -> None:
        """Ask the database once."""
        try:
            if not self._database.trouble:
                self._database.ping()
                return
            self._write()
        except StoreUnavailable as error:
            if self._lost_at is None:
                log.error("database_lost reason=%s", error)
            self._lost_at = self._lost_at or datetime.now(UTC)

    def _write(self) -> None:
        self._lost_at = self._lost_at or datetime.now(UTC)
        details = {"since": self._lost_at.isoformat(), "reason": self._database.trouble}
        if self._written:  # but what follows failed
            self._database.ping()
        else:
            self._journal.record(self._lane, "database", "database_back", details)
            self._written = True
        self._back()
        log.info("database_back since=%s", details["since"])
        self._lost_at, self._written, self._database.trouble = None, False, ""

    def _run(self) -> None:
        while not self._stopping.wait(EVERY_S):
            try:
                self.look()
            except Exception:  # a thread that dies would leave sales stopped for ever
                log.exception("database_watch_failed")
