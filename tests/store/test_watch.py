"""Whoever watches the database says when sales cannot be saved, and finds out when they can."""

import json
from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.errors import StoreUnavailable
from app.store.database import Database
from app.store.journal import Journal
from app.store.orders import SqlOrderStore
from app.store.watch import StoreWatch
from tests.store.selling import draft, sell
from tests.web.server import wait_until

HIDE, SHOW = "ALTER TABLE journal RENAME TO gone", "ALTER TABLE gone RENAME TO journal"


@pytest.fixture
def watch(database: Database) -> Iterator[StoreWatch]:
    watch = StoreWatch(database, "1")
    yield watch
    watch.stop()


def execute(database: Database, statement: str) -> None:
    with database.writing() as session:
        session.execute(text(statement))


def test_a_database_that_works_is_no_trouble_and_nothing_is_written(database, watch):
    watch.look()
    assert database.trouble == ""
    assert list(Journal(database).records()) == []


def test_a_write_that_failed_is_trouble_until_a_write_succeeds(database, watch):
    orders = SqlOrderStore(database)
    execute(database, HIDE)
    with pytest.raises(StoreUnavailable):
        orders.create(draft())
    assert database.trouble.startswith("The database does not answer: ")
    database.ping()  # a question is answered all the same
    watch.look()
    watch.look()
    assert database.trouble != ""

    execute(database, SHOW)
    watch.look()
    assert database.trouble == ""
    assert sell(orders).sold
    assert Journal(database).verify() is None


def test_the_journal_says_since_when_nothing_could_be_saved(database, watch):
    execute(database, HIDE)
    with pytest.raises(StoreUnavailable):
        SqlOrderStore(database).create(draft())
    reason = database.trouble
    watch.look()
    execute(database, SHOW)
    watch.look()
    watch.look()

    [record] = Journal(database).records()
    details = json.loads(record.details)
    assert (record.actor, record.event) == ("database", "database_back")
    assert details["since"] < record.at
    assert "journal" in reason
    assert "journal" in details["reason"]


def test_a_database_that_does_not_answer_at_all_is_trouble_by_itself(database, watch):
    execute(database, "ALTER TABLE orders RENAME TO gone")
    watch.look()
    assert "orders" in database.trouble
    execute(database, "ALTER TABLE gone RENAME TO orders")
    watch.look()
    assert database.trouble == ""


def test_a_refused_value_is_no_trouble(database, orders):
    first = orders.create(draft("a"))
    with pytest.raises(IntegrityError, match="written once"):
        execute(database, f"UPDATE orders SET lane = '2' WHERE id = {first.id}")
    assert database.trouble == ""


def test_who_wants_to_know_is_told_once_before_the_trouble_is_over(database):
    seen: list[bool] = []
    watch = StoreWatch(database, "1", back=lambda: seen.append(database.trouble != ""))
    watch.look()
    execute(database, HIDE)
    with pytest.raises(StoreUnavailable):
        SqlOrderStore(database).create(draft())
    watch.look()
    assert seen == []
    execute(database, SHOW)
    watch.look()
    watch.look()
    assert (seen, database.trouble) == ([True], "")


def test_the_trouble_goes_on_when_what_follows_fails_too(database):
    def fails() -> None:
        raise StoreUnavailable("gone again")

    watch = StoreWatch(database, "1", back=fails)
    database.trouble = "The database does not answer: it did"
    watch.look()
    assert database.trouble == "The database does not answer: it did"


def test_a_watch_that_never_started_can_be_stopped(watch):
    watch.stop()


def test_an_error_that_nobody_foresaw_does_not_end_the_watching(database, monkeypatch):
    tries: list[int] = []

    def back() -> None:
        tries.append(len(tries))
        if len(tries) < 3:
            raise RuntimeError("unforeseen")

    monkeypatch.setattr("app.store.watch.EVERY_S", 0.01)
    database.trouble = "The database does not answer."
    watch = StoreWatch(database, "1", back)
    watch.start()
    wait_until(lambda: not database.trouble)
    watch.stop()
    assert len(tries) == 3
    assert [record.event for record in Journal(database).records()] == ["database_back"]
