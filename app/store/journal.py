"""The journal: what happened, in order, such that a later change of it is found.

Each lane numbers its records from 1 without a gap. A record's hash is the SHA-256 of its canonical
JSON (RFC 8785 for the values used here: sorted keys, no spaces, UTF-8, whole numbers), which holds
the hash of the record before it. Changing, dropping, swapping or inserting a record breaks the
chain. Somebody who may rewrite the whole database can also rewrite the whole chain: whoever wants
to rule that out keeps a lane's last hash elsewhere, as the daily closing prints it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import select, text, tuple_
from sqlalchemy.orm import Session

from app.store.tables import JournalHeadRow, JournalRow

if TYPE_CHECKING:
    from app.store.database import Database

FIRST_HASH = "0" * 64
FETCHED_AT_ONCE = 1000
MAKE_HEAD = text(
    "INSERT INTO journal_heads (lane, number, hash) VALUES (:lane, 0, :hash)"
    " ON CONFLICT (lane) DO NOTHING"
)

Details = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Record:
    """One record, as it is stored and hashed.

    at: the moment in UTC, ISO 8601 with microseconds, so that text order is time order.
    details: canonical JSON, an object. hashes: 64 hex digits.
    """

    lane: str
    number: int
    at: str
    actor: str
    event: str
    details: str
    previous_hash: str
    hash: str = ""

    def canonical(self) -> str:
        """Return what is hashed: all but the hash itself, as canonical JSON."""
        return canonical_json(
            {
                "lane": self.lane,
                "number": self.number,
                "at": self.at,
                "actor": self.actor,
                "event": self.event,
                "details": json.loads(self.details),
                "previous_hash": self.previous_hash,
            }
        )

    def computed_hash(self) -> str:
        """Return the SHA-256 of ``canonical``."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()

    def exported(self) -> str:
        """Return one JSON line: the canonical JSON with the hash added."""
        return canonical_json({**json.loads(self.canonical()), "hash": self.hash})


@dataclass(frozen=True, slots=True)
class Fault:
    """The first record that is not as it was written, and what is wrong with it."""

    lane: str
    number: int
    problem: str

    def __str__(self) -> str:
        return f"lane {self.lane}, record {self.number}: {self.problem}"


@dataclass(frozen=True, slots=True)
class Head:
    """Where a lane's journal ends: its last number (0 when empty) and hash."""

    lane: str
    number: int
    hash: str


class Journal:
    """The journals of all lanes in a Database. Every method may raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @staticmethod
    def wait_for_turn(session: Session, lane: str) -> None:
        """Wait until this transaction alone may write to the lane's journal, until its end.

        ``append`` does so by itself; call this where a lane's writers must queue before it.
        """
        _locked_head(session, lane)

    @staticmethod
    def append(
        session: Session,
        lane: str,
        actor: str,
        event: str,
        details: Details,
        at: datetime | None = None,
    ) -> Record:
        """Write one record in the caller's transaction: it stands if and only if that commits.

        details: strings, whole numbers, booleans, None, and lists and objects of these; else
        TypeError. at: UTC, default now.
        """
        head = _locked_head(session, lane)
        record = Record(
            lane=lane,
            number=head.number + 1,
            at=(at or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="microseconds"),
            actor=actor,
            event=event,
            details=canonical_json(details),
            previous_hash=head.hash,
        )
        row = JournalRow(**{field.name: getattr(record, field.name) for field in fields(Record)})
        row.hash = head.hash = record.computed_hash()
        head.number = record.number
        session.add(row)
        session.flush()
        return _record(row)

    def record(
        self, lane: str, actor: str, event: str, details: Details, at: datetime | None = None
    ) -> Record:
        """Write one record in a transaction of its own."""
        with self._database.writing() as session:
            return self.append(session, lane, actor, event, details, at)

    def heads(self) -> list[Head]:
        """List where each lane's journal ends, by lane."""
        with self._database.reading() as session:
            rows = session.scalars(select(JournalHeadRow).order_by(JournalHeadRow.lane))
            return [Head(row.lane, row.number, row.hash) for row in rows]

    def records(self, lane: str | None = None, events: Collection[str] = ()) -> Iterator[Record]:
        """Walk the records, lane by lane in order, some at a time.

        events: walk only records of these; of all, when empty.
        """
        rows: list[JournalRow] = []
        while True:
            rows = self._rows_after(rows[-1] if rows else None, lane, events)
            if not rows:
                return
            yield from map(_record, rows)

    def _rows_after(
        self, row: JournalRow | None, lane: str | None, events: Collection[str]
    ) -> list[JournalRow]:
        place = tuple_(JournalRow.lane, JournalRow.number)
        wanted = select(JournalRow).order_by(JournalRow.lane, JournalRow.number)
        if lane is not None:
            wanted = wanted.where(JournalRow.lane == lane)
        if events:
            wanted = wanted.where(JournalRow.event.in_(events))
        if row is not None:
            wanted = wanted.where(place > tuple_(row.lane, row.number))
        with self._database.reading() as session:
            return list(session.scalars(wanted.limit(FETCHED_AT_ONCE)))

    def verify(self) -> Fault | None:
        """Walk everything and return the first fault; None when all is as it was written."""
        return first_fault(self.records(), self.heads)


