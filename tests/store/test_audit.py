import pytest
from sqlalchemy import delete, text

from app.store.audit import audit_orders
from app.store.database import Database
from app.store.orders import SqlOrderStore
from app.store.tables import Base
from tests.store.selling import at_once, cancel, draft, expire, overdue_draft, refund, sell
from tests.store.test_journal import tampering


@pytest.fixture
def busy(database: Database, orders: SqlOrderStore) -> Database:
    """A database with an order in each state, numbered 1 to 6."""
    sell(orders, "1")
    refund(orders, sell(orders, "2"), {0: 1}, "r2")
    refund(orders, sell(orders, "3"), None, "r3")
    cancel(orders, orders.create(draft("4")))
    expire(orders, orders.create(overdue_draft("5")))
    orders.create(draft("6"))
    return database


def test_orders_that_nobody_touched_are_as_the_journal_says(busy):
    assert audit_orders(busy) == ""


def test_nothing_is_as_nothing_says(database):
    assert audit_orders(database) == ""


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ("UPDATE orders SET status = 'cancelled' WHERE idempotency_key = '1'", 1),
        ("UPDATE orders SET status = 'paid' WHERE idempotency_key = '6'", 6),
        ("UPDATE orders SET total_minor = 1 WHERE idempotency_key = '1'", 1),
        ("UPDATE orders SET refunded_minor = 6500 WHERE idempotency_key = '1'", 1),
        ("UPDATE orders SET refunded_minor = 0 WHERE idempotency_key = '2'", 2),
        ("UPDATE orders SET status = 'refunded' WHERE idempotency_key = '2'", 2),
        ("UPDATE orders SET status = 'partly_refunded' WHERE idempotency_key = '3'", 3),
        ("UPDATE orders SET number = 'gone' WHERE idempotency_key = '4'", 0),
        ("UPDATE orders SET number = 'another' WHERE idempotency_key = '1'", 0),
    ],
)
def test_an_order_that_was_changed_is_named(busy, change, number):
    with tampering(busy) as connection:
        connection.execute(text(change))
    fault = audit_orders(busy)
    if number:
        assert f"-{number:04d} " in fault
    else:  # the journal does not know a cancelled order's number, but a paid one's
        assert ("another" in fault) == ("another" in change)


def test_a_sale_that_was_deleted_is_missed(busy):
    with tampering(busy) as connection:
        for table in reversed(Base.metadata.sorted_tables):
            if "order_id" in table.columns:
                connection.execute(delete(table).where(table.columns.order_id == 1))
        connection.execute(text("DELETE FROM orders WHERE id = 1"))
    assert "-0001 is paid in the journal, but not there" in audit_orders(busy)


def test_an_order_paid_before_the_journal_began_is_taken_as_it_is(busy):
    with tampering(busy) as connection:
        connection.execute(text("DELETE FROM journal"))
    assert audit_orders(busy) == ""


def test_an_audit_while_sales_go_on_finds_nothing_wrong(database, orders):
    def work(n: int) -> str:
        if n % 2:
            sell(orders, f"key {n}")
            return ""
        return audit_orders(database)

    assert at_once(8, work) == [""] * 8
