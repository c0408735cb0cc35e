import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from app.store.database import Database
from app.store.journal import FIRST_HASH, Fault, Journal, Record, canonical_json, fault_of
from app.store.orders import SqlOrderStore
from tests.store.selling import at_once, cancel, draft, pay, refund

ON_EACH_DATABASE = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def journal(database: Database) -> Journal:
    return Journal(database)


@contextmanager
def tampering(database: Database) -> Iterator[Connection]:
    """A connection on which nothing guards the journal, as somebody with all rights would have."""
    with database.writing() as session:
        connection = session.connection()
        if database.is_sqlite:
            guards = connection.execute(
                text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            ).all()
            for name, _ in guards:
                connection.execute(text(f"DROP TRIGGER {name}"))
            yield connection
            for _, statement in guards:
                connection.exec_driver_sql(statement)
        else:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            yield connection


def write(journal: Journal, count: int, lane: str = "1") -> list[Record]:
    return [journal.record(lane, "kim", "tried", {"n": n, "name": "사과"}) for n in range(count)]


# What is written


def test_records_are_numbered_from_one_and_each_holds_the_hash_of_the_one_before(journal):
    first, second = write(journal, 2)
    assert (first.number, first.previous_hash) == (1, FIRST_HASH)
    assert (second.number, second.previous_hash) == (2, first.hash)
    assert list(journal.records()) == [first, second]
    assert journal.verify() is None


def test_each_lane_has_a_chain_of_its_own(journal):
    write(journal, 2, "1")
    write(journal, 1, "2")
    assert [(head.lane, head.number) for head in journal.heads()] == [("1", 2), ("2", 1)]
    assert [(record.lane, record.number) for record in journal.records("2")] == [("2", 1)]
    assert journal.verify() is None


def test_an_empty_journal_is_in_order(journal):
    assert journal.verify() is None
    assert list(journal.records()) == []


def test_anybody_can_check_an_exported_line_with_nothing_but_json_and_sha256(journal):
    line = write(journal, 1)[0].exported()
    values = json.loads(line)
    stated = values.pop("hash")
    plain = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(plain.encode()).hexdigest() == stated
    assert values["details"] == {"n": 0, "name": "사과"}


def test_the_moment_is_kept_to_the_microsecond_in_utc(journal):
    at = datetime(2026, 11, 22, 3, 4, 5, 6, tzinfo=UTC)
    journal.record("1", "kim", "tried", {}, at)
    assert next(journal.records()).at == "2026-11-22T03:04:05.000006+00:00"


def test_a_record_stands_only_if_its_transaction_does(journal, database):
    def fail_after_writing() -> None:
        with database.writing() as session:
            Journal.append(session, "1", "kim", "tried", {})
            raise KeyError("halfway")

    with pytest.raises(KeyError):
        fail_after_writing()
    assert list(journal.records()) == []
    assert write(journal, 1)[0].number == 1


# The canonical form

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(values=PLAIN)
def test_canonical_json_reads_back_as_it_was_and_is_written_the_same_again(values):
    written = canonical_json(values)
    assert json.loads(written) == values
    assert canonical_json(json.loads(written)) == written


def test_the_order_of_keys_makes_no_difference():
    assert canonical_json({"b": 1, "a": [2, {"d": 3, "c": 4}]}) == '{"a":[2,{"c":4,"d":3}],"b":1}'


@pytest.mark.parametrize("value", [1.5, {1: 2}, {"at": datetime(2026, 1, 1)}, [b"x"], {"s": {1}}])
def test_what_has_no_single_form_is_refused(value):
    with pytest.raises(TypeError):
        canonical_json(value)


# What is changed afterwards is found

FIELDS = {
    "lane": st.text("12x", min_size=1, max_size=3),
    "number": st.integers(-3, 12),
    "at": st.sampled_from(["", "2026-11-22T03:04:05.000006+00:00", "yesterday"]),
    "actor": st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=5),
    "event": st.sampled_from(["", "tried ", "order_paid"]),
    "details": st.sampled_from(
        ["", "{}", "null", "[", '{"n":0}', '{"n": 1,"name":"사과"}', '{"n":1.0,"name":"사과"}']
    ),
    "previous_hash": st.sampled_from(["", FIRST_HASH, "f" * 64]),
    "hash": st.sampled_from(["", FIRST_HASH, "f" * 64]),
}


@ON_EACH_DATABASE
@given(data=st.data(), field=st.sampled_from(sorted(FIELDS)), victim=st.integers(0, 3))
def test_a_change_of_any_field_of_any_record_is_found(database, data, field, victim):
    with tampering(database) as connection:
        connection.execute(text("DELETE FROM journal"))
        connection.execute(text("DELETE FROM journal_heads"))
    journal = Journal(database)
    records = write(journal, 4)
    assert journal.verify() is None
    value = data.draw(FIELDS[field].filter(lambda new: new != getattr(records[victim], field)))
    where = {"value": value, "number": records[victim].number}
    try:
        with tampering(database) as connection:
            change = f"UPDATE journal SET {field} = :value WHERE number = :number"
            connection.execute(text(change), where)
    except IntegrityError:  # the number of another record
        return
    assert journal.verify() is not None