def first_fault(records: Iterable[Record], heads: Callable[[], Iterable[Head]]) -> Fault | None:
    """Walk records, lane by lane in order, and return the first fault; None when there is none.

    heads: where the lanes end; asked before and after, because what is written in between comes on
    top.
    """
    ends = {head.lane: head for head in heads()}
    last: dict[str, Record] = {}
    for record in records:
        problem = fault_of(record, last.get(record.lane), ends.get(record.lane))
        if problem:
            return Fault(record.lane, record.number, problem)
        last[record.lane] = record
    ends |= {head.lane: ends.get(head.lane, head) for head in heads()}
    return _fault_at_an_end(ends, last)


def canonical_json(values: object) -> str:
    """Write values in the one form that is hashed; TypeError for what has no single form."""
    _check_plain(values)
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fault_of(record: Record, before: Record | None, end: Head | None) -> str:
    """Say what is wrong with a record; "" if nothing.

    before: the one before it, None for the first. end: where its lane was said to end, or to have
    ended some time ago.
    """
    number, previous_hash = (before.number, before.hash) if before else (0, FIRST_HASH)
    if record.number != number + 1:
        return f"it follows record {number}: records are missing"
    if record.previous_hash != previous_hash:
        return "it does not continue the record before it"
    try:
        intact = canonical_json(json.loads(record.details)) == record.details
        intact = intact and record.computed_hash() == record.hash
    except (ValueError, TypeError, RecursionError):
        intact = False
    if not intact:
        return "its values are not the ones that were written"
    if end is not None and end.number == record.number and end.hash != record.hash:
        return "it is not the one that the lane was said to end with"
    return ""


def _fault_at_an_end(ends: Mapping[str, Head], last: Mapping[str, Record]) -> Fault | None:
    for lane in sorted({*ends, *last}):
        number = last[lane].number if lane in last else 0
        if lane not in ends:
            return Fault(lane, number, "nothing says that the lane ends here")
        if number < ends[lane].number:
            return Fault(lane, number + 1, "records are missing at the end")
    return None


def _locked_head(session: Session, lane: str) -> JournalHeadRow:
    wanted = select(JournalHeadRow).where(JournalHeadRow.lane == lane).with_for_update()
    head = session.scalar(wanted)
    if head is None:
        session.execute(MAKE_HEAD, {"lane": lane, "hash": FIRST_HASH})
        head = session.scalars(wanted).one()
    return head


def _record(row: JournalRow) -> Record:
    return Record(**{field.name: getattr(row, field.name) for field in fields(Record)})


def _check_plain(values: object) -> None:
    if isinstance(values, Mapping):
        if not all(isinstance(key, str) for key in values):
            raise TypeError("a journal's keys are strings")
        for value in values.values():
            _check_plain(value)
    elif isinstance(values, list | tuple):
        for value in values:
            _check_plain(value)
    elif values is not None and not isinstance(values, str | int):
        raise TypeError(f"a journal keeps no {type(values).__name__}: {values!r}")
