import threading
from datetime import UTC, datetime

import pytest

from app.errors import StoreUnavailable
from app.store.journal import Journal
from app.store.notes import MAX_WAITING, Notes
from tests.web.server import wait_until


class SlowJournal:
    """A journal that waits, or fails, when told to."""

    def __init__(self) -> None:
        self.written, self.problem = [], None
        self.may_write, self.busy = threading.Event(), threading.Event()
        self.may_write.set()

    def record(self, lane, actor, event, details, at) -> None:
        self.busy.set()
        self.may_write.wait(10)
        if self.problem:
            raise self.problem
        self.written.append((lane, actor, event, details))


def test_notes_reach_the_journal_in_order_with_the_moment_they_were_made(database):
    journal = Journal(database)
    notes, before = Notes(journal, "1"), datetime.now(UTC).isoformat()
    notes.note("camera", "camera_lost", {"state": "stale"})
    after = datetime.now(UTC).isoformat()
    notes.note("kim", "signed_in")
    notes.start()
    notes.stop()
    lost, signed_in = journal.records()
    assert (lost.actor, lost.event, lost.details) == ("camera", "camera_lost", '{"state":"stale"}')
    assert before <= lost.at <= after
    assert (signed_in.lane, signed_in.number, signed_in.event) == ("1", 2, "signed_in")
    assert journal.verify() is None


@pytest.mark.parametrize("problem", [StoreUnavailable("The disk is full."), KeyError("defect")])
def test_a_note_that_cannot_be_written_is_counted_and_logged_and_the_next_one_is_tried(
    problem, caplog
):
    journal = SlowJournal()
    notes = Notes(journal, "1")
    journal.problem, journal.busy = problem, threading.Event()
    notes.start()
    notes.note("camera", "camera_lost", {"state": "down"})
    assert journal.busy.wait(10)
    wait_until(lambda: notes.lost == 1)
    journal.problem = None
    notes.note("camera", "camera_back")
    notes.stop()
    assert notes.lost == 1
    assert "note_lost event=camera_lost actor='camera' details={'state': 'down'}" in caplog.text
    assert journal.written == [("1", "camera", "camera_back", {})]


def test_nobody_waits_for_a_journal_that_hangs(caplog):
    journal = SlowJournal()
    journal.may_write.clear()
    notes = Notes(journal, "1")
    notes.start()
    notes.note("customer", "line_added")
    assert journal.busy.wait(10)
    for n in range(MAX_WAITING + 3):
        notes.note("customer", "line_changed", {"n": n})
    assert notes.lost == 3
    assert "too many are waiting" in caplog.text
    journal.may_write.set()
    notes.stop()
    assert len(journal.written) == MAX_WAITING + 1


def test_stopping_what_never_started_is_harmless():
    Notes(SlowJournal(), "1").stop()
