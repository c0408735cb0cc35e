"""From every revision to the newest and back, with sales in the tables, on both databases."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError

from app.shop.order import OrderStatus
from app.store.database import Database
from app.store.journal import Journal
from app.store.orders import SqlOrderStore
from tests.store.selling import cancel, draft, expire, overdue_draft, pay, refund, sell

FIRST_ORDERS = """
INSERT INTO orders (id, number, lane, status, currency, total_minor, cart_version, method,
  idempotency_key, camera_counts, created_at, changed_at, changed_by, released_at) VALUES
 (1, '1-000001', '1', 'paid', 'KRW', 3000, 5, 'clerk', 'a', '{"apple": 2}',
  '2026-11-20 01:02:03.000004', '2026-11-20 01:03:00.000000', 'kim', NULL),
 (2, '1-000002', '1', 'awaiting_payment', 'KRW', 1500, 6, 'clerk', 'b', '{"apple": 1}',
  '2026-11-20 02:00:00.000000', '2026-11-20 02:00:00.000000', 'customer', NULL),
 (3, '1-000003', '1', 'cancelled', 'KRW', 1500, 7, 'clerk', 'c', '{"apple": 1}',
  '2026-11-20 03:00:00.000000', '2026-11-20 03:01:00.000000', 'lee', NULL)
"""
FIRST_LINES = """
INSERT INTO order_lines (order_id, position, key, name_ko, name_en, quantity, unit_price_minor,
  amount_minor, source, tax) VALUES
 (1, 0, 'apple', '사과', 'Apple', 2, 1500, 3000, 'camera', 'exempt'),
 (2, 0, 'apple', '사과', 'Apple', 1, 1500, 1500, 'camera', 'exempt'),
 (3, 0, 'apple', '사과', 'Apple', 1, 1500, 1500, 'camera', 'exempt')
"""


@pytest.fixture
def database(empty_url: str) -> Iterator[Database]:
    database = Database(empty_url)
    yield database
    database.close()


@pytest.fixture
def first(database: Database) -> Database:
    """A database of the first revision, with three orders."""
    database.migrate("0001")
    with database.writing() as session:
        session.execute(text(FIRST_ORDERS.replace(":", r"\:")))
        session.execute(text(FIRST_LINES))
        if not database.is_sqlite:  # the ids above were given by hand
            session.execute(text("SELECT setval('orders_id_seq', 3)"))
    return database


def tables(database: Database) -> set[str]:
    with database.reading() as session:
        return set(inspect(session.connection()).get_table_names()) - {"alembic_version"}


def test_an_empty_database_goes_up_and_down_and_up_again(database):
    for revision in ("0001", "0002", "0003", "0004", "0003", "0002", "0001", "base"):
        database.migrate(revision)
        assert database.revision() == (None if revision == "base" else revision)
    assert tables(database) == set()
    database.migrate()
    assert sell(SqlOrderStore(database)).sold


def test_sales_of_the_first_revision_are_kept_with_a_payment_each(first):
    first.migrate()
    orders = SqlOrderStore(first)
    paid, waiting, cancelled = (orders.get(order_id) for order_id in (1, 2, 3))
    assert [order.status for order in (paid, waiting, cancelled)] == [
        OrderStatus.PAID,
        OrderStatus.AWAITING_PAYMENT,
        OrderStatus.CANCELLED,
    ]
    assert paid.paid_at == datetime(2026, 11, 20, 1, 3, tzinfo=UTC)
    assert (paid.refunded_minor, paid.expires_at, waiting.paid_at) == (0, None, None)
    assert paid.lines[0].name_ko == "사과"
    assert [(p.amount_minor, p.method, p.confirmed_by) for p in orders.payments(1)] == [
        (3000, "clerk", "kim")
    ]
    assert orders.payments(2) == orders.payments(3) == []


def test_orders_of_the_first_revision_go_on_after_the_upgrade(first):
    first.migrate()
    orders = SqlOrderStore(first)
    assert pay(orders, orders.get(2)).sold
    assert refund(orders, orders.get(1), None).amount_minor == 3000
    assert orders.create(draft("new")).number.endswith("-0001")
    assert Journal(first).verify() is None


def test_what_the_camera_got_wrong_is_worked_out_for_orders_of_before(first):
    with first.writing() as session:
        session.execute(text("""UPDATE orders SET camera_counts = '{"pear"\\: 1}' WHERE id = 1"""))
    first.migrate()
    with first.reading() as session:
        rows = session.execute(text("SELECT * FROM miscounts ORDER BY order_id, key")).all()
    assert [tuple(row) for row in rows] == [(1, "apple", 0, 2), (1, "pear", 1, 0)]


def test_what_the_upgrade_brought_is_guarded(first):
    with first.writing() as session:
        session.execute(text("UPDATE orders SET camera_counts = '{}' WHERE id = 1"))
    first.migrate()
    for statement in (
        "UPDATE payments SET amount_minor = 1",
        "DELETE FROM order_lines",
        "UPDATE miscounts SET counted = paid + 1",
        "DELETE FROM miscounts",
    ):
        with pytest.raises(IntegrityError), first.writing() as session:
            session.execute(text(statement))


def test_going_back_keeps_the_orders_in_words_that_the_first_revision_knows(database):
    database.migrate()
    orders = SqlOrderStore(database)
    refund(orders, sell(orders, "whole"), None, "r1")
    refund(orders, sell(orders, "part"), {0: 1}, "r2")
    expire(orders, orders.create(overdue_draft("late")))
    cancel(orders, orders.create(draft("no")))
    database.migrate("0001")
    assert tables(database) == {"orders", "order_lines", "users"}
    with database.reading() as session:
        rows = session.execute(text("SELECT status, total_minor FROM orders ORDER BY id"))
        assert [tuple(row) for row in rows] == [
            ("paid", 6500),
            ("paid", 6500),
            ("cancelled", 6500),
            ("cancelled", 6500),
        ]
    database.migrate()
    assert [order.status for order in map(orders.get, (1, 3))] == [
        OrderStatus.PAID,
        OrderStatus.CANCELLED,
    ]