def swapped(connection: Connection) -> None:
    connection.execute(text("UPDATE journal SET number = -2 WHERE number = 2"))
    connection.execute(text("UPDATE journal SET number = 2 WHERE number = 3"))
    connection.execute(text("UPDATE journal SET number = 3 WHERE number = -2"))


def rewritten_to_the_end(connection: Connection) -> None:
    """A forger who knows how hashes are made, but forgets where the lane ends."""
    rows = connection.execute(text("SELECT * FROM journal ORDER BY number")).mappings().all()
    records, before = [Record(**row) for row in rows], None
    for record in records[1:]:
        previous_hash = before.hash if before else record.previous_hash
        forged = Record(record.lane, record.number, record.at, "lee", "forged", "{}", previous_hash)
        before = Record(
            *(forged.lane, forged.number, forged.at, forged.actor, forged.event, forged.details),
            *(forged.previous_hash, forged.computed_hash()),
        )
        assert fault_of(before, None, None) != ""  # it is not a first record
        statement = (
            "UPDATE journal SET actor = 'lee', event = 'forged', details = '{}',"
            " previous_hash = :previous_hash, hash = :hash WHERE number = :number"
        )
        values = {"previous_hash": previous_hash, "hash": before.hash, "number": before.number}
        connection.execute(text(statement), values)


@pytest.mark.parametrize(
    ("tamper", "found"),
    [
        (lambda c: c.execute(text("DELETE FROM journal WHERE number = 1")), 2),
        (lambda c: c.execute(text("DELETE FROM journal WHERE number = 2")), 3),
        (lambda c: c.execute(text("DELETE FROM journal WHERE number = 4")), 4),
        (lambda c: c.execute(text("DELETE FROM journal")), 1),
        (lambda c: c.execute(text("DELETE FROM journal_heads")), 4),
        (lambda c: c.execute(text("UPDATE journal_heads SET number = 3")), 3),
        (lambda c: c.execute(text("UPDATE journal_heads SET hash = 'f'")), 4),
        (swapped, 2),
        (rewritten_to_the_end, 4),
    ],
)
def test_the_first_bad_record_is_named(journal, database, tamper: Callable, found: int):
    write(journal, 4)
    with tampering(database) as connection:
        tamper(connection)
    fault = journal.verify()
    assert isinstance(fault, Fault)
    assert (fault.lane, fault.number) == ("1", found)


def test_a_record_that_refers_to_a_deeply_nested_text_is_a_fault_not_a_crash(journal, database):
    write(journal, 1)
    with tampering(database) as connection:
        connection.execute(text("UPDATE journal SET details = :deep"), {"deep": "[" * 100_000})
    assert journal.verify().number == 1


# At the same instant


def test_concurrent_records_stay_gapless_on_each_lane(database, database_url):
    others = [Journal(database), *(Journal(Database(database_url)) for _ in range(3))]
    at_once(8, lambda n: write(others[n % 4], 5, lane=str(n % 2)))
    journal = others[0]
    assert [(head.lane, head.number) for head in journal.heads()] == [("0", 20), ("1", 20)]
    assert journal.verify() is None
    for other in others[1:]:
        other._database.close()


@settings(ON_EACH_DATABASE, max_examples=5)
@given(works=st.lists(st.sampled_from(["pay", "cancel", "refund", "note"]), max_size=8))
@example(works=["pay", "refund", "cancel", "note"] * 2)
def test_whatever_happens_at_once_the_journal_stays_whole(database, works):
    orders, journal = SqlOrderStore(database), Journal(database)
    begun = {head.lane: head.number for head in journal.heads()}.get("1", 0)
    made = [orders.create(draft(f"{begun} {n}")) for n in range(len(works))]

    def work(n: int) -> None:
        if works[n] == "note":
            write(journal, 1)
        elif works[n] == "cancel":
            cancel(orders, made[n])
        else:
            pay(orders, made[n])
        if works[n] == "refund":
            refund(orders, made[n], None, f"{begun} {n}")

    if works:
        assert at_once(len(works), work) == [None] * len(works)
    records = 2 * len(works) + works.count("refund")
    assert journal.verify() is None
    assert sum(head.number for head in journal.heads()) == begun + records


def test_a_journal_longer_than_a_page_is_walked_to_its_end(journal, monkeypatch):
    monkeypatch.setattr("app.store.journal.FETCHED_AT_ONCE", 2)
    write(journal, 5, "1")
    write(journal, 4, "2")
    assert [record.number for record in journal.records()] == [1, 2, 3, 4, 5, 1, 2, 3, 4]
    assert [record.number for record in journal.records("1")] == [1, 2, 3, 4, 5]
    assert journal.verify() is None
