"""What happened besides sales, on its way into the journal without anybody waiting for it."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from app.errors import StoreUnavailable
from app.store.journal import Details, Journal

MAX_WAITING = 256
STOP_WITHIN_S = 5.0

log = logging.getLogger("checkout.journal")


@dataclass(frozen=True, slots=True)
class _Note:
    actor: str
    event: str
    details: Details
    at: datetime


class Notes:
    """Writes one lane's notes in a thread between ``start`` and ``stop``.

    Money is never noted here: a sale and its record are one transaction. A note that cannot be
    written is logged and counted in ``lost``; nothing else stops for it.
    """

    def __init__(self, journal: Journal, lane: str) -> None:
        self._journal, self._lane = journal, lane
        self._queue: queue.Queue[_Note | None] = queue.Queue(MAX_WAITING)
        self._thread: threading.Thread | None = None
        self.lost = 0

    def note(self, actor: str, event: str, details: Mapping[str, object] | None = None) -> None:
        """Take something down, from any thread; returns at once and never raises.

        actor: a user's name, "customer", or a part of the checkout. details: as for
        ``Journal.append``. What comes before ``start`` waits for it.
        """
        note = _Note(actor, event, dict(details or {}), datetime.now(UTC))
        try:
            self._queue.put_nowait(note)
        except queue.Full:
            self._lose(note, "too many are waiting")

    def start(self) -> None:
        """Begin to write."""
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what is waiting, then end the thread; harmless when it never started."""
        if self._thread is not None:
            try:
                self._queue.put(None, timeout=STOP_WITHIN_S)
            except queue.Full:  # the database hangs: it is written down in the log instead
                log.error("journal_stuck waiting=%d", self._queue.qsize())
            self._thread.join(STOP_WITHIN_S)

    def _run(self) -> None:
        while (note := self._queue.get()) is not None:
            try:
                self._journal.record(self._lane, note.actor, note.event, note.details, note.at)
            except StoreUnavailable as error:
                self._lose(note, str(error))
            except Exception:  # one odd note must not end all the others
                log.exception("note_failed event=%s", note.event)
                self._lose(note, "it cannot be written")

    def _lose(self, note: _Note, reason: str) -> None:
        self.lost += 1
        log.error(
            *("note_lost event=%s actor=%r details=%r reason=%s", note.event, note.actor),
            *(dict(note.details), reason),
        )
