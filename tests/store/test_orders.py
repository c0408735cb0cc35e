import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.errors import CheckoutError, IllegalTransition, OrderNotFound
from app.shop.cart import Cart
from app.shop.checkout import Checkout
from app.shop.order import Order, OrderStatus, order_from
from app.store.database import Database
from app.store.orders import SqlOrderStore
from tests.shop.fakes import CATALOG

AWAITING, PAID, CANCELLED = (
    OrderStatus.AWAITING_PAYMENT,
    OrderStatus.PAID,
    OrderStatus.CANCELLED,
)


def draft(key: str = "key", lane: str = "1") -> Order:
    cart = Cart().see({"apple": 2}, True).add("pear", 1, CATALOG)
    return order_from(cart.snapshot(lane, 7, CATALOG), CATALOG, cart, "counter", key)


@pytest.fixture
def orders(database: Database) -> SqlOrderStore:
    return SqlOrderStore(database)


def at_once(count: int, work) -> list:
    """Run ``work(n)`` in many threads at the same moment; answers or errors, in any order."""
    results, start = [], threading.Barrier(count)

    def run(n: int) -> None:
        start.wait()
        try:
            results.append(work(n))
        except CheckoutError as error:
            results.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_an_order_comes_back_as_it_was_stored(orders):
    stored = orders.create(draft())
    assert stored == replace(
        draft(), id=1, number="1-000001", created_at=stored.created_at, changed_at=stored.changed_at
    )
    assert orders.get(1) == stored
    assert orders.find_by_key("key") == stored
    assert stored.created_at.tzinfo is UTC


def test_a_moment_of_another_zone_is_kept_in_utc(orders):
    seoul = datetime(2026, 11, 22, 12, 0, tzinfo=timezone(timedelta(hours=9)))
    stored = orders.create(replace(draft(), created_at=seoul))
    assert orders.get(stored.id).created_at.isoformat() == "2026-11-22T03:00:00+00:00"


def test_the_same_key_gives_the_same_order(orders):
    first = orders.create(draft())
    assert orders.create(draft()) == first
    assert orders.create(draft("other")).number == "1-000002"


def test_what_is_not_there_is_not_found(orders):
    assert orders.find_by_key("key") is None
    assert orders.unfinished("1") is None
    assert orders.awaiting() == []
    for act in (orders.get, lambda n: orders.set_status(n, PAID, "kim")):
        with pytest.raises(OrderNotFound):
            act(5)


def test_a_move_is_kept_with_who_made_it(orders):
    order = orders.create(draft())
    paid = orders.set_status(order.id, PAID, "kim")
    assert orders.get(order.id) == paid
    assert (paid.status, paid.changed_by) == (PAID, "kim")
    assert paid.changed_at >= paid.created_at


@pytest.mark.parametrize("last", [PAID, CANCELLED])
@pytest.mark.parametrize("then", list(OrderStatus))
def test_a_finished_order_is_never_moved_again(orders, last, then):
    order = orders.create(draft())
    finished = orders.set_status(order.id, last, "kim")
    with pytest.raises(IllegalTransition):
        orders.set_status(order.id, then, "lee")
    assert orders.get(order.id) == finished


def test_the_newest_order_of_a_lane_is_unfinished_until_it_is_released(orders):
    orders.create(draft("old"))
    order = orders.create(draft())
    orders.create(draft("elsewhere", lane="2"))
    assert orders.unfinished("1") == order
    paid = orders.set_status(order.id, PAID, "kim")
    assert orders.unfinished("1") == paid
    orders.release(order.id)
    released = orders.get(order.id).released_at
    assert orders.unfinished("1") is None
    orders.release(order.id)
    assert orders.get(order.id).released_at == released


def test_a_cancelled_order_is_finished(orders):
    order = orders.create(draft())
    orders.set_status(order.id, CANCELLED, "customer")
    assert orders.unfinished("1") is None


def test_the_clerk_sees_the_waiting_orders_of_all_lanes_oldest_first(orders):
    numbers = [orders.create(draft(key, lane)).number for key, lane in ("a1", "b2", "c1")]
    orders.set_status(3, PAID, "kim")
    assert [order.number for order in orders.awaiting()] == numbers[:2]


