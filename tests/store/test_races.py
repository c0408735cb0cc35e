"""Everything at the same instant, on connections of their own, on both databases."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import IllegalTransition, InvalidPayment, InvalidRefund
from app.shop.checkout import Checkout
from app.shop.order import Order, OrderStatus
from app.shop.refund import Refund
from app.store.database import Database
from app.store.journal import Journal
from app.store.orders import SqlOrderStore
from tests.shop.fakes import CATALOG
from tests.store.selling import (
    at_once,
    cancel,
    draft,
    expire,
    number,
    overdue_draft,
    pay,
    payment,
    refund,
    sell,
)

ROOT = Path(__file__).parents[2]
AT_ONCE = 8


@pytest.fixture(params=["one", "two"])
def stores(
    request: pytest.FixtureRequest, database_url: str, database: Database
) -> Iterator[tuple[SqlOrderStore, SqlOrderStore]]:
    """Two stores: on the same connections, or each on its own as two processes would have."""
    other = database if request.param == "one" else Database(database_url)
    yield SqlOrderStore(database), SqlOrderStore(other)
    assert Journal(database).verify() is None
    other.close()


def test_a_race_to_create_makes_one_order(stores):
    got = at_once(AT_ONCE, lambda n: stores[n % 2].create(draft()))
    assert len({order.id for order in got}) == 1
    assert len(stores[0].awaiting()) == 1


def test_a_race_of_two_lanes_for_one_key_makes_one_order(stores):
    got = at_once(AT_ONCE, lambda n: stores[n % 2].create(draft(lane=str(n % 2))))
    assert len({order.id for order in got}) == 1
    assert len(stores[0].awaiting()) == 1


def test_a_race_of_different_keys_makes_different_numbers(stores):
    got = at_once(AT_ONCE, lambda n: stores[n % 2].create(draft(f"key {n}")))
    assert {order.number for order in got} == {number(n) for n in range(1, AT_ONCE + 1)}


def test_two_lanes_at_the_same_instant_count_apart(stores):
    got = at_once(AT_ONCE, lambda n: stores[n % 2].create(draft(f"key {n}", lane=str(n % 2))))
    wanted = {number(n, lane) for n in range(1, AT_ONCE // 2 + 1) for lane in ("0", "1")}
    assert {order.number for order in got} == wanted


def test_a_race_to_finish_has_one_winner(stores):
    order = stores[0].create(draft())

    def finish(n: int) -> Order:
        return (pay, cancel)[n // 4](stores[n % 2], order, f"clerk {n}")

    got = at_once(AT_ONCE, finish)
    assert Counter(map(type, got)) == {Order: 1, IllegalTransition: AT_ONCE - 1}
    winner = next(result for result in got if isinstance(result, Order))
    assert stores[1].get(order.id) == winner
    paid = winner.status is OrderStatus.PAID
    assert [kept.confirmed_by for kept in stores[0].payments(order.id)] == (
        [winner.changed_by] if paid else []
    )


def test_a_race_of_orders_for_one_provider_s_payment_pays_one(stores):
    made = [stores[0].create(draft(f"key {n}", lane=str(n))) for n in range(AT_ONCE)]

    def confirm(n: int) -> Order:
        return stores[n % 2].confirm(made[n].id or 0, payment(made[n], reference="ref-1"))

    got = at_once(AT_ONCE, confirm)
    assert Counter(map(type, got)) == {Order: 1, InvalidPayment: AT_ONCE - 1}
    assert len(stores[0].awaiting()) == AT_ONCE - 1


def test_a_race_of_clock_and_customer_ends_an_order_once(stores):
    order = stores[0].create(overdue_draft())
    got = at_once(AT_ONCE, lambda n: (expire, cancel)[n % 2](stores[n // 4], order))
    assert Counter(map(type, got)) == {Order: 1, IllegalTransition: AT_ONCE - 1}


def test_a_race_of_refunds_never_gives_back_more_than_was_paid(stores):
    order = sell(stores[0])
    got = at_once(AT_ONCE, lambda n: refund(stores[n % 2], order, {0: 1}, f"refund {n}"))
    assert Counter(map(type, got)) == {Refund: 2, InvalidRefund: AT_ONCE - 2}
    assert stores[1].get(order.id).refunded_minor == 3000
    assert [given.number for given in stores[0].refunds(order.id)] == [1, 2]


def test_a_double_click_on_refund_gives_money_back_once(stores):
    order = sell(stores[0])
    got = at_once(AT_ONCE, lambda n: refund(stores[n % 2], order, {0: 1}))
    assert got == [got[0]] * AT_ONCE
    assert stores[1].get(order.id).refunded_minor == 1500


def test_two_clerks_and_an_impatient_customer_make_one_sale(stores):
    checkout = Checkout("1", CATALOG, stores[0])
    checkout.camera_state("ok")
    version = checkout.see({"apple": 2}, True).version
    paid_for = at_once(6, lambda _: checkout.pay(version, "clerk", "key"))
    sales = at_once(6, lambda n: checkout.confirm(paid_for[0].id, f"clerk {n}"))
    assert len({order.id for order in paid_for}) == 1
    assert sales == [sales[0]] * 6
    assert stores[1].get(sales[0].id) == sales[0]
    assert len(stores[1].payments(sales[0].id)) == 1


def test_two_processes_of_one_lane_make_one_sale_of_an_order(stores):
    checkouts = [Checkout("1", CATALOG, store) for store in stores]
    order = stores[0].create(draft())
    sales = at_once(AT_ONCE, lambda n: checkouts[n % 2].confirm(order.id or 0, f"clerk {n}"))
    won = [result for result in sales if isinstance(result, Order)]
    assert won
    assert all(sale == won[0] for sale in won)
    assert {type(sale) for sale in sales} <= {Order, IllegalTransition}
    assert len(stores[1].payments(order.id)) == 1


def test_a_process_killed_right_after_the_answer_loses_no_sale(database_url):
    program = """
import os, signal, sys
from app.store.database import Database
from app.store.orders import SqlOrderStore
from tests.store.selling import sell
orders = SqlOrderStore(Database(sys.argv[1]))
for n in range(5):
    print(sell(orders, f"key {n}").id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run(
        [sys.executable, "-c", program, database_url],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -9
    told = [int(line) for line in killed.stdout.split()]
    database = Database(database_url)
    database.migrate()
    orders = SqlOrderStore(database)
    assert [orders.get(order_id).status for order_id in told] == [OrderStatus.PAID] * 5
    assert Journal(database).verify() is None
    database.close()