def test_orders_survive_closing_and_reopening(url, orders, database):
    paid = orders.set_status(orders.create(draft()).id, PAID, "kim")
    database.close()
    again = Database(url)
    again.migrate()
    assert SqlOrderStore(again).get(paid.id) == paid
    again.close()


# The database itself refuses


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE orders SET total_minor = -1",
        "UPDATE orders SET status = 'free'",
        "UPDATE orders SET number = '1-000002' WHERE id = 1",
        "UPDATE orders SET idempotency_key = 'other' WHERE id = 1",
        "UPDATE order_lines SET quantity = 0",
        "UPDATE order_lines SET amount_minor = amount_minor - 1",
        "UPDATE order_lines SET unit_price_minor = -1, amount_minor = -quantity",
        "UPDATE order_lines SET source = 'guess'",
        "UPDATE order_lines SET order_id = 99",
        "DELETE FROM orders",
        "INSERT INTO users VALUES (1, 'kim', 'x', 'king', '2026-11-22')",
    ],
)
def test_the_database_refuses_what_must_never_be(orders, database, statement):
    orders.create(draft())
    orders.create(draft("other"))
    with pytest.raises(IntegrityError), database.writing() as session:
        session.execute(text(statement))


# Races, on one database object and on two


@pytest.fixture(params=["one", "two"])
def stores(request, url, database):
    """Two stores: on the same connections, or each on its own as two processes would have."""
    other = database if request.param == "one" else Database(url)
    yield SqlOrderStore(database), SqlOrderStore(other)
    other.close()


def test_a_race_to_create_makes_one_order(stores):
    got = at_once(8, lambda n: stores[n % 2].create(draft()))
    assert {order.id for order in got} == {1}
    assert len(stores[0].awaiting()) == 1


def test_a_race_of_different_keys_makes_different_numbers(stores):
    got = at_once(8, lambda n: stores[n % 2].create(draft(f"key {n}")))
    assert {order.number for order in got} == {f"1-{n:06d}" for n in range(1, 9)}


def test_a_race_to_finish_has_one_winner(stores):
    order = stores[0].create(draft())
    got = at_once(
        8, lambda n: stores[n % 2].set_status(order.id, (PAID, CANCELLED)[n // 4], f"clerk {n}")
    )
    assert Counter(type(result) for result in got) == {Order: 1, IllegalTransition: 7}
    winner = next(result for result in got if isinstance(result, Order))
    assert stores[1].get(order.id) == winner


def test_two_clerks_and_an_impatient_customer_make_one_sale(stores):
    checkout = Checkout("1", CATALOG, stores[0])
    checkout.camera_state("ok")
    version = checkout.see({"apple": 2}, True).version
    paid_for = at_once(6, lambda _: checkout.pay(version, "counter", "key"))
    sales = at_once(6, lambda n: checkout.confirm(paid_for[0].id, f"clerk {n}"))
    assert len({order.id for order in paid_for}) == 1
    assert sales == [sales[0]] * 6
    assert stores[1].get(1) == sales[0]


def test_a_process_killed_right_after_the_answer_loses_no_sale(url):
    program = """
import os, signal, sys
from app.shop.order import OrderStatus
from app.store.database import Database
from app.store.orders import SqlOrderStore
from tests.store.test_orders import draft
database = Database(sys.argv[1])
database.migrate()
orders = SqlOrderStore(database)
for n in range(5):
    orders.set_status(orders.create(draft(f"key {n}")).id, OrderStatus.PAID, "kim")
os.kill(os.getpid(), signal.SIGKILL)
"""
    root = Path(__file__).parents[2]
    killed = subprocess.run([sys.executable, "-c", program, url], cwd=root, check=False)
    assert killed.returncode == -9
    database = Database(url)
    database.migrate()
    orders = SqlOrderStore(database)
    assert [orders.get(n).status for n in range(1, 6)] == [PAID] * 5
    database.close()
